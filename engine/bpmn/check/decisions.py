"""What is told of decision tables when they are deployed: rows that contradict each other, cases without a row, dead rows, names."""

from __future__ import annotations

from engine.feel.check import TableProblem, table_problems
from engine.feel.dmn import DecisionModel
from engine.model import Finding, Severity

#: ``{kind of table problem: (rule, how to mend it in Chinese, in English)}``.
_TABLES = {
    "gap": (
        "DECISION-GAP", "请补一行，或用输入列的允许值说明不会出现",
        "Add a row, or say by the input values of the column that it cannot be",
    ),
    "overlap": (
        "DECISION-OVERLAP", "请使各行互斥，或改用命中策略 FIRST", "Make the rows exclude each other, or use the hit policy FIRST",
    ),
    "masked": ("DECISION-MASKED", "请删除该行，或移到前面", "Remove the row, or move it up"),
    "not_analysed": (
        "DECISION-NOT-ANALYSED", "可以部署；请自行核对各行", "It may be deployed; look through the rows yourself",
    ),
}


def check_decisions(model: DecisionModel, file: str) -> tuple[Finding, ...]:
    """Return what is wrong with the decisions of a file that can be read, by line.

    Rows of a table with the hit policy UNIQUE that match together keep it from being deployed: its value would be null.
    """
    unique = {table.decision for table in model.tables if table.policy == "UNIQUE"}
    found = [_of_table(problem, file, unique) for problem in table_problems(model)]
    found += [
        Finding(
            rule="DECISION-NAME", severity=Severity.WARNING, file=file, element=warning.element or None, line=warning.line,
            zh=warning.zh, en=warning.en, mend_zh="请改正名称，或把它列为所需的输入数据或决策",
            mend_en="Correct the name, or require it as input data or as a decision",
        )
        for warning in dict.fromkeys(model.warnings)
    ]
    return tuple(sorted(found, key=lambda finding: (finding.line, finding.rule)))


def _of_table(problem: TableProblem, file: str, unique: set[str]) -> Finding:
    rule, mend_zh, mend_en = _TABLES[problem.rule]
    contradicts = problem.rule == "overlap" and problem.decision in unique
    return Finding(
        rule=rule, severity=Severity.DRAFT if contradicts else Severity.WARNING, file=file, element=problem.decision or None,
        line=problem.line, zh=f"决策“{problem.decision}”：{problem.zh}", en=f'decision "{problem.decision}": {problem.en}',
        mend_zh=mend_zh, mend_en=mend_en,
    )
