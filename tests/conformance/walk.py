"""Random walks over the diagrams of others, through the façade. A long one: ``python -m tests.conformance.walk 40 60``."""

from __future__ import annotations

import json
import random
import re
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from lxml import etree

from engine import SYSTEM, EngineError
from engine.handler import Job
from engine.model import InstanceId, InstanceStatus
from tests.conformance.adapter import ProductAdapter
from tests.conformance.foreign import CAMUNDA, CONFORMANCE, DIALECT, MODEL, DeployError, translate


@dataclass(frozen=True, slots=True)
class Ground:
    """Where to walk: the files of a case, its processes with the variables that a case starts them with, what may be sent."""

    name: str
    files: tuple[bytes, ...]
    starts: tuple[tuple[str, dict[str, Any]], ...]
    messages: tuple[str, ...]
    signals: tuple[str, ...]
    variables: tuple[str, ...]
    is_conditional: bool


class Broken(AssertionError):
    """Something that must hold does not."""


def grounds() -> Iterator[Ground]:
    """Give every diagram of betsy that is to run, and every one of Camunda's."""
    betsy = json.loads((CONFORMANCE / "betsy.json").read_text("utf-8"))
    for each in betsy["tests"]:
        xml = translate.translate_betsy((CONFORMANCE / "files/betsy" / each["file"]).read_bytes(), DIALECT)[0]
        keys = {each["process_key"], *(c["parallel_process"] for c in each["cases"] if c["parallel_process"])}
        yield _ground(each["id"], (xml,), [(key, dict(c["inputs"])) for c in each["cases"] for key in sorted(keys)])
    camunda = json.loads((CONFORMANCE / "camunda_cases.json").read_text("utf-8"))
    root = CONFORMANCE / "files/camunda" / camunda["source"]["root"]
    for each in camunda["cases"]:
        files = tuple(translate.translate_camunda((root / file).read_bytes(), DIALECT) for file in each["files"])
        yield _ground(each["id"], files, [(s["start"], dict(s["vars"])) for s in each["steps"] if "start" in s])


def _ground(name: str, files: tuple[bytes, ...], starts: list[tuple[str, dict[str, Any]]]) -> Ground:
    trees = [etree.fromstring(file) for file in files]

    def named(tag: str) -> tuple[str, ...]:
        return tuple(sorted({n.get("name") or n.get("id") or "" for tree in trees for n in tree.iter(MODEL + tag)}))

    words = {
        word for tree in trees for node in tree.iter() if isinstance(node.tag, str) and re.search("[cC]ondition|Cardinality", node.tag)
        for word in re.findall(r"\b[a-z]\w+\b", node.text or "") if word not in ("and", "or", "not", "true", "false", "contains")
    }
    return Ground(
        name=name, files=files, starts=tuple(starts), messages=named("message"), signals=named("signal"), variables=tuple(sorted(words)),
        is_conditional=any(b"conditionalEventDefinition" in file for file in files),
    )


class Unreliable(ProductAdapter):
    """Its machine work fails now and then: jobs wait to be tried again, are cancelled meanwhile, become incidents."""

    def __init__(self, rnd: random.Random) -> None:
        super().__init__()
        self._random = rnd

    def work(self, job: Job) -> None:
        if self._random.random() < 0.4:
            raise ConnectionError("nobody answers")
        super().work(job)


class Walker:
    """Does at random what people, systems and time do to the instances of one diagram, and looks after each step."""

    def __init__(self, ground: Ground, seed: str) -> None:
        self.ground = ground
        self.random = random.Random(seed)
        self.adapter = Unreliable(self.random)
        self.taken: list[str] = []  #: steps, to be told when something is broken
        self.refused: Counter[str] = Counter()

    def walk(self, length: int) -> None:
        """Walk; what an engine error refuses is a step like any other.

        Raises:
            Broken: an invariant does not hold; says what was done.
            DeployError: the diagram is refused.
        """
        try:
            first, *others = (self._with_other_workers(file) for file in self.ground.files)
            self.adapter.load(first, self.ground.name, extra=tuple(others))
            for number in range(length):
                step = self.start if number == 0 or self._all_ended() else self.random.choice(self._steps())
                self.taken.append(step.__name__)
                try:
                    step()
                except EngineError as error:
                    self.refused[error.code] += 1
                    self.taken[-1] += f" ({error.code})"
                self.look()
        except (Broken, DeployError):
            raise
        except Exception as error:
            raise Broken(f"{self.ground.name}: {self.taken}: {traceback.format_exc()}") from error
        finally:
            self.adapter.close()

    def _with_other_workers(self, file: bytes) -> bytes:
        """Return the diagram with some tasks done by others: machines fail and wait, people let an instance stand for a while."""
        tree = etree.fromstring(file)
        for node in list(tree.iter(MODEL + "userTask", MODEL + "scriptTask")):
            if self.random.random() < 0.5:
                worker = "serviceTask" if node.tag == MODEL + "userTask" else "userTask"
                kept = {k: v for k, v in node.attrib.items() if not k.startswith("{") and k != "scriptFormat"}
                made = etree.Element(MODEL + worker, kept, nsmap=node.nsmap)
                made.extend([part for part in node if str(part.tag).endswith(("ming", "going", "Characteristics"))])
                made.tail = node.tail
                parent = node.getparent()
                assert parent is not None
                parent.replace(node, made)
        for process in tree.iter(MODEL + "process"):  # a person who writes anything may be gone
            given = sorted({name for key, variables in self.ground.starts if key == process.get("id") for name in variables})
            if given and process.find(f"{MODEL}extensionElements") is None:
                extension = etree.Element(MODEL + "extensionElements")
                properties = etree.SubElement(extension, CAMUNDA + "properties")
                etree.SubElement(properties, CAMUNDA + "property", name="inputs", value=",".join(given))
                process.insert(0, extension)
        return etree.tostring(tree)

    def _all_ended(self) -> bool:
        return not self.adapter.engine.instances.list(SYSTEM, status=InstanceStatus.ACTIVE, limit=1).items

    def _steps(self) -> list[Callable[[], None]]:
        often = [self.complete] * 8 + [self.fire_timer] * 3 + [self.trigger] * 3 + [self.set_variable] * 2 + [self.retry] * 2
        return [*often, self.start, self.let_time_pass, self.send_message, self.send_signal, self.suspend, self.resume, self.resume, self.cancel]

    # -- what happens
    def start(self) -> None:
        key, variables = self.random.choice(self.ground.starts)
        self.adapter.start(key, variables)

    def complete(self) -> None:
        found = [(i, e) for i in self.adapter.instances() for e in self.adapter.active(i)]
        if found:
            self.adapter.complete(*self.random.choice(found), {name: self.value() for name in self.ground.variables if self.random.random() < 0.3})

    def fire_timer(self) -> None:
        self.adapter.fire_timer()

    def let_time_pass(self) -> None:
        self.adapter.run(self.random.choice([1, 60, 5000, 100_000]))

    def trigger(self) -> None:
        found = [(i, s.element) for i in self.adapter.instances() if i.id is not None for s in self.adapter.engine.messages.awaited(SYSTEM, i.id)]
        if found:
            self.adapter.trigger(*self.random.choice(found))

    def send_message(self) -> None:
        if self.ground.messages:
            self.adapter.deliver("message", self.random.choice(self.ground.messages), {"payload": self.value()})

    def send_signal(self) -> None:
        if self.ground.signals:
            self.adapter.deliver("signal", self.random.choice(self.ground.signals))

    def set_variable(self) -> None:
        if self.ground.variables:
            self.adapter.set_variables(self.random.choice(self.adapter.instances()), {self.random.choice(self.ground.variables): self.value()})

    def retry(self) -> None:
        incidents = self.adapter.engine.jobs.incidents(SYSTEM)
        if incidents:
            values = {name: self.value() for name in self.ground.variables if self.random.random() < 0.3}
            self.adapter.engine.jobs.retry(SYSTEM, self.random.choice(incidents).id, values, "walk")
            self.adapter.run()

    def suspend(self) -> None:
        self.adapter.engine.instances.suspend(SYSTEM, self._any(), "walk")

    def resume(self) -> None:
        self.adapter.engine.instances.resume(SYSTEM, self._any())
        self.adapter.run()

    def cancel(self) -> None:
        self.adapter.engine.instances.cancel(SYSTEM, self._any(), "walk")

    def _any(self) -> InstanceId:
        found: InstanceId = self.random.choice([i for i in self.adapter.instances() if i.id is not None]).id
        return found

    def value(self) -> Any:
        return self.random.choice([0, 1, 2, 3, 5, 10, True, False, None, "a", "AB", [1, 2]])

    # -- what must hold
    def look(self) -> None:
        engine = self.adapter.engine
        broken = [f"{b.kind} {b.en}" for b in (*engine.audit.verify(), *engine.audit.cross_check())]
        for instance in self.adapter.instances():
            if instance.id is not None:
                broken += self._look_at(instance.id)
        if broken:
            raise Broken(f"{self.ground.name}: {self.taken}: {broken}")

    def _look_at(self, id: InstanceId) -> Iterator[str]:
        engine = self.adapter.engine
        status = engine.instances.get(SYSTEM, id).status
        tokens, timers, awaited = engine.instances.tokens(SYSTEM, id), engine.instances.timers(SYSTEM, id), engine.messages.awaited(SYSTEM, id)
        if status not in (InstanceStatus.ACTIVE, InstanceStatus.SUSPENDED):
            if tokens or timers or awaited:
                yield f"{id} has ended, but {tokens or timers or awaited} is left"
            return
        if all(token.is_subscription for token in tokens):
            yield f"{id} is active with nothing left in it but {tokens}"
        incidents = [i for i in engine.jobs.of_instance(SYSTEM, id) if i.resolved_at is None]
        tasks = [t for t in engine.tasks.of_instance(SYSTEM, id) if t.ended_at is None]
        work = engine.instances.work(SYSTEM, id)
        if status is InstanceStatus.ACTIVE and not (tasks or timers or awaited or work or incidents or self.ground.is_conditional):
            yield f"{id} stands still without a word: {[(t.element, t.state) for t in tokens]}"


def main(walks: int, length: int, only: str = "") -> int:
    """Walk `walks` times over every diagram whose name holds `only`; return how many walks broke something."""
    bad, steps, refused = 0, 0, Counter[str]()
    for ground in grounds():
        if only not in ground.name:
            continue
        for seed in range(walks):
            walker = Walker(ground, f"{ground.name}.{seed}")
            try:
                walker.walk(length)
            except DeployError:
                break
            except Broken as error:
                bad += 1
                print(f"seed {seed}: {error}")
            steps += len(walker.taken)
            refused += walker.refused
    print(f"{steps} steps, {bad} walks broke something; refused: {dict(refused)}")
    return bad


if __name__ == "__main__":
    sys.exit(bool(main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])))
