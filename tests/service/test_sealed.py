"""A sealed price reaches nobody but those on the list, and leaves no trace in clear anywhere."""

from __future__ import annotations

import base64
import gzip
import logging
import os
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import handlers.bidding
from engine.errors import AccessDenied, EngineError, InvalidValues, NotFound
from engine.handler import HandlerRegistry
from engine.model import SYSTEM, Actor
from engine.service.envelopes import AccessListWrong, NewPriceRefused
from engine.service.forms import ReasonMissing
from engine.service.vault import SealBroken, SealingKeyWrong, Vault, close, make_key, open_envelope, unwrap
from tests.bpmn.build import diagram, end, process, service, start, user
from tests.service.house import MONDAY, OWNER, House

PRICE, PART = "7654321.5", "8123456"
PRICER = Actor(id="pricer", name="报价员", groups=frozenset({"pricing_officer"}))
LEADER = Actor(id="leader", name="领导", groups=frozenset({"company_leader"}))
ADMIN = Actor(id="admin", name="管理员", groups=frozenset({"system_admin"}))
COMPLIANCE = Actor(id="compliance", name="合规", groups=frozenset({"compliance_officer"}))
OUTSIDER = Actor(id="outsider", name="另一报价员", groups=frozenset({"pricing_officer"}))
LIST = ["pricer", "leader"]
FORM = b"""{"type":"default","id":"p.price","components":[
 {"type":"number","key":"final_price","label":"\xe6\x8a\x95\xe6\xa0\x87\xe6\x80\xbb\xe4\xbb\xb7","properties":{"sealed":"true","labelEn":"Bid price","rule":"sum(subtotals.amount) = final_price"}},
 {"type":"dynamiclist","path":"subtotals","label":"x","properties":{"sealed":"true"},"components":[
   {"type":"textfield","key":"item","label":"x"},{"type":"number","key":"amount","label":"x"}]},
 {"type":"textfield","key":"seal_reason","label":"x"},{"type":"textfield","key":"note","label":"x"}]}"""
DIAGRAM = diagram(
    process(
        start(), user("price", camunda_candidateGroups="pricing_officer", camunda_formKey="p.price"),
        user("again", camunda_candidateGroups="pricing_officer", camunda_formKey="p.price"),
        service("opening", topic="price.unseal"), user("after", camunda_candidateGroups="process_owner"), end(),
        "s>price", "price>again", "again>opening", "opening>after", "after>e",
    )
)  # fmt: skip


def registry() -> HandlerRegistry:
    from engine.handler import REGISTRY

    found = HandlerRegistry()
    found.add(REGISTRY["price.unseal"])
    return found


@pytest.fixture
def house(tmp_path: Path) -> Any:
    assert handlers.bidding
    made = House(tmp_path / "data", handlers=registry())
    made.add_people(OWNER, PRICER, LEADER, ADMIN, COMPLIANCE, OUTSIDER)
    made.deploy(DIAGRAM, files={"price.form": FORM})
    yield made
    made.close()


def priced(total: str = PRICE, **more: Any) -> dict[str, Any]:
    parts = Decimal(total) - Decimal(1)
    return {"final_price": total, "subtotals": [{"item": "软件", "amount": str(parts)}, {"item": "服务", "amount": 1}], **more}


def begun(house: House, **variables: Any) -> Any:
    return house.start("p", {LISTED: LIST, **variables}).id


LISTED = "access_list"


def sealed(house: House, total: str = PRICE) -> Any:
    id = begun(house)
    house.complete(id, "price", by=PRICER, **priced(total))
    return id


def opened(house: House, id: Any) -> None:
    house.complete(id, "again", by=PRICER, note="不改价")
    house.engine.jobs.run_due()


# --------------------------------------------------------------------------------------------------------------- what is kept
def test_the_process_holds_what_anybody_may_know_and_the_history_no_value(house: House) -> None:
    id = sealed(house)

    variables = house.engine.instances.variables(SYSTEM, id)
    assert set(variables["final_price"]) == {"version", "sealed_at", "by", "fingerprint", "count"}
    assert (variables["final_price"]["version"], variables["final_price"]["by"], variables["final_price"]["count"]) == (1, "pricer", 2)
    seals = house.events(id, "PriceSealed")
    assert [(s.field, s.number, s.reason, s.reader_count) for s in seals] == [("final_price", 1, "", 2), ("subtotals", 1, "", 2)]
    assert seals[0].fingerprint == variables["final_price"]["fingerprint"]
    assert PRICE not in repr(house.history(id))


def test_rules_of_the_form_see_the_value_before_it_is_sealed(house: House) -> None:
    id = begun(house)

    with pytest.raises(InvalidValues) as refused:
        house.complete(id, "price", by=PRICER, **{**priced(), "final_price": "1"})
    assert set(refused.value.problems) == {"final_price"}
    assert not house.engine.sealed.of_instance(SYSTEM, id)


def test_versions_are_told_to_everybody_and_whether_they_may_look(house: House) -> None:
    id = sealed(house)

    for actor, may in ((PRICER, True), (LEADER, True), (OWNER, False)):
        first = house.engine.sealed.of_instance(actor, id)[0]
        assert (first.field, first.label, first.label_en, first.number, first.sealed_by, first.reader_count, first.is_last, first.may_look) == (
            "final_price", "投标总价", "Bid price", 1, "pricer", 2, True, may)
        assert (first.unsealed_at, first.matches) == (None, None)


# ------------------------------------------------------------------------------------------------------------------ the doctor
TAMPERED = {
    "missing": ("delete from sealed_price where field = 'final_price'", "sealed_missing"),
    "extra": (
        'insert into sealed_price (instance_id, field, number, fingerprint, envelope, readers, reason, at, "by")'
        " select instance_id, field, 2, fingerprint, envelope, readers, reason, at, \"by\" from sealed_price where field = 'final_price'", "sealed_extra"),
    "fingerprint": ("update sealed_price set fingerprint = 'f' where field = 'final_price'", "sealed_altered"),
    "list": ("update sealed_price set readers = 'pricer,leader,eve' where field = 'final_price'", "sealed_altered"),
    "who": ("update sealed_price set \"by\" = 'eve' where field = 'final_price'", "sealed_altered"),
    "opened": ("update sealed_price set matches = 1 where field = 'final_price'", "sealed_altered"),
    "swapped": (
        "update sealed_price set envelope = (select o.envelope from sealed_price o where o.field = 'subtotals'"
        " and o.instance_id = sealed_price.instance_id) where field = 'final_price'",
        "sealed_altered"),
    "key": ("delete from sealed_key where field = 'final_price'", "sealed_altered"),
}  # fmt: skip


def ailments(house: House) -> list[tuple[str, str]]:
    return [(a.code.value, a.zh) for a in house.engine.audit.examine() if a.code.startswith("seal")]


@pytest.mark.parametrize("how", list(TAMPERED))
def test_the_doctor_finds_what_of_a_sealed_price_is_not_as_the_history_says(house: House, how: str) -> None:
    id, other = sealed(house), sealed(house)
    opened(house, other)
    assert ailments(house) == []
    change, code = TAMPERED[how]

    house.change(change)

    found = [a for a in house.engine.audit.examine() if a.code.startswith("seal")]
    assert {a.code.value for a in found} == {code}
    assert {a.instance_id for a in found} == ({other, id} if how != "opened" else {id})
    assert all("final_price" in a.zh and "合规" in a.mend_zh and "compliance" in a.mend_en and a.is_error for a in found)
    assert PRICE not in repr(found)


def test_the_doctor_knows_what_was_erased_and_what_lies_in_the_archive(house: House) -> None:
    erased, everything, kept = (sealed(house) for _ in range(3))
    for id in (erased, everything, kept):
        house.engine.instances.cancel(SYSTEM, id, "不投了")
    house.engine.keep.erase(SYSTEM, erased, "要求", fields=["final_price", "note"])
    house.engine.keep.erase(SYSTEM, everything, "要求", everything=True)
    assert ailments(house) == []

    house.moved.advance(days=400)
    assert house.engine.keep.archive("P1Y").instance_count == 3
    assert ailments(house) == []
    house.change("update sealed_price set reason = 'x' where field = 'final_price'")
    assert ailments(house) == [("sealed_altered", "密封报价“final_price”第 1 版被改动（理由）")]


def test_the_doctor_misses_the_key(house: House) -> None:
    sealed(house)
    (house.folder / "sealing.key").rename(house.folder / "elsewhere")

    assert [code for code, _ in ailments(house)] == ["sealing_key"]


# ------------------------------------------------------------------------------------------------------ not before the opening
def arrived(house: House, **variables: Any) -> Any:
    """Return an instance with a sealed price whose next step is the opening."""
    id = begun(house, **variables)
    house.complete(id, "price", by=PRICER, **priced())
    return id


def open_incidents(house: House, id: Any) -> list[Any]:
    return [i for i in house.engine.jobs.of_instance(SYSTEM, id) if i.resolved_at is None]


def is_refused(house: House, id: Any) -> bool:
    """Let the opening come, or try it again; True if the engine refused it."""
    if "again" in house.open_tasks(id):
        house.complete(id, "again", by=PRICER, note="不改价")
    for incident in open_incidents(house, id):
        house.engine.jobs.retry(SYSTEM, incident.id)
    house.engine.jobs.run_due()
    incidents = open_incidents(house, id)
    assert bool(incidents) == bool(house.engine.sealed.of_instance(SYSTEM, id)[0].matches is None)
    assert all("OpeningNotReached" in i.message and "开标时间" in i.message for i in incidents)
    return bool(incidents)


def test_nothing_is_unsealed_before_the_opening_and_at_its_instant_it_is(house: House) -> None:
    id = arrived(house, opening_time=MONDAY + timedelta(hours=2), submission_deadline=MONDAY + timedelta(hours=1))

    house.moved.move_to(MONDAY + timedelta(hours=2, microseconds=-1))
    assert is_refused(house, id)
    assert not house.events(id, "PriceUnsealed")
    assert PRICE not in repr(house.history(id))
    house.moved.move_to(MONDAY + timedelta(hours=2))
    assert not is_refused(house, id)
    assert house.engine.instances.variables(SYSTEM, id)["final_price"] == Decimal(PRICE)


def test_never_before_the_deadline_whatever_the_opening_says(house: House) -> None:
    id = arrived(house, opening_time=MONDAY, submission_deadline=MONDAY + timedelta(hours=1))

    assert is_refused(house, id)
    house.moved.advance(hours=1)
    assert not is_refused(house, id)


def test_an_opening_that_was_put_off_counts_and_one_that_was_advanced(house: House) -> None:
    put_off, advanced = (arrived(house, opening_time=MONDAY + timedelta(hours=2)) for _ in range(2))
    house.engine.instances.set_variables(SYSTEM, put_off, {"opening_time": MONDAY + timedelta(days=3)}, "补遗 2 号：延期")
    house.engine.instances.set_variables(SYSTEM, advanced, {"opening_time": MONDAY + timedelta(hours=1)}, "补遗 2 号：提前")

    house.moved.advance(hours=1)
    assert is_refused(house, put_off)
    assert not is_refused(house, advanced)
    house.moved.advance(hours=1)
    assert is_refused(house, put_off)
    house.moved.move_to(MONDAY + timedelta(days=3))
    assert not is_refused(house, put_off)


def test_what_was_known_when_it_was_sealed_counts_once_the_process_holds_no_opening(house: House) -> None:
    id = arrived(house, opening_time=MONDAY + timedelta(hours=2))
    assert house.events(id, "PriceSealed")[0].opens_at == MONDAY + timedelta(hours=2)
    house.engine.instances.set_variables(SYSTEM, id, {"opening_time": None}, "误删")

    assert is_refused(house, id)
    house.moved.advance(hours=2)
    assert not is_refused(house, id)


# ------------------------------------------------------------------------------------------------------------------ looking
def test_who_is_on_the_list_looks_with_a_reason_that_stands_in_the_history_first(house: House) -> None:
    id = sealed(house)

    assert house.engine.sealed.look(LEADER, id, "final_price", "批准前复核") == Decimal(PRICE)
    assert house.engine.sealed.look(PRICER, id, "subtotals", "核对")[0] == {"item": "软件", "amount": Decimal(PRICE) - 1}

    looks = [(e.reader, e.field, e.number, e.reason) for e in house.events(id, "PriceOpened")]
    assert looks == [("leader", "final_price", 1, "批准前复核"), ("pricer", "subtotals", 1, "核对")]
    with pytest.raises(ReasonMissing):
        house.engine.sealed.look(LEADER, id, "final_price", " ")
    with pytest.raises(NotFound):
        house.engine.sealed.look(LEADER, id, "note", "x")


@pytest.mark.parametrize("actor", [OUTSIDER, ADMIN, OWNER, SYSTEM], ids=lambda a: a.id)
def test_nobody_else_looks_and_the_attempt_is_recorded(house: House, actor: Actor) -> None:
    id = sealed(house)

    with pytest.raises(AccessDenied):
        house.engine.sealed.look(actor, id, "final_price", "好奇")
    assert [(e.field, e.what, e.reason) for e in house.events(id, "PriceRefused")] == [("final_price", "open", "好奇")]
    assert not house.events(id, "PriceOpened")


def test_who_is_taken_off_the_list_looks_no_more(house: House) -> None:
    id = sealed(house)

    house.engine.instances.set_variables(SYSTEM, id, {LISTED: ["pricer"]}, "人员变动")
    with pytest.raises(AccessDenied):
        house.engine.sealed.look(LEADER, id, "final_price", "x")
    assert house.engine.sealed.look(PRICER, id, "final_price", "x") == Decimal(PRICE)


def test_of_an_ended_instance_the_list_of_the_sealing_counts(house: House) -> None:
    id = sealed(house)
    house.engine.instances.cancel(SYSTEM, id, "不投了")

    assert house.engine.sealed.look(PRICER, id, "final_price", "复盘") == Decimal(PRICE)
    with pytest.raises(AccessDenied):
        house.engine.sealed.look(OUTSIDER, id, "final_price", "复盘")


# ------------------------------------------------------------------------------------------------------------------ the list
@pytest.mark.parametrize("people", [["a", "b", "c", "d", "e", "pricer"], [], None, "pricer", [1]], ids=repr)
def test_a_list_that_is_none_or_of_more_than_five_seals_nothing(house: House, people: Any) -> None:
    id = begun(house, **{LISTED: people})

    with pytest.raises(AccessListWrong):
        house.complete(id, "price", by=PRICER, **priced())
    assert house.task(id).element == "price"
    assert not house.events(id, "PriceSealed")


def test_who_is_not_on_the_list_seals_nothing(house: House) -> None:
    id = begun(house)

    with pytest.raises(AccessDenied):
        house.complete(id, "price", by=OUTSIDER, **priced())


# ----------------------------------------------------------------------------------------------------------------- versions
@pytest.mark.parametrize("reason", ["", "ich", None])
def test_a_new_version_needs_a_reason_that_counts(house: House, reason: Any) -> None:
    id = sealed(house)

    with pytest.raises(InvalidValues) as refused:
        house.complete(id, "again", by=PRICER, **priced("99", seal_reason=reason))
    assert set(refused.value.problems) == {"seal_reason"}


def test_a_new_version_with_a_reason_takes_the_place_of_the_one_before(house: House) -> None:
    id = sealed(house)
    house.complete(id, "again", by=PRICER, **priced("99", seal_reason="own_cost_change"))

    assert [(s.field, s.number, s.reason) for s in house.events(id, "PriceSealed")][2:] == [
        ("final_price", 2, "own_cost_change"), ("subtotals", 2, "own_cost_change")]
    assert house.engine.sealed.look(PRICER, id, "final_price", "x") == 99
    assert house.engine.sealed.look(PRICER, id, "final_price", "x", number=1) == Decimal(PRICE)
    house.engine.jobs.run_due()
    assert house.engine.instances.variables(SYSTEM, id)["final_price"] == 99  # the last version is what was opened
    assert [(p.number, p.is_last, p.matches) for p in house.engine.sealed.of_instance(SYSTEM, id) if p.field == "final_price"] == [
        (2, True, True), (1, False, None)]


def test_a_competitors_price_is_no_reason_and_compliance_hears_of_it(house: House) -> None:
    id = sealed(house)

    with pytest.raises(NewPriceRefused):
        house.complete(id, "again", by=PRICER, **priced("99", seal_reason="competitor_price_learned"))
    assert house.task(id).element == "again"
    assert {(e.field, e.what, e.reason) for e in house.events(id, "PriceRefused")} == {
        ("final_price", "seal", "competitor_price_learned"), ("subtotals", "seal", "competitor_price_learned")}
    assert len(house.events(id, "PriceSealed")) == 2
    (notice,) = house.engine.people.notices(COMPLIANCE)
    assert "99" not in notice.subject + notice.body


def test_a_sealed_field_left_blank_keeps_its_version(house: House) -> None:
    id = sealed(house)
    before = house.engine.instances.variables(SYSTEM, id)["final_price"]

    opened(house, id)
    assert house.events(id, "PriceSealed")[0].fingerprint == before["fingerprint"]
    assert len(house.events(id, "PriceSealed")) == 2


# --------------------------------------------------------------------------------------------------------------- the opening
def test_at_the_opening_the_value_becomes_an_ordinary_amount(house: House) -> None:
    id = sealed(house)
    opened(house, id)

    variables = house.engine.instances.variables(SYSTEM, id)
    assert variables["final_price"] == Decimal(PRICE)
    assert variables["price_check"] == {"count": 2, "matches": True, "at": house.clock.now()}
    assert [(e.field, e.number, e.matches) for e in house.events(id, "PriceUnsealed")] == [("final_price", 1, True), ("subtotals", 1, True)]
    assert all(p.matches and p.unsealed_at == house.clock.now() for p in house.engine.sealed.of_instance(SYSTEM, id))
    told = house.engine.instances.variables(OWNER, id)
    assert told["final_price"] == "•••"
    assert PRICE not in repr((told, house.engine.instances.history(OWNER, id), list(house.engine.instances.export(OWNER, id))))


def tamper(house: House, how: str) -> None:
    match how:
        case "envelope":
            (envelope,) = house.rows("select envelope from sealed_price where field = 'final_price'")[0]
            changed = bytearray(envelope)
            changed[40] ^= 1
            assert house.change("update sealed_price set envelope = ? where field = 'final_price'", bytes(changed)) == 1
        case "cut":
            assert house.change("update sealed_price set envelope = ? where field = 'final_price'", b"x") == 1
        case "swapped":
            (other,) = house.rows("select envelope from sealed_price where field = 'subtotals'")[0]
            assert house.change("update sealed_price set envelope = ? where field = 'final_price'", bytes(other)) == 1
        case "fingerprint":
            assert house.change("update sealed_price set fingerprint = ? where field = 'final_price'", "0" * 64) == 1
        case "gone":
            assert house.change("delete from sealed_price where field = 'final_price'") == 1
        case "key":
            assert house.change("delete from sealed_key where field = 'final_price'") == 1


@pytest.mark.parametrize("how", ["envelope", "cut", "swapped", "gone", "key"])
def test_what_does_not_match_its_fingerprint_is_an_incident_and_opens_nothing(house: House, how: str) -> None:
    id = sealed(house)
    tamper(house, how)
    opened(house, id)

    (incident,) = house.engine.jobs.incidents(OWNER)
    assert "final_price" in incident.message
    assert [(e.field, e.matches) for e in house.events(id, "PriceUnsealed")] == [("final_price", False), ("subtotals", True)]
    assert "version" in house.engine.instances.variables(SYSTEM, id)["final_price"]
    if how != "gone":
        assert {p.field: p.matches for p in house.engine.sealed.of_instance(SYSTEM, id)} == {"final_price": False, "subtotals": True}


def test_what_a_row_says_of_itself_counts_for_nothing(house: House) -> None:
    id = sealed(house)
    tamper(house, "fingerprint")
    with pytest.raises(SealBroken):
        house.engine.sealed.look(PRICER, id, "final_price", "x")
    opened(house, id)

    assert house.engine.instances.variables(SYSTEM, id)["final_price"] == Decimal(PRICE)  # by the fingerprint in the history


def test_a_key_that_is_gone_or_another_one_is_told_and_put_back_mends_it(house: House) -> None:
    id = sealed(house)
    path = house.folder / "sealing.key"
    right = path.read_bytes()
    path.unlink()
    with pytest.raises(SealingKeyWrong):
        house.engine.sealed.look(PRICER, id, "final_price", "x")
    assert not path.exists()
    path.write_bytes(base64.b64encode(bytes(32)))
    path.chmod(0o600)
    with pytest.raises(SealingKeyWrong):
        house.engine.sealed.look(PRICER, id, "final_price", "x")
    opened(house, id)
    (incident,) = house.engine.jobs.incidents(OWNER)
    assert not house.events(id, "PriceUnsealed")

    path.write_bytes(right)
    house.engine.jobs.retry(OWNER, incident.id, {}, "密钥已放回")
    house.engine.jobs.run_due()
    assert house.engine.instances.variables(SYSTEM, id)["final_price"] == Decimal(PRICE)


def test_the_key_file_is_its_owners_alone_and_may_lie_elsewhere(house: House, tmp_path: Path) -> None:
    id = sealed(house)
    path = house.folder / "sealing.key"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(SealingKeyWrong):
        house.engine.sealed.look(PRICER, id, "final_price", "x")

    other = House(tmp_path / "other", handlers=registry(), sealing_key_file=str(tmp_path / "safe" / "key"))
    other.add_people(PRICER)
    other.deploy(DIAGRAM, files={"price.form": FORM})
    other.complete(begun(other), "price", by=PRICER, **priced())
    assert (tmp_path / "safe" / "key").stat().st_mode & 0o777 == 0o600
    assert not (other.folder / "sealing.key").exists()
    other.close()


# ---------------------------------------------------------------------------------------------------------------- in no place
def everything_on_disk(folder: Path) -> bytes:
    found = []
    for root, _, names in os.walk(folder):
        for name in names:
            body = (Path(root) / name).read_bytes()
            found.append(gzip.decompress(body) if name.endswith(".gz") else body)
    return b"\n".join(found)


def test_no_byte_of_the_value_is_in_any_file_table_export_draft_or_log(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    id = begun(house)
    task = house.task(id)
    house.engine.tasks.save_draft(PRICER, task.id, {"final_price": PRICE, "subtotals": [{"item": "x", "amount": PART}], "note": "稿"})
    with pytest.raises(InvalidValues):
        house.engine.tasks.complete(PRICER, task.id, {"final_price": PRICE, "subtotals": [{"item": "x", "amount": PART}]})
    house.complete(id, "price", by=PRICER, **priced())
    house.engine.sealed.look(LEADER, id, "final_price", "复核")
    with pytest.raises(NewPriceRefused):
        house.complete(id, "again", by=PRICER, **priced(PART, seal_reason="competitor_price_learned"))
    assert house.engine.tasks.form(PRICER, house.task(id).id)[1]["final_price"] is None

    exported = b"".join(house.engine.instances.export(SYSTEM, id))
    house.engine.instances.cancel(SYSTEM, id, "不投了")
    house.moved.advance(days=4000)
    house.engine.keep.archive("P1Y")
    assert list((house.folder / "archive").glob("*.gz"))
    for secret in (PRICE, PART, "7654321", "7654320"):
        for place in (everything_on_disk(house.folder), house.stored(), exported, caplog.text.encode()):
            assert secret.encode() not in place
    assert not house.engine.instances.list(SYSTEM, search="7654321").items


@settings(max_examples=200, deadline=None)
@given(st.recursive(st.integers() | st.decimals(allow_nan=False, allow_infinity=False, places=2) | st.text(max_size=20) | st.booleans(), lambda each: st.lists(each, max_size=5), max_leaves=20))
def test_an_envelope_gives_back_what_was_sealed_and_tells_nothing(value: Any) -> None:
    own, wrapped = make_key(bytes(32), 7, "price")
    fingerprint, envelope = close(own, 7, "price", 3, value)

    assert open_envelope(unwrap(bytes(32), wrapped, 7, "price", 3), envelope, 7, "price", 3, fingerprint) == value
    assert close(own, 7, "price", 3, value)[0] != fingerprint
    assert len(envelope) == 4096 + 28
    for instance, field, number in ((8, "price", 3), (7, "cost", 3), (7, "price", 2)):
        with pytest.raises(SealBroken):
            open_envelope(own, envelope, instance, field, number, fingerprint)
    with pytest.raises(SealBroken):
        unwrap(b"x" * 32, wrapped, 7, "price", 3)


@settings(max_examples=60, deadline=None)
@given(st.integers(min_value=0, max_value=4096 + 27), st.integers(min_value=1, max_value=255))
def test_any_changed_byte_breaks_the_seal(at: int, by: int) -> None:
    own, _ = make_key(bytes(32), 7, "price")
    fingerprint, envelope = close(own, 7, "price", 1, 1180000)
    changed = bytearray(envelope)
    changed[at] ^= by

    with pytest.raises(SealBroken):
        open_envelope(own, bytes(changed), 7, "price", 1, fingerprint)


def test_processes_that_begin_together_use_one_key(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "k")
    first = vault.key(None)
    vault._make()

    assert vault.key(None) == vault.key(first[1]) == first
    assert [p.name for p in tmp_path.iterdir()] == ["k"]


# --------------------------------------------------------------------------------------------------------------- what may go
@pytest.mark.parametrize("wish", [{"everything": True}, {"fields": ["final_price"]}], ids=str)
def test_an_erasure_takes_envelopes_and_keys_along(house: House, wish: dict[str, Any]) -> None:
    id = sealed(house)
    house.engine.instances.cancel(SYSTEM, id, "不投了")
    house.engine.keep.erase(SYSTEM, id, "依法清除", **wish)

    left = {field for table in ("sealed_price", "sealed_key") for (field,) in house.rows(f"select field from {table}")}
    assert left == (set() if "everything" in wish else {"subtotals"})
    assert not house.engine.audit.verify(id)


def test_a_start_form_seals_nothing_and_takes_no_such_field(house: House) -> None:
    xml = diagram(process(start(camunda_formKey="p.price"), user("a"), end(), "s>a", "a>e", id="q"))

    (finding,) = [f for f in house.engine.deployments.check({"q.bpmn": xml}) if f.rule == "FORM-SEALED"]
    assert finding.element == "s"


def test_the_codes_of_refusals_are_told_in_both_languages() -> None:
    for error in (NewPriceRefused(), SealBroken(field="f", number=1), AccessListWrong(reason="无", reason_en="none"), SealingKeyWrong(file="f", reason="无", reason_en="none")):
        assert isinstance(error, EngineError)
        assert error.text("zh") != error.text("en")
