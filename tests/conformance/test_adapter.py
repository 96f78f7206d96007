"""What the runners ask of the adapter besides the cases that are given."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bpmn.build import boundary, diagram, element, end, event, process, start, throw, timer, user
from tests.conformance.suite import CONFORMANCE

if not CONFORMANCE.is_dir():
    pytest.skip("the cases of others are not beside this folder", allow_module_level=True)

from tests.conformance.adapter import ProductAdapter


@pytest.fixture
def adapter() -> Iterator[ProductAdapter]:
    made = ProductAdapter()
    yield made
    made.close()


def open_elements(adapter: ProductAdapter) -> list[str]:
    return [found for instance in adapter.instances() for found in adapter.active(instance)]


def test_a_timer_that_starts_a_process_is_among_the_next_due(adapter: ProductAdapter) -> None:
    adapter.load(diagram(process(
        start("s", timer("timeCycle", "R/PT1H")), user("a"), boundary("late", "a", timer("timeDuration", "PT90M")), user("b"),
        "s>a", "late>b")))

    seen = []
    for _ in range(3):
        assert adapter.fire_timer()
        seen.append(open_elements(adapter))

    assert seen == [["a"], ["a", "a"], ["b", "a"]]


def test_processes_that_are_started_one_after_the_other_run_side_by_side(adapter: ProductAdapter) -> None:
    waiting = element("scriptTask", "w", "<script>wait_seconds(10)</script>")
    adapter.load(diagram(
        process(start(), waiting, boundary("m", "w", event("message", "mA")), user("told"), end(), "s>w", "w>e", "m>told"),
        process(start("s2"), throw("t", event("message", "mA")), end("e2"), "s2>t", "t>e2", id="q")))

    adapter.start("p")
    adapter.start("q")
    adapter.run()

    assert open_elements(adapter) == ["told"]


def test_program_code_of_other_houses_is_done_at_once(adapter: ProductAdapter) -> None:
    adapter.load(diagram(process(
        start(), element("serviceTask", "w", camunda_class="org.example.Work"),
        throw("t", '<messageEventDefinition camunda:delegateExpression="${sender}"/>'),
        user("a", "<extensionElements><camunda:taskListener event=\"create\" class=\"org.example.Listener\"/></extensionElements>"),
        "s>w", "w>t", "t>a")))

    adapter.start("p")

    assert open_elements(adapter) == ["a"]
