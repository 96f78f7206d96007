"""What was written stays as it was, or it shows."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import events as e
from engine import history
from engine.events import EVENT_TYPES, Event, Recorded
from engine.history import Entry, UnreadableEvent, export, fold, genesis, payloads, replay, seal, unseal, verify, without
from engine.model import SYSTEM, Actor, InstanceId, TokenId
from engine.store.chain import pack, pack_payloads, unpack

INSTANCE = 683478614016000003
NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
SCRIPT = Path(__file__).parents[2] / "docs" / "verify_export.py"

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.text(max_size=8),
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-10**9, max_value=10**9),
    st.dates(date(2000, 1, 1), date(2090, 1, 1)), st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)),
)  # fmt: skip
values = st.dictionaries(st.text(min_size=1, max_size=6), st.one_of(scalars, st.lists(scalars, max_size=3)), max_size=4)
instants = st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))


#: Few of them often, so that events say again what those before said.
numbers = st.one_of(st.integers(1, 4), st.integers(1, 2**60))
texts = st.one_of(st.sampled_from("ab"), st.text(max_size=6))


def _field(name: str, hint: Any) -> st.SearchStrategy[Any]:
    text = str(hint)
    if name in ("values", "variables", "inputs", "kept"):
        return values
    if name == "result":
        return scalars
    if name == "definitions":
        return st.dictionaries(st.text(min_size=1, max_size=5), st.integers(1, 9), max_size=3)
    if name == "properties":
        return st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=5), max_size=3)
    if name == "seqs":
        return st.just(())  # what it names would count as erased
    if "tuple[int" in text:
        return st.lists(st.integers(1, 99), max_size=3).map(tuple)
    if "tuple" in text:
        return st.lists(st.text(max_size=5), max_size=3).map(tuple)
    if "datetime" in text:
        return st.one_of(st.none(), instants) if "None" in text else instants
    if hint is bool:
        return st.booleans()
    if "int" in text or "TokenId" in text:
        return st.one_of(st.none(), numbers) if "None" in text else numbers
    return st.one_of(st.none(), texts) if "None" in text else texts


def _event(cls: type[Event]) -> st.SearchStrategy[Event]:
    hints = {n: h for n, h in get_type_hints(cls).items() if n not in ("version", "payload")}
    return st.builds(cls, **{name: _field(name, hint) for name, hint in hints.items()})


any_event = st.sampled_from(sorted(EVENT_TYPES)).flatmap(lambda name: _event(EVENT_TYPES[name]))


ANN = Actor(id="ann")


def chain_of(*given: Event | tuple[Event, ...], at: datetime = NOON) -> list[Entry]:
    """An entry for each: of one event, or of several."""
    head, seq, found = genesis(INSTANCE), 0, list[Entry]()
    for each in given:
        together = each if isinstance(each, tuple) else (each,)
        entry = seal([(event, ANN) for event in together], seq=seq, at=at, head=head)
        head, seq = entry.hash, entry.seq
        found.append(entry)
    return found


def breaks_of(chain: list[Entry], of: list[Entry]) -> list[str]:
    return [b.kind for b in verify(INSTANCE, chain, of[-1].seq, of[-1].hash)]


someone = st.sampled_from([ANN, SYSTEM, Actor(id="bob", acting_for="ann")])


@given(st.lists(st.tuples(any_event, someone), min_size=1, max_size=6), st.integers(0, 9))
@settings(max_examples=400, deadline=None)
def test_every_event_is_read_as_it_was_written(given: list[tuple[Event, Actor]], seq: int) -> None:
    entry = seal(given, seq=seq, at=NOON, head=b"h" * 32)

    assert unseal(INSTANCE, entry) == [
        Recorded(instance_id=InstanceId(INSTANCE), seq=n, at=NOON, actor=who.id, acting_for=who.acting_for, event=event)
        for n, (event, who) in enumerate(given, seq + 1)
    ]
    assert unpack(pack(entry.body)) == entry.body


def test_every_character_is_packed_and_unpacked_as_it_was() -> None:
    for block in range(0, 0x110000, 64):
        text = "".join(chr(c) for c in range(block, block + 64) if not 0xD800 <= c < 0xE000)
        stored = pack(('"values":{"' + text * 2 + '"values":{"').encode())
        assert unpack(stored) == ('"values":{"' + text * 2 + '"values":{"').encode()
        for few in (f'{{"{text[:20]}', f'{{"{text[20:40]}', f'{{"{text[40:]}'):
            assert unpack(pack_payloads(few.encode())) == few.encode()
    # Python's GBK has to stay what it was when an entry was written
    known = b"".join(chr(c).encode("gbk", "ignore") for c in range(0x110000))
    assert sha256(known).hexdigest().startswith("f443cb4e97d2f2004f7cd200a1061edd")


@pytest.mark.parametrize(("text", "kind"), [("中标通知书，请于三日内签订合同。", 2), ("中标😀", 3), ("plain", 2)])
def test_chinese_takes_two_bytes_for_three_unless_gbk_lacks_a_character(text: str, kind: int) -> None:
    payload = ('{"values":{"comment":"' + text + '"}}').encode()

    stored = pack(payload)

    assert (stored[0], unpack(stored)) == (kind, payload)
    assert len(stored) < len(payload)


@pytest.mark.parametrize(
    ("text", "kind"),
    [("同意。", 4), ("中标😀", None), ("plain", None), ("同意。" * 30, 2), ("同意😀" * 30, 3), ("plain" * 60, 2)],
)
def test_short_payloads_are_not_deflated(text: str, kind: int | None) -> None:
    payload = ('{"values":{"comment":"' + text + '"}}').encode()

    stored = pack_payloads(payload)

    assert unpack(stored) == payload
    assert stored == payload if kind is None else (stored[0], len(stored) < len(payload)) == (kind, True)


@given(st.binary(max_size=60))
def test_whatever_stands_in_a_row_is_unpacked_to_something(stored: bytes) -> None:
    assert isinstance(unpack(stored), bytes)
    for kind in (b"\x01", b"\x02", b"\x03", b"\x04"):
        assert isinstance(unpack(kind + stored), bytes)
    for packed in (pack(stored), pack_payloads(stored)):
        assert unpack(packed) == stored or stored[:1] in (b"\x02", b"\x03", b"\x04")


def test_every_type_of_event_is_tried() -> None:
    for cls in EVENT_TYPES.values():
        _event(cls).example  # builds the strategy; a field of an unknown shape would raise


THREE = (
    e.InstanceStarted(process="p", definitions={"p": 1}, business_key="B-1", variables={"amount": Decimal("12.50")}),
    e.UserTaskCompleted(
        process="p",
        element="a",
        token=TokenId(2),
        values={"结果": "通过", "on": date(2026, 3, 2), "at": time(9, 30)},
        due_at=NOON,
    ),
    e.InstanceCompleted(outcome="done"),
)


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_one_changed_byte_anywhere_is_found(data: st.DataObject) -> None:
    chain = chain_of(THREE[0], THREE[1:], THREE[2])
    place = data.draw(st.integers(0, 2))
    part = data.draw(st.sampled_from(["body", "hash", *(["payloads", "salt", "commitment"] if chain[place].payloads is not None else [])]))
    before: bytes = getattr(chain[place], part)
    at, flip = data.draw(st.integers(0, len(before) - 1)), data.draw(st.integers(1, 255))
    after = before[:at] + bytes([before[at] ^ flip]) + before[at + 1 :]
    changed = list(chain)
    changed[place] = replace(chain[place], **{part: after})

    assert breaks_of(changed, of=chain)


def test_an_intact_chain_has_no_breaks() -> None:
    chain = chain_of(*THREE)

    assert breaks_of(chain, of=chain) == []


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_a_missing_event_is_found(cut: int) -> None:
    chain = chain_of(*THREE)

    assert breaks_of(chain[:cut] + chain[cut + 1 :], of=chain)


def test_swapped_events_are_found() -> None:
    chain = chain_of(*THREE)

    assert breaks_of([chain[1], chain[0], chain[2]], of=chain)


def test_a_cut_tail_is_found_by_the_head_that_the_instance_remembers() -> None:
    chain = chain_of(*THREE)

    assert breaks_of(chain[:2], of=chain) == ["tail"]


def test_an_erased_payload_leaves_the_chain_intact_and_its_fields_empty() -> None:
    chain = chain_of(*THREE, e.PayloadsErased(seqs=(1, 2), reason="the law"))
    erased = [*(without(entry, [1, 2]) for entry in chain[:2]), *chain[2:]]

    assert breaks_of(erased, of=chain) == []
    assert (erased[0].salt, erased[0].payloads) == (None, None)
    (first,) = unseal(INSTANCE, erased[0])
    assert first.erased
    assert first.event == e.InstanceStarted(process="p", definitions={"p": 1}, business_key="B-1", variables={})


def test_one_of_several_payloads_is_erased_by_itself() -> None:
    changed = e.VariablesChanged(scope=None, names=("n",), cause="a", values={"n": 7})
    chain = chain_of(THREE[0], (THREE[1], changed), e.PayloadsErased(seqs=(2,), reason="the law"))
    whole = chain[1]
    chain[1] = left = without(whole, [2])

    assert breaks_of(chain, of=chain) == []
    assert [(r.seq, r.erased) for r in unseal(INSTANCE, left)] == [(2, True), (3, False)]
    assert unseal(INSTANCE, left)[1].event == changed
    assert payloads(left).keys() == {3}
    # nothing is left of which its salt could be made again
    assert whole.salt is not None
    assert left.salt is not None
    assert whole.salt not in left.salt
    assert left.payloads is not None
    assert "通过".encode() not in left.payloads
    assert without(left, [3]).payloads is None
    assert breaks_of([chain[0], without(left, [3]), chain[2]], of=chain) == ["payload"]


#: A command of a usual kind: what each event leaves out, the one before it has said.
USUAL = (
    e.UserTaskClaimed(process="p", element="a", token=TokenId(3)),
    e.UserTaskCompleted(process="p", element="a", token=TokenId(3), values={"n": 7}, due_at=NOON),
    e.VariablesChanged(names=("n",), cause="a", values={"n": 7}),
    e.ActivityCompleted(process="p", element="a", token=TokenId(3)),
    e.FlowTaken(process="p", element="a", token=TokenId(3), flow="a_b", to_token=TokenId(4)),
    e.ActivityStarted(process="p", element="b", token=TokenId(4), kind="userTask"),
    e.UserTaskCreated(process="p", element="b", token=TokenId(4), name="B", due_at=None),
)


def test_an_event_says_only_what_those_before_it_have_not_said() -> None:
    (entry,) = chain_of(USUAL)

    assert json.loads(entry.body)["events"] == [
        {"type": "UserTaskClaimed", "process": "p", "element": "a", "token": 3},
        {"type": "UserTaskCompleted", "due_at": NOON.isoformat(), "payload": 0},
        {"type": "VariablesChanged", "names": ["n"], "payload": 0},
        {"type": "ActivityCompleted"},
        {"type": "FlowTaken", "flow": "a_b"},
        {"type": "ActivityStarted", "kind": "userTask", "element": "b"},
        {"type": "UserTaskCreated", "name": "B", "due_at": None},
    ]
    assert tuple(r.event for r in unseal(INSTANCE, entry)) == USUAL


def test_events_that_share_a_payload_lose_it_together(tmp_path: Path) -> None:
    chain = chain_of(USUAL, e.PayloadsErased(seqs=(2, 3), reason="the law"))
    assert payloads(chain[0]) == {2: b'{"values":{"n":7}}', 3: b'{"values":{"n":7}}'}

    for seq in (2, 3):
        erased = [without(chain[0], [seq]), chain[1]]
        assert breaks_of(erased, of=chain) == []
        assert [r.seq for r in unseal(INSTANCE, erased[0]) if r.erased] == [2, 3]
        result = run_script(tmp_path, list(export(INSTANCE, erased, 8, chain[-1].hash)))
        assert (result.returncode, "2 payloads erased" in result.stdout) == (0, True), result.stdout
    (tmp_path / "x").mkdir()
    assert run_script(tmp_path / "x", list(export(INSTANCE, chain, 8, chain[-1].hash))).returncode == 0


def test_a_payload_that_nobody_erased_lawfully_is_missed() -> None:
    chain = chain_of(*THREE)
    robbed = [without(chain[0], [1]), *chain[1:]]

    assert breaks_of(robbed, of=chain) == ["payload"]


def test_a_foreign_payload_in_place_of_none_is_found() -> None:
    chain = chain_of(*THREE)
    last = chain[2]
    changed = [*chain[:2], replace(last, salt=b"s" * 16, payloads=b"{}")]

    assert breaks_of(changed, of=chain) == ["payload"]


def test_equal_payloads_have_different_commitments() -> None:
    one, two = chain_of(THREE[0])[0], chain_of(THREE[0])[0]

    assert one.payloads == two.payloads
    assert one.commitment != two.commitment


def test_an_event_of_a_later_release_is_refused_loudly() -> None:
    (sealed,) = chain_of(THREE[2])
    later = replace(sealed, body=sealed.body.replace(b'"type"', b'"version":9,"type"'))

    with pytest.raises(UnreadableEvent):
        unseal(INSTANCE, later)


def test_an_older_version_is_read_through_its_upgrade(monkeypatch: pytest.MonkeyPatch) -> None:
    (sealed,) = chain_of(e.UserTaskReminded(process="p", element="a", token=TokenId(1), stage="half", recipients=("ann",)))
    old = replace(sealed, body=sealed.body.replace(b'"stage"', b'"step"'))
    monkeypatch.setattr(e.UserTaskReminded, "version", 2)
    monkeypatch.setattr(history, "_shapes", type(history._shapes)())
    monkeypatch.setattr(history, "UPGRADES", {("UserTaskReminded", 1): lambda v: {**v, "stage": v["step"]}})

    event = unseal(INSTANCE, old)[0].event

    assert isinstance(event, e.UserTaskReminded)
    assert event.stage == "half"


# ------------------------------------------------------------------------------------------------------------ the auditor's script
def run_script(tmp_path: Path, lines: list[bytes]) -> subprocess.CompletedProcess[str]:
    path = tmp_path / "export.jsonl"
    path.write_bytes(b"".join(lines))
    return subprocess.run([sys.executable, "-I", "-S", str(SCRIPT), str(path)], capture_output=True, text=True, check=False)


def test_an_auditor_verifies_an_export_with_the_standard_library_alone(tmp_path: Path) -> None:
    chain = chain_of(*THREE)

    result = run_script(tmp_path, list(export(INSTANCE, chain, 3, chain[-1].hash)))

    assert result.returncode == 0, result.stdout + result.stderr
    assert "3 events" in result.stdout
    assert chain[-1].hash.hex() in result.stdout


@pytest.mark.parametrize("part", ["seq", "hash", "commitment", "body", "salt", "text", "digest"])
def test_an_auditor_sees_which_line_was_changed(tmp_path: Path, part: str) -> None:
    chain = chain_of(*THREE)
    lines = list(export(INSTANCE, chain, 3, chain[-1].hash))
    line = json.loads(lines[2])
    inside = line["payloads"][0] if part in ("salt", "text", "digest") else line
    inside[part] = {"seq": 7, "hash": "00" * 32, "commitment": "00" * 32, "salt": "00" * 16, "digest": "00" * 32}.get(part) or inside[part].replace(
        "ann", "eve"
    ).replace("通过", "不过")
    lines[2] = json.dumps(line).encode() + b"\n"

    result = run_script(tmp_path, lines)

    assert result.returncode == 1
    assert "line 3" in result.stdout


def test_an_auditor_sees_a_cut_tail_and_counts_erased_payloads(tmp_path: Path) -> None:
    chain = chain_of(*THREE)
    lines = list(export(INSTANCE, [without(chain[0], [1]), replace(chain[1], salt=None, payloads=None), chain[2]], 3, chain[-1].hash))

    assert "2 payloads erased or kept back" in run_script(tmp_path, lines).stdout
    assert run_script(tmp_path, lines[:-1]).returncode == 1


# ------------------------------------------------------------------------------------------------------------------------ folding
def recorded(*given: Event) -> list[Recorded]:
    return [
        Recorded(
            instance_id=InstanceId(1),
            seq=n,
            at=NOON + timedelta(minutes=n),
            actor="ann" if n % 2 else "bob",
            acting_for=None,
            event=event,
        )
        for n, event in enumerate(given, 1)
    ]


def place(element: str, token: int) -> dict[str, Any]:
    return {"process": "p", "element": element, "token": TokenId(token)}


def test_a_view_tells_where_tokens_stood_how_often_and_how_long() -> None:
    story = recorded(
        e.InstanceStarted(process="p", definitions={"p": 3}, business_key="", variables={"n": 1}),
        e.ActivityStarted(**place("a", 1), kind="userTask"),
        e.UserTaskCreated(
            **place("a", 1),
            name="A",
            form=None,
            assignee=None,
            candidate_groups=("g",),
            candidate_users=(),
            priority=50,
            due_at=None,
        ),
        e.UserTaskClaimed(**place("a", 1)),
        e.UserTaskCompleted(**place("a", 1), values={"n": 2}),
        e.VariablesChanged(scope=None, names=("n",), cause="a", values={"n": 2}),
        e.ActivityCompleted(**place("a", 1)),
        e.FlowTaken(**place("a", 1), flow="a_b", to_token=TokenId(2)),
        e.ActivityStarted(**place("b", 2), kind="serviceTask"),
    )
    seen = [(r.seq, sorted(v.positions), v.tasks[TokenId(1)].assignee if v.tasks else None) for r, v in replay(story)]

    view = fold(story)

    assert seen[3] == (4, [1], "bob")
    assert [p.element for p in view.positions.values()] == ["b"]
    assert view.elements["p", "a"].took == timedelta(minutes=5)
    assert (view.elements["p", "a"].completed, view.elements["p", "b"].open) == (1, 1)
    assert view.flows == {("p", "a_b"): 1}
    assert view.variables[None] == {"n": 2}
    assert view.performers == {"a": "ann"}
    assert view.definitions == {"p": 3}
    assert not view.tasks


def test_an_ended_instance_has_nothing_open_in_its_view() -> None:
    view = fold(
        recorded(
            e.ActivityStarted(**place("a", 1), kind="userTask"),
            e.TimerScheduled(**place("t", 2), due_at=NOON),
            e.IncidentOpened(**place("a", 1), kind="expression", message="?"),
            e.InstanceCancelled(reason="no bid"),
        )
    )

    assert (view.positions, view.timers, view.incidents, view.outcome) == ({}, {}, {}, "no bid")


@pytest.mark.parametrize("place", [b'"payload":7', b'"payload":-9', b'"payload":"x"'])
def test_an_event_that_names_a_payload_that_is_not_there_is_found(place: bytes) -> None:
    chain = chain_of(THREE[0])
    assert b'"payload":0' in chain[0].body

    changed = [replace(chain[0], body=chain[0].body.replace(b'"payload":0', place))]

    assert "event" in breaks_of(changed, of=chain)
