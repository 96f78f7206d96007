"""Writes the generated parts of the documentation: ``python -m tests.check.write_docs``."""

import re
from pathlib import Path

from engine.bpmn import elements, fields
from engine.bpmn.check import as_markdown

DOCS = Path(__file__).parents[2] / "docs"
BEGIN, END = "<!-- generated: fields -->", "<!-- end -->"
HEAD = """# What the checker says

Every diagram is checked as it was drawn, when it is saved and when it is deployed. `error`: cannot be saved; `draft`: may be saved
as a draft, not deployed; `warning`: may be deployed. The page is written by `python -m tests.check.write_docs` from the rules in
`engine/bpmn/check/`. Rules about formalities (`EXPR-FORMAL`, `EV-OPERATION`, `DATA-OPERATION-IO`) speak in the strict report only.

Decision tables are looked through when their file is deployed: `DECISION-OVERLAP` (rows match together where the hit policy allows
one: `draft` under UNIQUE, else `warning`), `DECISION-GAP` (a case without a row), `DECISION-MASKED` (a row that never decides),
`DECISION-NOT-ANALYSED` (cells that compute, or too many combinations) and `DECISION-NAME` (a name that nothing gives) are warnings.

"""
BPMN_HEAD = """# Everything BPMN 2.0 has, and what psmflow does with it

`执行 executed`: moves tokens, or changes what those do, as the tests named prove. `仅绘图 drawn`: may stand in the diagram and moves
no token. `拒绝 refused`: the checker (rule `NOT-RUN`) and the reader stop it in an executable process, with element and line; so they do
with an element that the table does not know. The page is written by `python -m tests.check.write_docs` from `engine/bpmn/elements.py`,
the table that checker and reader use.

"""


def main() -> None:
    (DOCS / "bpmn.md").write_text(BPMN_HEAD + elements.as_markdown(), "utf-8")
    (DOCS / "checks.md").write_text(HEAD + as_markdown(), "utf-8")
    page = DOCS / "diagrams.md"
    text = page.read_text("utf-8")
    section = f"{BEGIN}\n{fields.as_markdown()}{END}\n"
    if BEGIN in text:
        text = re.sub(re.escape(BEGIN) + ".*?" + re.escape(END) + "\n", lambda _: section, text, flags=re.S)
    else:
        text = f"{text.rstrip()}\n\n## Every field\n\n{section}"
    page.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
