"""Random diagrams and random walks: whatever happens, the log, the state and the open work tell the same story."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from engine import events as log
from engine.bpmn import visible_variables
from engine.model import (
    BroadcastSignal,
    CompleteJob,
    CompleteUserTask,
    CorrelateMessage,
    FireTimers,
    InstanceStatus,
    RetryElement,
    SubscriptionKind,
    TokenId,
)
from tests.bpmn.build import (
    boundary,
    call,
    diagram,
    end,
    event,
    event_sub,
    exclusive,
    inclusive,
    loop,
    many,
    parallel,
    process,
    script,
    service,
    start,
    sub,
    timer,
    user,
)
from tests.bpmn.folds import check_against, fold
from tests.bpmn.play import Instance, Play


class Writer:
    """Writes a random block-structured process with boundary events, loops, calls and event sub-processes."""

    def __init__(self, rnd: random.Random) -> None:
        self.rnd, self.n, self.parts = rnd, 0, [""]

    def name(self, kind: str) -> str:
        self.n += 1
        return f"{kind}{self.n}"

    def block(self, depth: int) -> tuple[list[str], str, str]:
        """Return (parts, first node, last node)."""
        kind = self.rnd.choice(["user", "script", "service", "user"] if depth <= 0 else [
            "user", "script", "service", "sequence", "parallel", "inclusive", "exclusive", "rework", "sub", "call", "guarded"])
        if kind in ("user", "script", "service"):
            id = self.name(kind[0])
            extra = self.rnd.choice(["", "", "", many("2"), many("3", one_by_one=True), loop(maximum="2")])
            made = {
                "user": lambda: user(id, extra), "script": lambda: script(id, f"{{{id}: 1, n: n + 1}}", extra),
                "service": lambda: service(id, "work", extra)}[kind]()
            return [made], id, id
        if kind == "sequence":
            a, first, middle = self.block(depth - 1)
            b, next_, last = self.block(depth - 1)
            return [*a, *b, f"{middle}>{next_}"], first, last
        if kind in ("parallel", "inclusive"):
            gateway = parallel if kind == "parallel" else inclusive
            f, j = self.name("f"), self.name("j")
            parts = [gateway(f), gateway(j)]
            for _ in range(self.rnd.choice([2, 2, 3])):
                inner, first, last = self.block(depth - 1)
                parts += [*inner, f"{f}>{first}" + (": true" if kind == "inclusive" else ""), f"{last}>{j}"]
            return parts, f, j
        if kind == "exclusive":
            f, j = self.name("x"), self.name("m")
            a, a1, a2 = self.block(depth - 1)
            b, b1, b2 = self.block(depth - 1)
            test = self.rnd.choice(["n > 3", "missing > 1"])
            return [exclusive(f), exclusive(j), *a, *b, f"{f}>{a1}: {test}", f"{f}>{b1}!", f"{a2}>{j}", f"{b2}>{j}"], f, j
        if kind == "rework":
            m, g = self.name("m"), self.name("x")
            a, a1, a2 = self.block(depth - 1)
            count = self.name("c")
            tick = self.name("s")
            return [
                exclusive(m), exclusive(g), *a, script(tick, f"{{{count}: if {count} = null then 1 else {count} + 1}}"), f"{m}>{a1}",
                f"{a2}>{tick}", f"{tick}>{g}", f"{g}>{m}: {count} < 3", f"{g}>{g}_out!", exclusive(f"{g}_out")], m, f"{g}_out"
        if kind == "sub":
            id, s = self.name("sub"), self.name("start")
            inner, first, _ = self.block(depth - 1)
            parts = [start(s), *inner, f"{s}>{first}"]
            if self.rnd.random() < 0.5:
                q, h, t = self.name("q"), self.name("h"), self.name("start")
                interrupting = self.rnd.choice(["true", "false"])
                trigger = self.rnd.choice([event("message", "mA"), timer("timeDuration", "PT2H")])
                parts.append(event_sub(q, start(t, trigger, isInterrupting=interrupting), user(h), f"{t}>{h}"))
            extra = self.rnd.choice(["", "", many("2")])
            return [sub(id, *parts, inner=extra)], id, id
        if kind == "call":
            id = self.name("k")
            return [call(id, "called", self.rnd.choice(["", many("2")]))], id, id
        id, b, h, m = self.name("u"), self.name("b"), self.name("u"), self.name("m")
        trigger = self.rnd.choice([timer("timeDuration", "PT1H"), timer("timeCycle", "R2/PT1H"), event("message", "mB")])
        if self.rnd.random() < 0.5:
            return [user(id), boundary(b, id, trigger), user(h), exclusive(m), f"{id}>{m}", f"{b}>{h}", f"{h}>{m}"], id, m
        return [user(id), boundary(b, id, trigger, cancelActivity="false"), user(h), end(f"{h}_e"), f"{b}>{h}", f"{h}>{h}_e"], id, id

    def process(self) -> bytes:
        parts, first, last = self.block(4)
        called = process(start(), user("cu"), script("cs", "{called: 1}"), end(), "s>cu", "cu>cs", "cs>e", id="called")
        return diagram(process(start(), *parts, end(), f"s>{first}", f"{last}>e"), called)


def act(p: Play, instance: Instance, rnd: random.Random) -> bool:
    """Do one thing that is possible now; False when nothing is left to do."""
    assert instance.step
    choices: list[object] = []
    choices += [CompleteUserTask(token=t, values={"n": rnd.randrange(9)}) for _, t in instance.user_tasks()]
    choices += [CompleteJob(token=t, values={"n": rnd.randrange(9)}) for t in map(TokenId, instance.jobs)]
    choices += [
        CorrelateMessage(name=s.name, token=s.token) if s.kind is SubscriptionKind.MESSAGE else BroadcastSignal(name=s.name)
        for s in instance.step.subscriptions]
    folded = fold(instance.events)
    choices += [RetryElement(token=TokenId(t)) for t in folded.incidents] if rnd.random() < 0.3 or not choices else []
    if instance.step.timers and (not choices or rnd.random() < 0.2):
        p.at = max(p.at, instance.step.timers[0].due_at + timedelta(seconds=rnd.choice([0, 0, 100, 90_000])))
        p.send(instance, FireTimers())
        return True
    if not choices:
        return False
    command = rnd.choice(choices)
    if isinstance(command, CompleteJob):
        del instance.jobs[command.token]
    if isinstance(command, RetryElement):
        p.set(missing=rnd.randrange(3))
    if p.first.status is InstanceStatus.ACTIVE:
        p.send(instance, command)  # type: ignore[arg-type]
    return True


@pytest.mark.parametrize("seed", range(120))
def test_log_and_state_agree_on_every_walk(seed: int) -> None:
    rnd = random.Random(seed)
    p = Play(Writer(rnd).process(), "p", {"n": 0})
    instance = p.first

    for _ in range(60):
        folded = fold(instance.events)
        assert instance.state is not None
        assert instance.step
        check_against(folded, instance.definition, instance.state)
        jobs = {t for t in folded.jobs if t in folded.at}
        assert jobs == set(instance.jobs)
        dues = sorted(due for due_list in folded.timers.values() for due in due_list)  # type: ignore[type-var]
        assert dues == sorted(t.due_at for t in instance.step.timers)
        assert folded.variables[None] == visible_variables(instance.definition, instance.state)
        if instance.status is not InstanceStatus.ACTIVE or not act(p, instance, rnd):
            break
    if instance.status is InstanceStatus.COMPLETED:
        folded = fold(instance.events)
        assert not (folded.at)
        assert not (folded.on_flow)
        assert not (folded.tasks)
        assert not (folded.timers)
        assert not (folded.incidents)
        side_by_side = ("parallelGateway", "inclusive", 'isSequential="false"')
        assert not p.seen(log.WriteConflicted) or any(word in str(p.sources[0].xml) for word in side_by_side)


def test_the_same_commands_give_the_same_bytes_in_another_process() -> None:
    program = (
        "import hashlib, random; from tests.bpmn.test_walks import Writer, act; from tests.bpmn.play import Play\n"
        "rnd = random.Random(7); made = hashlib.sha256()\n"
        "for _ in range(12):\n"
        "    p = Play(Writer(rnd).process(), 'p', {'n': 0})\n"
        "    for _ in range(20):\n"
        "        made.update(p.first.state); made.update(repr(p.first.events).encode())\n"
        "        if p.first.status != 'active' or not act(p, p.first, rnd): break\n"
        "print(made.hexdigest())")
    root = Path(__file__).resolve().parents[2]
    digests = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)}, cwd=root,
            capture_output=True, text=True, check=True).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1
