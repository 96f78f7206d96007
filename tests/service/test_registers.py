"""Registers: entries in versions, who may see and write them, the chain, files, what runs out, handlers."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.cli import main
from engine.errors import AccessDenied, FileRefused, Held, InvalidDiagram, InvalidValues, NotFound, StalePage, WrongState
from engine.handler import Job
from engine.model import SYSTEM, Actor
from engine.registers import SOON, sort_key
from engine.service.erasure import NothingToErase
from engine.service.forms import ReasonMissing
from engine.store.chain import unpack
from tests.bpmn.build import diagram, element, end, process, start
from tests.service.house import MONDAY, House

LEAD = Actor(id="lead", name="商务", groups=frozenset({"bid_commercial_lead"}))
READER = Actor(id="reader", name="查", groups=frozenset({"bid_manager"}))
SELLER = Actor(id="seller", name="销", groups=frozenset({"sales_rep"}))
OTHER = Actor(id="other", name="销二", groups=frozenset({"sales_rep"}))
OWNER_READER = Actor(id="owner2", name="流程", groups=frozenset({"process_owner", "bid_manager"}))
EVE = Actor(id="eve", name="伊", groups=frozenset({"warehouse_keeper"}))

PAPERS = {
    "id": "registers.papers", "type": "default", "title": "证书台账",
    "properties": {
        "readers": "bid_commercial_lead,bid_manager", "writers": "bid_commercial_lead,sales_rep", "columns": "name,holder,expires",
        "expiryField": "expires", "expiryReaders": "bid_commercial_lead", "ownerField": "keeper",
    },
    "components": [
        {"type": "textfield", "key": "name", "label": "名称", "validate": {"required": True}},
        {"type": "textfield", "key": "holder", "label": "持有法人"},
        {"type": "textfield", "key": "keeper", "label": "保管人"},
        {"type": "number", "key": "copies", "label": "份数"},
        {"type": "datetime", "subtype": "date", "key": "expires", "label": "有效期至"},
        {"type": "filepicker", "key": "scan", "label": "扫描件", "accept": ".pdf"},
    ],
}
LOG = {
    "id": "registers.log", "type": "default", "title": "接触", "properties": {
        "readers": "bid_manager", "writers": "sales_rep", "columns": "whom", "appendOnly": "true"},
    "components": [{"type": "textfield", "key": "whom", "label": "对象", "validate": {"required": True}}],
}  # fmt: skip
SPANS = {
    "id": "registers.spans", "type": "default", "title": "期间", "properties": {"readers": "auditor", "writers": "sales_rep"},
    "components": [
        {"type": "textfield", "key": "whose", "label": "单位"}, {"type": "textfield", "key": "no", "label": "编号"},
        {"type": "datetime", "key": "since", "label": "起", "subtype": "datetime"},
        {"type": "datetime", "key": "until", "label": "止", "subtype": "datetime"},
    ],
}  # fmt: skip
MARKED = {
    "id": "registers.marked", "type": "default", "title": "来往", "properties": {
        "readers": "bid_manager", "writers": "sales_rep", "flagRegister": "spans", "flagMatch": "whom=whose, no=no", "flagAt": "at",
        "flagFrom": "since", "flagUntil": "until", "flagTitle": "期间内", "flagTitleEn": "Within"},
    "components": [
        {"type": "textfield", "key": "whom", "label": "对象"}, {"type": "textfield", "key": "no", "label": "编号"},
        {"type": "datetime", "key": "at", "label": "时间", "subtype": "datetime"},
    ],
}  # fmt: skip
FILES = {"registers/papers.form": json.dumps(PAPERS).encode(), "registers/log.form": json.dumps(LOG).encode()}


@pytest.fixture
def house(house: House) -> House:
    house.deploy(files=FILES)
    return house


def add(house: House, by: Actor = LEAD, **values: Any) -> int:
    return house.engine.registers.add(by, "papers", {"name": "ISO 9001", **values})


def names(house: House, by: Actor = LEAD, **asked: Any) -> list[str]:
    return [e.values["name"] for e in house.engine.registers.list(by, "papers", **asked).items]


# ------------------------------------------------------------------------------------------------------------------ versions
def test_a_correction_is_a_new_version_and_the_old_one_stays(house: House) -> None:
    entry = add(house, expires="2027-01-31")
    house.moved.advance(days=1)

    house.engine.registers.amend(LEAD, "papers", entry, {"name": "ISO 9001:2015", "expires": "2027-02-28"}, "抄错", version=1)

    now, (second, first) = house.engine.registers.get(LEAD, "papers", entry)
    assert (now.version, now.values["name"], now.added_at, now.changed_at) == (2, "ISO 9001:2015", MONDAY, MONDAY + timedelta(days=1))
    assert (first.change, first.values, first.by) == ("added", {"name": "ISO 9001", "expires": date(2027, 1, 31)}, "lead")
    assert (second.change, second.reason, second.values["expires"]) == ("amended", "抄错", date(2027, 2, 28))
    assert house.engine.audit.verify() == ()


def test_whoever_looked_at_an_older_version_is_told(house: House) -> None:
    entry = add(house)
    house.engine.registers.amend(LEAD, "papers", entry, {"name": "A"}, "一", version=1)

    with pytest.raises(StalePage):
        house.engine.registers.amend(LEAD, "papers", entry, {"name": "B"}, "二", version=1)

    assert house.engine.registers.get(LEAD, "papers", entry)[0].values["name"] == "A"


def test_a_change_needs_a_reason(house: House) -> None:
    entry = add(house)

    with pytest.raises(ReasonMissing):
        house.engine.registers.amend(LEAD, "papers", entry, {"name": "A"}, "  ", version=1)
    with pytest.raises(ReasonMissing):
        house.engine.registers.withdraw(LEAD, "papers", entry, "", version=1)


def test_what_is_withdrawn_stays_readable_and_changes_no_more(house: House) -> None:
    entry = add(house)

    house.engine.registers.withdraw(LEAD, "papers", entry, "已注销", version=1)

    assert names(house) == []
    assert names(house, withdrawn=True) == ["ISO 9001"]
    assert house.engine.registers.get(LEAD, "papers", entry)[1][0].change == "withdrawn"
    with pytest.raises(WrongState):
        house.engine.registers.amend(LEAD, "papers", entry, {"name": "B"}, "二", version=2)


def test_an_append_only_register_lets_nothing_be_withdrawn(house: House) -> None:
    entry = house.engine.registers.add(SELLER, "log", {"whom": "王处长"})

    with pytest.raises(WrongState):
        house.engine.registers.withdraw(SELLER, "log", entry, "删掉", version=1)


def test_the_form_refuses_what_does_not_fit(house: House) -> None:
    with pytest.raises(InvalidValues) as refused:
        house.engine.registers.add(LEAD, "papers", {"copies": "many", "unknown": 1})

    assert set(refused.value.problems) == {"name", "copies", "unknown"}
    assert names(house) == []


def test_an_entry_is_added_once_for_a_key(house: House) -> None:
    first = house.engine.registers.add(LEAD, "papers", {"name": "A"}, once="k")

    assert house.engine.registers.add(LEAD, "papers", {"name": "B"}, once="k") == first
    assert names(house) == ["A"]


# ---------------------------------------------------------------------------------------------------------------- who may what
def test_whoever_may_not_read_all_sees_their_own_and_those_about_them(house: House) -> None:
    mine = add(house, SELLER, name="我的")
    add(house, OTHER, name="他的")
    add(house, LEAD, name="关于我", keeper="seller")

    assert set(names(house, SELLER)) == {"我的", "关于我"}
    assert len(names(house, READER)) == 3
    with pytest.raises(NotFound):
        house.engine.registers.get(OTHER, "papers", mine)


def test_readers_do_not_write_and_strangers_do_not_read(house: House) -> None:
    with pytest.raises(AccessDenied):
        add(house, READER)
    with pytest.raises(AccessDenied):
        names(house, EVE)
    assert [r.name for r in house.engine.registers.all(EVE)] == []
    assert [r.name for r in house.engine.registers.all(READER)] == ["log", "papers"]


def test_a_register_that_nobody_deployed_is_not_found(house: House) -> None:
    with pytest.raises(NotFound):
        house.engine.registers.list(LEAD, "nothing")


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"readers": "bid_manager"}, "writers"),
        ({"readers": "nobody", "writers": "sales_rep"}, "nobody"),
        ({"readers": "bid_manager", "writers": "sales_rep", "columns": "what"}, "what"),
        ({"readers": "bid_manager", "writers": "sales_rep", "expiryField": "whom"}, "whom"),
        ({"readers": "bid_manager", "writers": "sales_rep", "colour": "red"}, "colour"),
        ({"readers": "bid_manager", "writers": "sales_rep", "flagRegister": "spans"}, "flagMatch"),
        (MARKED["properties"], "no=no"),
    ],
)
def test_a_form_that_describes_no_register_is_refused(house: House, properties: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidDiagram) as refused:
        house.deploy(files={"registers/x.form": json.dumps({**LOG, "id": "registers.x", "properties": properties}).encode()})

    assert said in refused.value.text("zh")


# ----------------------------------------------------------------------------------------------------------------------- lists
def test_entries_are_found_sorted_and_paged(house: House) -> None:
    for name, copies in (("ＩＳＯ　27001", 10), ("营业执照", 9), ("100%自有", 2), ("无份数", None)):
        add(house, name=name, **({} if copies is None else {"copies": copies}))

    assert names(house, search="iso 27001") == ["ＩＳＯ　27001"]
    assert names(house, search="%") == ["100%自有"]
    assert names(house, sort="copies") == ["100%自有", "营业执照", "ＩＳＯ　27001", "无份数"]
    assert names(house, sort="copies", descending=True)[:2] == ["ＩＳＯ　27001", "营业执照"]
    first = house.engine.registers.list(LEAD, "papers", sort="copies", limit=3)
    rest = house.engine.registers.list(LEAD, "papers", sort="copies", limit=3, after=first.next)
    assert [len(first.items), len(rest.items), rest.next] == [3, 1, None]


def test_the_list_tells_what_will_have_run_out_by_a_day(house: House) -> None:
    add(house, name="早", expires="2026-04-01")
    add(house, name="晚", expires="2026-06-30")
    add(house, name="长期")

    assert names(house, expiring_by=date(2026, 4, 1)) == ["早"]
    assert names(house, expiring_by=date(2026, 3, 31)) == []
    assert set(names(house, expiring_by=date(2026, 12, 31))) == {"早", "晚"}


def test_the_export_holds_no_text_that_a_spreadsheet_would_run(house: House) -> None:
    for name in ("=1+1", "@SUM(A1)", "-cmd", " +x", "平常, 带逗号"):
        add(house, name=name, copies=-3)

    text = house.engine.registers.export(LEAD, "papers").decode("utf-8-sig")

    for name in ("=1+1", "@SUM(A1)", "-cmd"):
        assert f",'{name}," in text
    for part in (",'+x,", '"平常, 带逗号"', ",-3,"):
        assert part in text
    assert text.splitlines()[0] == "编号,版本,状态,最后登记时间,登记人,名称,持有法人,保管人,份数,有效期至,扫描件"


# ----------------------------------------------------------------------------------------------------------------------- files
def test_files_of_an_entry_are_kept_opened_and_replaced(house: House) -> None:
    entry = house.engine.registers.add(LEAD, "papers", {"name": "A"}, files=[("scan", "正本.pdf", "application/pdf", b"%PDF one")])
    (file,) = house.engine.registers.get(LEAD, "papers", entry)[0].values["scan"]
    house.engine.registers.amend(LEAD, "papers", entry, {"name": "B"}, "改名", version=1)
    assert house.engine.registers.get(LEAD, "papers", entry)[0].values["scan"] == [file]

    house.engine.registers.amend(
        LEAD, "papers", entry, {"name": "B"}, "换件", version=2, files=[("scan", "新.pdf", "application/pdf", b"%PDF two")]
    )

    (new,) = house.engine.registers.get(LEAD, "papers", entry)[0].values["scan"]
    assert (file["name"], new["name"]) == ("正本.pdf", "新.pdf")
    for each, body in ((file, b"%PDF one"), (new, b"%PDF two")):
        name, stream = house.engine.registers.open_file(LEAD, "papers", entry, int(each["id"]))
        with stream:
            assert (name, stream.read()) == (each["name"], body)
    assert not [a for a in house.engine.audit.examine() if a.code.startswith("file")]


def test_a_file_of_another_kind_is_refused(house: House) -> None:
    with pytest.raises(FileRefused):
        house.engine.registers.add(LEAD, "papers", {"name": "A"}, files=[("scan", "a.exe", "x", b"MZ")])
    with pytest.raises(FileRefused):
        house.engine.registers.add(LEAD, "papers", {"name": "A"}, files=[("name", "a.pdf", "x", b"%PDF")])


def test_a_backup_holds_the_files_of_registers(house: House, tmp_path: Path) -> None:
    house.engine.registers.add(LEAD, "papers", {"name": "A"}, files=[("scan", "a.pdf", "application/pdf", b"%PDF one")])

    made = house.engine.audit.backup(tmp_path / "copy.zip")

    assert made.manifest.document_count == 1
    assert not made.manifest.lacking


# ---------------------------------------------------------------------------------------------------------------- the chain
def breaks(house: House) -> list[tuple[str, int]]:
    return [(b.register, b.seq) for b in house.engine.audit.verify()]


def test_verify_finds_a_changed_a_missing_and_a_rewritten_entry(house: House) -> None:
    entry = add(house)
    add(house, name="B")
    house.engine.registers.amend(LEAD, "papers", entry, {"name": "C"}, "更正", version=1)
    assert breaks(house) == []
    (kept,) = house.rows("select payloads from register_record where seq = 2")
    other = house.rows("select payloads from register_record where seq = 1")[0][0]

    house.change("update register_record set payloads = ? where seq = 2", other)
    assert breaks(house) == [("papers", 2)]
    house.change("update register_record set payloads = ? where seq = 2", kept[0])
    house.change("update register_entry set withdrawn = 1 where id = ?", entry)
    assert breaks(house) == [("papers", 3)]
    house.change("update register_entry set withdrawn = 0 where id = ?", entry)
    house.change("update register_field set sort_key = 'x' where entry_id = ?", entry)
    assert breaks(house) == [("papers", 3)]


def test_verify_finds_a_record_that_was_taken_away(house: House) -> None:
    for name in "ABC":
        add(house, name=name)

    house.change("delete from register_record where seq = 2")

    assert ("papers", 2) in breaks(house)


def test_verify_finds_an_end_that_was_cut_off(house: House) -> None:
    for name in "ABC":
        add(house, name=name)

    house.change("delete from register_record where seq = 3")

    assert breaks(house) == [("papers", 0)]


def test_signed_heads_hold_the_ends_of_registers(house: House) -> None:
    add(house)
    signed, _ = house.engine.heads.sign()
    path = house.engine.heads.folder / signed.name
    assert house.engine.heads.verify(path).breaks == ()

    add(house, name="later")
    assert house.engine.heads.verify(path).breaks == ()
    house.change("delete from register_field")
    house.change("delete from register_entry")
    house.change("delete from register_record")
    house.change("delete from register")

    assert [b.kind for b in house.engine.heads.verify(path).breaks] == ["removed"]


_NAMES = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=12).filter(str.strip)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(walk=st.lists(st.tuples(st.sampled_from(["add", "amend", "withdraw"]), _NAMES, st.integers(0, 30)), max_size=8), flipped=st.integers(0))
def test_any_walk_reads_back_as_written_and_any_flipped_byte_shows(
    house: House, walk: list[tuple[str, str, int]], flipped: int
) -> None:
    written: dict[int, list[tuple[str, dict[str, Any]]]] = {}
    for do, name, number in walk:
        alive = [e for e, versions in written.items() if versions[-1][0] != "withdrawn"]
        values = {"name": name.strip(), "copies": number}
        if do == "add" or not alive:
            entry = house.engine.registers.add(LEAD, "papers", values)
            written[entry] = [("added", values)]
            continue
        entry = alive[number % len(alive)]
        if do == "amend":
            house.engine.registers.amend(LEAD, "papers", entry, values, "更正", version=len(written[entry]))
            written[entry].append(("amended", values))
        else:
            house.engine.registers.withdraw(LEAD, "papers", entry, "作废", version=len(written[entry]))
            written[entry].append(("withdrawn", written[entry][-1][1]))

    for entry, versions in written.items():
        now, found = house.engine.registers.get(LEAD, "papers", entry)
        assert [(v.change, v.values) for v in reversed(found)] == versions
        assert (now.version, now.values, now.withdrawn) == (len(versions), versions[-1][1], versions[-1][0] == "withdrawn")
    assert house.engine.audit.verify() == ()
    rows = house.rows("select register_id, seq, body from register_record order by seq")
    if rows:
        register, seq, body = rows[flipped % len(rows)]
        text = unpack(body)  # what is packed in another way is still the same
        place = flipped % len(text)
        changed = bytes([*text[:place], text[place] ^ 1, *text[place + 1 :]])
        house.change("update register_record set body = ? where register_id = ? and seq = ?", changed, register, seq)
        assert house.engine.audit.verify() != ()
        house.change("update register_record set body = ? where register_id = ? and seq = ?", body, register, seq)


@given(st.lists(st.integers(-(10**20), 10**20), min_size=2))
def test_numbers_sort_as_texts(numbers: list[int]) -> None:
    assert [*sorted(numbers, key=lambda n: sort_key(n) or "")] == sorted(numbers)


# ------------------------------------------------------------------------------------------------------------------ what runs out
def test_the_commercial_lead_is_told_once_a_day_what_runs_out(house: House) -> None:
    house.add_people(LEAD)
    add(house, name="快到期", expires=str((MONDAY + SOON).date()))
    add(house, name="还早", expires=str((MONDAY + SOON + timedelta(days=1)).date()))

    other = house.beside()
    for _ in range(2):
        house.engine.registers.run_due()
        other.engine.registers.run_due()
    other.close()

    (notice,) = house.engine.people.notices(LEAD)
    assert "快到期" in notice.body
    assert "还早" not in notice.body
    assert notice.link.startswith("/registers/papers?expiring=")
    house.moved.advance(days=1)
    house.engine.registers.run_due()
    assert len(house.engine.people.notices(LEAD)) == 2


def test_nobody_is_told_at_night_or_when_nothing_runs_out(house: House) -> None:
    house.add_people(LEAD)
    assert house.engine.registers.run_due() == 0
    add(house, name="快到期", expires="2026-03-20")
    house.moved.advance(hours=16)  # one o'clock of the next day in Shanghai

    assert house.engine.registers.run_due() == 0
    house.moved.advance(hours=7)
    assert house.engine.registers.run_due() == 1


# ------------------------------------------------------------------------------------------------------------- lawful erasure
def _stored(house: House) -> str:
    """Return every text and every unpacked part of the rows of registers and notices."""
    found = list[str]()
    for table in ("register_record", "register_entry", "register_field", "register_file", "notice"):
        for row in house.rows(f"select * from {table}"):
            found += [unpack(part).decode("utf-8", "replace") if isinstance(part, bytes) else str(part) for part in row]
    return "\n".join(found)


def _person(house: House) -> int:
    entry = add(house, name="王小明建造师证", holder="甲公司", keeper="seller", expires="2026-03-20")
    house.engine.registers.amend(
        LEAD, "papers", entry, {"name": "王小明一级建造师证", "holder": "甲公司", "copies": 2}, "王小明一级建造师证升级", version=1,
        files=[("scan", "王小明.pdf", "application/pdf", b"%PDF secret")],
    )  # fmt: skip
    house.engine.registers.amend(
        LEAD, "papers", entry, {"name": "王小明一级建造师证", "holder": "甲公司", "expires": "2026-03-20"}, "补有效期", version=2,
    )  # fmt: skip
    add(house, name="营业执照", holder="甲公司")
    house.engine.registers.run_due()
    return entry


def test_fields_and_files_of_an_entry_are_erased_from_every_version(house: House) -> None:
    entry = _person(house)
    (file,) = house.engine.registers.get(LEAD, "papers", entry)[0].values["scan"]
    assert "王小明" in _stored(house)

    done = house.engine.registers.erase(OWNER_READER, "papers", entry, "本人要求删除", fields=["name", "keeper"], files=[int(file["id"])])

    assert (done.payload_count, done.file_count, done.shared_count) == (3, 1, 0)
    assert "王小明" not in _stored(house)
    assert not list((house.folder / "documents").glob("??/*"))
    now, versions = house.engine.registers.get(LEAD, "papers", entry)
    assert (now.version, "name" in now.values, now.values["holder"], now.owner) == (3, False, "甲公司", "")
    assert [(v.change, v.version, v.erased, v.reason) for v in versions] == [
        ("erased", 3, ("name", "keeper"), "本人要求删除"), ("amended", 3, (), "补有效期"), ("amended", 2, (), "•••升级"), ("added", 1, (), "")]
    assert versions[2].values["copies"] == 2
    assert names_found(house, "甲公司") == 2
    assert names_found(house, "王小明") == 0
    assert house.engine.audit.verify() == ()
    assert not [a for a in house.engine.audit.examine() if a.code in ("history", "tables", "file_missing", "file_orphan")]
    with pytest.raises(NotFound):
        house.engine.registers.open_file(LEAD, "papers", entry, int(file["id"]))
    house.engine.registers.amend(LEAD, "papers", entry, {"name": "建造师证"}, "另名", version=3)
    again = house.engine.registers.erase(OWNER_READER, "papers", entry, "全部删除", everything=True)
    assert again.payload_count == 2  # the version since, and what the first erasure had left of those before it
    assert "甲公司" in _stored(house)  # of the other entry
    now, versions = house.engine.registers.get(LEAD, "papers", entry)
    assert (now.version, now.values, versions[0].erased, versions[1].values) == (4, {}, (), {})
    assert "建造师" not in _stored(house)
    assert house.engine.audit.verify() == ()


def names_found(house: House, word: str) -> int:
    return len(house.engine.registers.list(LEAD, "papers", search=word).items)


def test_an_erasure_is_refused_to_others_without_a_reason_and_under_a_hold(house: House) -> None:
    entry = _person(house)
    registers = house.engine.registers
    with pytest.raises(AccessDenied):
        registers.erase(LEAD, "papers", entry, "x", fields=["name"])
    with pytest.raises(ReasonMissing):
        registers.erase(OWNER_READER, "papers", entry, " ", fields=["name"])
    with pytest.raises(NothingToErase):
        registers.erase(OWNER_READER, "papers", entry, "x", fields=["phone"])
    with pytest.raises(NotFound):
        registers.erase(OWNER_READER, "papers", entry + 1, "x", fields=["name"])
    hold = house.engine.keep.hold(SYSTEM, "投诉", business_key="甲公司")
    with pytest.raises(Held):
        registers.erase(OWNER_READER, "papers", entry, "x", fields=["name"])
    house.engine.keep.lift(SYSTEM, hold.id, "已结")
    assert registers.erase(OWNER_READER, "papers", entry, "x", fields=["name"]).payload_count == 3


def test_what_was_taken_out_of_an_entry_otherwise_is_a_break(house: House) -> None:
    entry = _person(house)
    house.engine.registers.erase(OWNER_READER, "papers", entry, "本人要求删除", fields=["name"])

    house.change("update register_record set salt = null, payloads = null where seq = 4")

    assert house.engine.audit.verify()


# -------------------------------------------------------------------------------------------------------------- what is marked
def marked(house: House) -> dict[str, bool]:
    found = house.engine.registers.list(READER, "marked").items
    assert all(house.engine.registers.get(READER, "marked", e.id)[0] == e for e in found)
    return {e.values["at"].isoformat()[8:16]: e.flagged for e in reversed(found)}


def test_an_entry_within_a_span_of_another_register_is_marked(house: House) -> None:
    house.deploy(files={"registers/spans.form": json.dumps(SPANS).encode(), "registers/marked.form": json.dumps(MARKED).encode()})
    registers = house.engine.registers
    for day, whom, no in ((1, "甲 公司", ""), (2, "甲 公司", ""), (3, "乙", "N-1"), (4, "乙", ""), (5, " 甲  公司", ""), (6, "甲 公司", "")):
        registers.add(SELLER, "marked", {"whom": whom, "no": no, "at": f"2026-03-0{day}T00:00:00Z"})
    assert not any(marked(house).values())

    id = registers.add(SELLER, "spans", {"whose": "甲 公司", "no": "n-1", "since": "2026-03-02T00:00:00Z"})
    assert marked(house) == {"01T00:00": False, "02T00:00": True, "03T00:00": True, "04T00:00": False, "05T00:00": True, "06T00:00": True}
    registers.amend(SELLER, "spans", id, {"whose": "甲 公司", "since": "2026-03-02T00:00:00Z", "until": "2026-03-06T00:00:00Z"}, "止", version=1)
    assert [day for day, is_marked in marked(house).items() if is_marked] == ["02T00:00", "05T00:00"]

    sheet = registers.export(READER, "marked", english=True).decode("utf-8-sig").splitlines()
    assert "Within" in sheet[0]
    assert [line.split(",")[5] for line in sheet[1:]] == ["", "yes", "", "", "yes", ""]
    registers.withdraw(SELLER, "spans", id, "误登", version=2)
    assert not any(marked(house).values())


# ------------------------------------------------------------------------------------------------------------------- handlers
def _job(house: House, key: str = "p") -> bytes:
    return diagram(process(start(), element("serviceTask", "work", camunda_type="external", camunda_topic="work"), end(), "s>work", "work>e", id=key))


@pytest.mark.parametrize("effect", ["outside", "database"])
def test_a_handler_reads_a_register_and_adds_to_it_once(house: House, effect: str) -> None:
    @house.handler("work", effect=effect, gives={"found": "number"})
    def work(job: Job) -> dict[str, Any]:
        job.outside.register_add("papers", {"name": "由流程登记", "expires": date(2027, 1, 1)}, once=job.business_key)
        return {"found": len(job.outside.register("papers", {"holder": " 甲公司 "}))}

    add(house, holder="甲公司")
    house.deploy(_job(house))
    for _ in range(2):
        instance = house.start(business_key="B-1")
        house.engine.jobs.run_due()

    (done,) = house.events(instance.id, "JobCompleted")
    assert done.values == {"found": 1}
    assert names(house) == ["由流程登记", "ISO 9001"]
    assert house.events(instance.id, "RegisterEntryWritten")[0].register == "papers"
    assert house.engine.audit.verify() == ()


def test_a_handler_corrects_an_entry_and_the_history_says_why(house: House) -> None:
    @house.handler("work", effect="database")
    def work(job: Job) -> None:
        (found,) = job.outside.register("papers", {"holder": "甲公司"})
        job.outside.register_amend("papers", found, {"copies": 3}, "补登份数")

    entry = add(house, holder="甲公司", copies=1)
    house.deploy(_job(house))
    instance = house.start()
    house.engine.jobs.run_due()

    now, versions = house.engine.registers.get(SYSTEM, "papers", entry)
    assert (now.values["holder"], now.values["copies"]) == ("甲公司", 3)
    assert [(v.version, v.change, v.reason) for v in versions] == [(2, "amended", "补登份数"), (1, "added", "")]
    (written,) = house.events(instance.id, "RegisterEntryWritten")
    assert (written.entry, written.entry_version, written.change, written.reason) == (entry, 2, "amended", "补登份数")
    assert house.engine.audit.verify() == ()


def test_what_somebody_changed_meanwhile_is_read_again_before_a_handler_corrects_it(house: House) -> None:
    seen: list[int] = []

    @house.handler("work", effect="database")
    def work(job: Job) -> None:
        (found,) = job.outside.register("papers", {"holder": "甲公司"})
        seen.append(found.values["copies"])
        stale = replace(found, version=found.version - 1) if len(seen) == 1 else found
        job.outside.register_amend("papers", stale, {"copies": found.values["copies"] + 10}, "加十份")

    entry = add(house, holder="甲公司", copies=1)
    house.engine.registers.amend(LEAD, "papers", entry, {"name": "ISO 9001", "holder": "甲公司", "copies": 2}, "他人更正", version=1)
    house.deploy(_job(house))
    instance = house.start()

    assert (seen, house.status(instance.id)) == ([2, 2], "completed")
    now, _versions = house.engine.registers.get(SYSTEM, "papers", entry)
    assert (now.version, now.values["copies"]) == (3, 12)


def test_a_handler_that_runs_as_a_job_corrects_nothing(house: House) -> None:
    @house.handler("work", retries=0)
    def work(job: Job) -> None:
        (found,) = job.outside.register("papers", {"holder": "甲公司"})
        job.outside.register_amend("papers", found, {"copies": 3}, "补登份数")

    entry = add(house, holder="甲公司", copies=1)
    house.deploy(_job(house))
    house.start()
    house.engine.jobs.run_due()

    assert "database" in house.engine.jobs.incidents(SYSTEM)[0].message
    assert house.engine.registers.get(SYSTEM, "papers", entry)[0].version == 1


def test_what_a_failing_handler_added_is_not_added_again(house: House) -> None:
    tries: list[int] = []

    @house.handler("work", retries=2, backoff=timedelta(seconds=1))
    def work(job: Job) -> dict[str, Any]:
        tries.append(job.attempt)
        job.outside.register_add("papers", {"name": "A"}, once=job.key)
        if job.attempt == 1:
            raise ConnectionError("later")
        return {}

    house.deploy(_job(house))
    instance = house.start()
    house.engine.jobs.run_due()
    house.moved.advance(minutes=5)
    house.engine.jobs.run_due()

    assert (tries, names(house), house.status(instance.id)) == ([1, 2], ["A"], "completed")


def test_a_handler_whose_values_the_register_refuses_becomes_an_incident(house: House) -> None:
    @house.handler("work", retries=0)
    def work(job: Job) -> None:
        job.outside.register_add("papers", {"copies": 1}, once=job.key)

    house.deploy(_job(house))
    house.start()
    house.engine.jobs.run_due()

    (incident,) = house.engine.jobs.incidents(SYSTEM)
    assert "InvalidValues" in incident.message
    assert names(house) == []


@pytest.mark.only_on("sqlite")
def test_the_command_line_erases_from_a_register(house: House) -> None:
    entry = _person(house)

    def run(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["erase", *words, "--reason", "本人要求", "--data", str(house.folder)])
        return result.exit_code, result.output

    assert run("--register", "papers", "--field", "name")[0] == 2
    assert run("--register", "papers", "--entry", str(entry), "--instance", "1", "--field", "name")[0] == 2
    assert run("--register", "papers", "--entry", str(entry), "--titles")[0] == 2
    assert run("--register", "papers", "--entry", "1", "--field", "name")[0] == 1
    code, said = run("--register", "papers", "--entry", str(entry), "--field", "name", "--all-documents")

    assert (code, "清除 3 条记录中的内容、1 个文件" in said) == (0, True)
    assert "name" not in house.engine.registers.get(LEAD, "papers", entry)[0].values
