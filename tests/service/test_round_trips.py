"""On PostgreSQL a completion asks the server twice and commits once, however much it writes; once where its rows are known."""

from __future__ import annotations

import orjson
import pytest

from engine.model import SYSTEM
from engine.store import postgres
from tests.bpmn.build import boundary, diagram, end, process, properties, start, timer, user
from tests.databases import Watch
from tests.service.house import ANN, FOR_ENGINEERS, House, before_its_commit

pytestmark = pytest.mark.only_on("postgresql")

FORM = orjson.dumps({"id": "note", "type": "default", "schemaVersion": 16, "components": [{"type": "textfield", "key": "note", "label": "备注"}]})
TWO = diagram(
    process(start(), user("a", camunda_formKey="note", **FOR_ENGINEERS), user("b", **FOR_ENGINEERS), end(), "s>a", "a>b", "b>e")
)


@pytest.fixture(params=["one statement", "a pipeline"])
def watch(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Watch:
    if request.param == "a pipeline":
        monkeypatch.setattr(postgres, "_USUAL", 1000)  # as it is the first times
    return Watch(monkeypatch)


def outcome(trip: list[str]) -> str:
    """Return what a round trip did with the transaction that it ended, or nothing."""
    if trip[-1].startswith("with s0 as (") and len(trip) == 1:
        return "commit"
    return trip[-1] if trip[-1] in ("commit", "rollback") else ""


def test_a_completion_is_a_read_and_a_write_with_one_commit(house: House, watch: Watch, request: pytest.FixtureRequest) -> None:
    house.deploy(TWO, files={"note.form": FORM})
    for n in range(3):
        id = house.start().id
        for element, values in (("a", {"note": "好"}), ("b", {"x": 1})):
            task = house.task(id, element).id
            if n != 2:
                house.engine._runtime.lately.forget([id])
            watch.seen()
            house.engine.tasks.complete(ANN, task, values, idempotency_key=f"{n}")
            if n == 0:
                continue  # reads what never changes: the diagram, the form
            *reads, write = watch.seen()
            assert [len(read) for read in reads] == ([1] if n == 1 else [])
            assert outcome(write) == "commit"
            if "a pipeline" in request.node.name:
                assert write[0].startswith("begin")
                assert write[1].startswith("with changed as (update instance set")
                assert [sql for sql in write if sql == "commit"] == [write[-1]]
                assert len(write) <= 15
            else:
                assert write[0].startswith("with s0 as (update instance set")
        assert house.status(id) == "completed"


def test_a_claim_is_a_read_and_a_write(house: House, watch: Watch) -> None:
    house.deploy(TWO, files={"note.form": FORM})
    for n in range(3):
        id = house.start().id
        task = house.task(id, "a").id
        if n != 2:
            house.engine._runtime.lately.forget([id])
        watch.seen()
        house.engine.tasks.claim(ANN, task)
        assert n == 0 or [outcome(trip) for trip in watch.seen()] == (["", "commit"] if n == 1 else ["commit"])


def test_a_start_only_asks_whether_something_was_deployed_and_writes(house: House, watch: Watch) -> None:
    house.deploy(TWO, files={"note.form": FORM})
    for n in range(2):
        watch.seen()
        house.start()
        *reads, write = watch.seen()
        assert outcome(write) == "commit"
        assert n == 0 or {sql for trip in reads for sql in trip} == {"select value from meta where name = 'deployments'"}


def test_a_completion_that_cannot_be_written_for_a_faster_one_asks_again(house: House, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    house.deploy(TWO, files={"note.form": FORM})
    id = house.start().id
    task = house.task(id, "a").id
    other = house.beside()

    def meanwhile() -> None:
        other.engine.instances.set_variables(SYSTEM, id, {"y": 1}, "meanwhile")
        watch.seen()

    before_its_commit(monkeypatch, house, meanwhile)
    house.engine.tasks.complete(ANN, task, {"note": "好"})

    outcomes = [outcome(trip) for trip in watch.seen()]
    # one statement that misses leaves nothing to take back
    assert [what for what in outcomes if what] == (["commit"] * 2 if postgres._USUAL == 0 else ["commit", "rollback", "commit"])
    assert house.engine.instances.variables(SYSTEM, id)["y"] == 1
    assert house.engine.audit.verify() == ()
    other.close()


def test_a_timer_and_its_deadline_cost_one_more_read_at_most(house: House, watch: Watch) -> None:
    house.deploy(diagram(process(
        start(), user("a", inner=properties(x="y")), boundary("late", "a", timer("timeDuration", "P1D")), user("b"), end(), "s>a", "a>b", "late>b", "b>e"
    )))  # fmt: skip
    for n in range(2):
        task = house.task(house.start().id, "a").id
        watch.seen()
        house.engine.tasks.complete(SYSTEM, task)
        assert n == 0 or len(watch.seen()) <= 4
