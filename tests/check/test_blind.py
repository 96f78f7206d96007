"""What the checker says of tasks that keep their results until others are done (`blindUntil`)."""

from __future__ import annotations

import pytest

from engine.bpmn.check import check
from engine.bpmn.check.document import FormNames
from tests.bpmn.build import end, exclusive, parallel, properties, start, sub, user
from tests.check.cases import Case, checks, line, one

MANY = "<multiInstanceLoopCharacteristics{}><loopCardinality>2</loopCardinality></multiInstanceLoopCharacteristics>"
BLIND = properties(blindUntil="x")


def told(case: Case) -> list[tuple[str, str]]:
    return [(f.severity.value, f.en) for f in check({"p.bpmn": case.xml}, case.context) if f.rule == "FIELD-BLIND"]


@pytest.mark.parametrize(
    ("case", "severity", "word"),
    [
        (line(user("x", properties(blindUntil="= who"))), "draft", "no ids"),
        (line(user("x", properties(blindUntil="p.y"))), "draft", "no user task of this file"),
        (line(user("x", BLIND)), "draft", "itself"),
        (line(user("x", BLIND + MANY.format(' isSequential="true"'))), "draft", "in turn"),
        (line(user("x", BLIND + "<standardLoopCharacteristics/>")), "draft", "in turn"),
        (checks(b=MANY.format(' isSequential="true"')), "draft", "in turn"),
        (one(start(), user("y", properties(blindUntil="x")), sub("b", start("i"), user("x"), end("o"), "i>x", "x>o"), end(), "s>y", "y>b", "b>e"),
         "draft", "another process or sub-process"),
        (checks("s>f", "f>x", "f>j", "x>y", "y>j", "j>e"), "warning", "not parallel"),
        (one(start(), exclusive("g"), user("x"), user("y", BLIND), end(), "s>g", "g>x: a", "g>y: not(a)", "x>e", "y>e"), "warning", "not parallel"),
        (checks(form_names={"p.x": FormNames(writes=frozenset({"items", "a"})), "p.y": FormNames(writes=frozenset({"items"}))}),
         "warning", "both write items"),
    ],
)  # fmt: skip
def test_what_cannot_be_blind_is_told(case: Case, severity: str, word: str) -> None:
    [(found, text)] = told(case)

    assert found == severity
    assert word in text


@pytest.mark.parametrize(
    "case",
    [
        checks(),
        checks(b=MANY.format("")),
        line(user("x", BLIND + MANY.format(""))),
        one(start(), exclusive("m"), parallel("f"), user("x", properties(blindUntil="y")), user("y", BLIND), parallel("j"), exclusive("g"), end(),
            "s>m", "m>f", "f>x", "f>y", "x>j", "y>j", "j>g", "g>m: again", "g>e: not(again)"),
    ],
)  # fmt: skip
def test_parallel_tasks_may_be_blind_in_a_loop_as_well(case: Case) -> None:
    assert told(case) == []
