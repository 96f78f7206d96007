"""Whoever changes the database behind the engine's back is found by `verify`, and by the auditor's script on an export."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256, shake_128
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from engine.cli import main
from engine.errors import AccessDenied, WrongState
from engine.model import SYSTEM
from engine.store.chain import pack, unpack
from tests.bpmn.build import boundary, catch, diagram, end, event, parallel, process, start, timer, user
from tests.service.house import ANN, FOR_ENGINEERS, OWNER, House

SCRIPT = Path(__file__).parents[2] / "docs" / "verify_export.py"
DIAGRAM = diagram(process(start(), user("a"), user("b"), end(), "s>a", "a>b", "b>e"))


@pytest.fixture
def tampered(tmp_path: Path) -> Iterator[tuple[House, sqlite3.Connection]]:
    """Two instances that wait at b, three entries in the history of each, and a connection of somebody else."""
    house = House(tmp_path / "data")
    house.deploy(DIAGRAM)
    for n in (1, 2):
        id = house.start(variables={"n": n}).id
        house.complete(id, "a", amount=12345, note="通过")
        house.engine.instances.set_variables(OWNER, id, {"n": random.Random(n).randbytes(2000).hex()}, "mended")  # stands apart
    other = sqlite3.connect(house.settings.database, isolation_level=None)
    yield house, other
    other.close()
    house.close()


def flip(column: str) -> Callable[[sqlite3.Connection], None]:
    table, name = column.split(".")

    def change(db: sqlite3.Connection) -> None:
        chance = random.Random(3)
        key = "id" if table == "instance" else "instance_id, seq"
        rows = db.execute(f"select {key}, {name} from {table} where {name} is not null").fetchall()
        *place, before = rows[chance.randrange(len(rows))]
        at = chance.randrange(len(before))
        after = before[:at] + bytes([before[at] ^ 1 << chance.randrange(8)]) + before[at + 1 :]
        where = " and ".join(f"{k} = ?" for k in key.split(", "))
        db.execute(f"update {table} set {name} = ? where {where}", (after, *place))

    return change


def run(*statements: str) -> Callable[[sqlite3.Connection], None]:
    def change(db: sqlite3.Connection) -> None:
        for statement in statements:
            db.execute(statement)

    return change


FIRST = "(select min(id) from instance)"
LAST = "(select max(id) from instance)"
def entry(n: int) -> str:
    """Where the n-th entry of the first instance stands; -1: the last."""
    order, offset = ("seq", n) if n >= 0 else ("seq desc", -1 - n)
    return f"instance_id = {FIRST} and seq = (select seq from event where instance_id = {FIRST} order by {order} limit 1 offset {offset})"


COMPLETED = entry(1)


def another_value(db: sqlite3.Connection) -> None:
    """Change a form value with its commitment and the hash of its row, as somebody would who has read the code."""
    body, salt, payload = db.execute(f"select body, salt, payloads from event where {COMPLETED}").fetchone()
    changed = unpack(payload).replace(b"12345", b"99999")
    assert changed != unpack(payload)
    made = shake_128(salt).digest(16 * (changed.count(b"\n") + 1))
    salts = [made[n : n + 16] for n in range(0, len(made), 16)]
    digests = b"".join(sha256(own + text).digest() for own, text in zip(salts, changed.split(b"\n"), strict=True))
    commitment = sha256(digests).digest()
    (head,) = db.execute(f"select hash from event where {entry(0)}").fetchone()
    hash = sha256(head + commitment + unpack(body)).digest()
    db.execute(f"update event set payloads = ?, commitment = ?, hash = ? where {COMPLETED}", (pack(changed), commitment, hash))


def salt_eats_payload(db: sqlite3.Connection) -> None:
    """Move the border between salt and payload."""
    db.execute(f"update event set salt = cast(salt || payloads as blob), payloads = x'' where {COMPLETED}")


def commitment_eats_body(db: sqlite3.Connection) -> None:
    """Move the border between commitment and text."""
    (stored,) = db.execute(f"select body from event where {COMPLETED}").fetchone()
    body = unpack(stored)
    db.execute(f"update event set commitment = cast(commitment || ? as blob), body = ? where {COMPLETED}", (body[:20], body[20:]))


def another_last_value(db: sqlite3.Connection) -> None:
    """Change the last entry of the chain, whose hash no further one holds."""
    (head,) = db.execute(f"select hash from event where {entry(-2)}").fetchone()
    stored, commitment = db.execute(f"select body, commitment from event where {entry(-1)}").fetchone()
    body = unpack(stored).replace(b'"names":["n"]', b'"names":["m"]')
    assert body != unpack(stored)
    db.execute(f"update event set body = ?, hash = ? where {entry(-1)}", (pack(body), sha256(head + commitment + body).digest()))


def _replaced(db: sqlite3.Connection, before: bytes, after: bytes) -> None:
    (stored,) = db.execute(f"select body from event where {COMPLETED}").fetchone()
    assert before in unpack(stored)
    db.execute(f"update event set body = ? where {COMPLETED}", (pack(unpack(stored).replace(before, after)),))


CHANGES: dict[str, Callable[[sqlite3.Connection], None]] = {
    **{f"flip {c}": flip(c) for c in (
        "event.body", "event.hash", "event.commitment", "event.payloads", "event.salt", "event_payload.body", "event_payload.salt",
        "instance.head",
    )},
    "removed": run(f"delete from event where {entry(1)}"),
    "cut": run(f"delete from event where {entry(-1)}"),
    "payload removed": run(f"update event set salt = null, payloads = null where {COMPLETED}"),
    "large payload removed": run(f"delete from event_payload where {entry(2)}"),
    "commitment removed": run(f"update event set commitment = null, salt = null, payloads = null where {COMPLETED}"),
    "payload instead of a large one": run(f"update event set salt = x'{'00' * 16}', payloads = x'7b7d' where {entry(2)}"),
    "reordered": run(
        f"create temp table t as select seq, body, hash from event where instance_id = {FIRST} order by seq limit 2",
        "update event set (body, hash) = (select body, hash from t where t.seq != event.seq) where seq in (select seq from t)"
        f" and instance_id = {FIRST}",
    ),
    "moved": run(f"update event set seq = 99 where {entry(1)}"),
    "payloads swapped": run(
        f"create temp table t as select seq, payloads, salt from event where instance_id = {FIRST} order by seq limit 2",
        "update event set (payloads, salt) = (select payloads, salt from t where t.seq != event.seq) where seq in (select seq from t)"
        f" and instance_id = {FIRST}",
    ),
    "instances swapped": run(
        *(f"update {table} set instance_id = {to} where instance_id = {of}" for table in ("event", "event_payload")
          for of, to in ((FIRST, 7), (LAST, FIRST), (7, LAST))),
    ),
    "instance removed": run(
        "pragma foreign_keys = off", f"delete from user_task_candidate where task_id in (select id from user_task where instance_id = {FIRST})",
        f"delete from instance where id = {FIRST}",
    ),
    "number instead": run(f"update event set body = 5 where {entry(1)}"),
    "text instead": run(f"update event set seq = 'x' where {entry(1)}"),
    "list instead": run(f"update event set body = '[1]' where {entry(1)}"),
    "deep instead": run(f"update event set body = '{'[' * 50000}' where {entry(1)}"),
    "another value": another_value,
    "another last value": another_last_value,
    "salt eats payload": salt_eats_payload,
    "commitment eats body": commitment_eats_body,
    "place instead": lambda db: _replaced(db, b'"payload":0', b'"payload":{}'),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_behind_the_engines_back_is_found(tampered: tuple[House, sqlite3.Connection], change: str) -> None:
    house, db = tampered
    assert house.engine.audit.verify() == ()

    CHANGES[change](db)

    assert house.engine.audit.verify()
    result = CliRunner().invoke(main, ["verify", "--data", str(house.folder)])
    assert result.exit_code == 1, result.output


def changed_lines(lines: list[dict[str, Any]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Give exports with one change each."""
    chance = random.Random(5)
    place = next(n for n, line in enumerate(lines) if n and "12345" in str(line["payloads"]))
    first, *others = lines[place]["payloads"]

    def with_payload(**changes: str) -> list[dict[str, Any]]:
        return [*lines[:place], {**lines[place], "payloads": [{**first, **changes}, *others]}, *lines[place + 1 :]]

    for _ in range(20):
        text = lines[place]["body"]
        at = chance.randrange(len(text))
        yield f"body {at}", [*lines[:place], {**lines[place], "body": text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]}, *lines[place + 1 :]]
        text = first["text"]
        at = chance.randrange(len(text))
        yield f"payload {at}", with_payload(text=text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :])
    yield "commitment", [*lines[:place], {**lines[place], "commitment": "00" * 32}, *lines[place + 1 :]]
    yield "no commitment", [*lines[:place], {**lines[place], "commitment": None, "payloads": None}, *lines[place + 1 :]]
    yield "commitment eats body", [
        *lines[:place],
        {**lines[place], "commitment": lines[place]["commitment"] + lines[place]["body"][:9].encode().hex(), "body": lines[place]["body"][9:]},
        *lines[place + 1 :],
    ]
    yield "hash", [*lines[:place], {**lines[place], "hash": "00" * 32}, *lines[place + 1 :]]
    yield "salt", with_payload(salt="00" * 16)
    yield "digest", with_payload(digest="00" * 32)
    yield "payload removed", [*lines[:place], {**lines[place], "payloads": others}, *lines[place + 1 :]]
    yield "removed", [*lines[:place], *lines[place + 1 :]]
    yield "cut", lines[:-1]
    yield "doubled", [*lines[: place + 1], *lines[place:]]
    yield "reordered", [*lines[:2], lines[3], lines[2], *lines[4:]]
    yield "salt eats payload", with_payload(salt=first["salt"] + first["text"].encode().hex(), text="")
    yield "list", [*lines[:place], {**lines[place], "body": "[1]"}, *lines[place + 1 :]]
    yield "seq", [*lines[:place], {**lines[place], "seq": "x"}, *lines[place + 1 :]]
    yield "instance", [{**lines[0], "instance": "5"}, *lines[1:]]
    yield "head", [{**lines[0], "head": "00" * 32}, *lines[1:]]


def test_the_auditors_script_finds_the_same_on_an_export(tampered: tuple[House, sqlite3.Connection], tmp_path: Path) -> None:
    house, _ = tampered
    ((id,), _other) = house.rows("select id from instance order by id")
    lines = [json.loads(line) for line in house.engine.instances.export(SYSTEM, id)]
    paths = []
    for n, (_what, changed) in enumerate(changed_lines(lines)):
        path = tmp_path / f"{n}.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in changed), "utf-8")
        paths.append(str(path))

    for path, (what, _) in zip(paths, changed_lines(lines), strict=True):
        found = subprocess.run([sys.executable, "-I", "-S", str(SCRIPT), path], capture_output=True, text=True, check=False)
        assert found.returncode == 1, (what, found.stdout, found.stderr)
        assert "CHANGED" in found.stdout, (what, found.stderr)


def test_payloads_erased_by_command_are_gone_and_the_chain_verifies(tampered: tuple[House, sqlite3.Connection]) -> None:
    house, db = tampered
    (id, other) = (i for (i,) in house.rows("select id from instance order by id"))
    house.complete(id, "b")

    with pytest.raises(WrongState):
        house.engine.keep.erase(OWNER, other, "the law", everything=True)
    with pytest.raises(AccessDenied):
        house.engine.keep.erase(ANN, id, "the law", everything=True)
    erased = house.engine.keep.erase(OWNER, id, "the law", everything=True)

    assert erased.payload_count > 2
    assert db.execute("select count(payloads) from event where instance_id = ?", (id,)).fetchone() == (1,)
    assert db.execute("select count(*) from event_payload where instance_id = ?", (id,)).fetchone() == (0,)
    assert house.engine.audit.verify() == ()
    assert house.events(id, "PayloadsErased")[0].reason == "the law"


@pytest.mark.parametrize(
    "statement",
    [
        "update user_task set assignee = 'eve' where ended_at is null", "update user_task set due_at = 5 where ended_at is null", "delete from user_task_candidate",
        "insert into user_task_candidate (principal, sort_at, task_id) select 'u:eve', 1, min(id) from user_task", "update instance set status = 'suspended'",
        "update job set token = 99 where kind = 'timer'", "delete from job", "delete from subscription", "update subscription set token = 77",
        f"update instance_state set body = (select body from instance_state where instance_id = {LAST}) where instance_id = {FIRST}",
    ],
)  # fmt: skip
def test_rows_that_no_command_wrote_are_found_by_the_cross_check(tmp_path: Path, statement: str) -> None:
    house = House(tmp_path / "data")
    house.deploy(
        diagram(
            process(
                start(), user("a", **FOR_ENGINEERS), parallel("f"), user("b", **FOR_ENGINEERS), boundary("late", "b", timer("timeDuration", "PT1H")),
                catch("heard", event("message", "mA")), end(), end("e2"), end("e3"), "s>a", "a>f", "f>b", "f>heard", "heard>e", "b>e2", "late>e3",
            )
        )
    )  # fmt: skip
    for n in (1, 2):
        house.complete(house.start(variables={"n": n}).id, "a", amount=n)
    assert house.engine.audit.cross_check() == ()

    house.change(statement)

    assert house.engine.audit.cross_check()
    assert house.engine.audit.verify() == ()
    house.close()
