"""After any walk, tables, history and state agree."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import BpmnError, EngineError
from engine.handler import Job
from engine.model import SYSTEM, InstanceId
from tests.bpmn.build import (
    boundary,
    call,
    catch,
    diagram,
    end,
    event,
    event_sub,
    parallel,
    process,
    properties,
    receive,
    script,
    service,
    start,
    throw,
    timer,
    user,
)
from tests.service.house import ANN, BOB, FOR_ENGINEERS, OWNER, House
from tests.service.laws import require_agreement
from tests.service.moves import SEEN, seen, watch

#: While it runs, the rest of the instance stands still.
HOLD = event_sub(
    "hold", start("held", event("message", "mC"), isInterrupting="false"), user("release", **FOR_ENGINEERS), end("released"), "held>release",
    "release>released", inner=properties(suspends="true"),
)  # fmt: skip
#: Branches with a loop, a timer, a deadline that reads a variable, a message, machine work that fails at times, a called
#: process and a condition that may find no way.
MAIN = diagram(
    process(
        start(), parallel("f"), parallel("j"), end(), "s>f", "j>e",
        user("draft", **FOR_ENGINEERS), "<exclusiveGateway id='again'/>", "f>draft", "draft>again", "again>draft: result = 1", "again>j: result = 2",
        user("price", properties(separateFrom="draft"), camunda_dueDate="= due", **FOR_ENGINEERS),
        boundary("late", "price", timer("timeDate", "= due")), user("chase", **FOR_ENGINEERS), "f>price", "price>j", "late>chase", "chase>j",
        boundary("tick", "draft", timer("timeCycle", "R2/PT5H"), cancelActivity="false"), script("note"), end("noted"), "tick>note", "note>noted",
        receive("reply", "mA", properties(correlationKey='= "K"')), "f>reply", "reply>j",
        HOLD, service("w", "work"), boundary("oops", "w", event("error", "eA")), call("c", "inner"), "f>w", "w>c", "c>j", "oops>j",
    )
)  # fmt: skip
INNER = diagram(
    process(start(), user("inside", **FOR_ENGINEERS), throw("tell", event("message", "mB")), catch("nap", timer("timeDuration", "PT3H")), end(), "s>inside", "inside>tell", "tell>nap", "nap>e", id="inner")
)  # fmt: skip

moves = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "claim",
                "release",
                "complete",
                "complete",
                "complete",
                "complete",
                "move",
                "run",
                "run",
                "suspend",
                "resume",
                "message",
                "hold",
                "due",
                "retry",
                "cancel",
            ]
        ),
        st.integers(0, 9),
    ),
    max_size=25,
)


@given(moves, st.integers(0, 3))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_after_any_walk_tables_history_and_state_agree(walk: list[tuple[str, int]], luck: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder) / "data")
        house.add_people()

        @house.handler("work", retries=1, effect="none" if luck == 3 else "outside")
        def work(job: Job) -> dict[str, Any]:
            """Work."""
            if luck == 1:
                raise RuntimeError("down")
            if luck == 2 and job.attempt == 2:
                raise BpmnError("eA")
            if luck == 2:
                raise OSError("away")
            return {"worked": True}

        house.deploy(MAIN, INNER)
        watch(house)
        id = house.start(variables={"due": house.moved.advance(hours=1), "result": 0}).id
        require_agreement(house)
        for move, n in walk:
            with suppress(EngineError):
                take(house, id, move, n)
            require_agreement(house)
        assert seen(house) <= SEEN
        house.close()


def take(house: House, id: InstanceId, move: str, n: int) -> None:
    tasks = list(house.open_tasks(id).values())
    actor = (ANN, BOB)[n % 2]
    match move:
        case "claim" | "release" | "complete" if tasks:
            task = tasks[n % len(tasks)]
            if move == "claim":
                house.engine.tasks.claim(actor, task.id)
            elif move == "release":
                house.engine.tasks.release(actor, task.id)
            else:
                house.engine.tasks.complete(actor if n < 8 else SYSTEM, task.id, {"result": n % 4})
        case "move":
            house.moved.advance(hours=n)
        case "run":
            house.engine.jobs.run_due()
        case "suspend":
            house.engine.instances.suspend(OWNER, id, "wait")
        case "resume":
            house.engine.instances.resume(OWNER, id)
        case "message":
            house.engine.messages.correlate(SYSTEM, "mA", {"n": n}, correlation_key="K")
        case "hold":
            house.engine.messages.correlate(SYSTEM, "mC", instance_id=id)
        case "due":
            house.engine.instances.set_variables(OWNER, id, {"due": house.clock.now(), "result": 2}, "moved")
        case "retry":
            for incident in house.engine.jobs.incidents(OWNER):
                house.engine.jobs.retry(OWNER, incident.id, {"result": 2}, "again")
        case "cancel" if n == 0:
            house.engine.instances.cancel(OWNER, id, "no bid")
