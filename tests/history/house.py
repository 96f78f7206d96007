"""Ended instances with everything that people type: fields, files, reasons; and somebody else's hand on the database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.model import SYSTEM, InstanceId
from tests.bpmn.build import diagram, end, process, start, user
from tests.service.house import ANN, FOR_ENGINEERS, OWNER, House

DIAGRAM = diagram(process(start(), user("a", **FOR_ENGINEERS), user("b"), end(), "s>a", "a>b", "b>e"))


def house_at(folder: Path, **settings: Any) -> House:
    house = House(folder, **settings)
    if not house.rows("select 1 from person"):
        house.add_people()
        house.deploy(DIAGRAM)
    return house


def running(house: House, n: int = 1, **options: Any) -> InstanceId:
    """Start an instance and complete its first task, with a file and fields; it waits at b."""
    id = house.start(variables={"n": n}, title=f"投标 {n}", business_key=f"B-{n}", **options).id
    task = house.task(id, "a")
    house.engine.tasks.attach(ANN, task.id, "files", f"报价{n}.pdf", "application/pdf", b"%%PDF of %d" % n)
    house.complete(id, "a", by=ANN, contact="王小明", phone="13800138000", amount=12345 + n, note=f"联系人王小明,见第{n}页")
    return id


def ended(house: House, n: int = 1, **options: Any) -> InstanceId:
    id = running(house, n, **options)
    house.complete(id, "b", result="pass")
    return id


def cancelled(house: House, n: int, reason: str) -> InstanceId:
    id = running(house, n)
    house.engine.instances.cancel(OWNER, id, reason)
    return id


def export(house: House, id: InstanceId) -> list[bytes]:
    return list(house.engine.instances.export(SYSTEM, id))
