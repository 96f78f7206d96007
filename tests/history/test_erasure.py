"""What has to go goes, everywhere, and what may stay stays; the chain still verifies, and a hold keeps everything."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from engine.cli import main
from engine.errors import AccessDenied, DocumentErased, Held, WrongState
from engine.model import ERASED, SYSTEM, InstanceId
from engine.service.forms import ReasonMissing
from engine.service.keep import NothingToErase
from engine.store.chain import unpack
from tests.databases import on_each as on_each
from tests.history.house import cancelled, ended, export, house_at, running
from tests.service.house import ANN, BOB, MANAGER, OWNER, House

AUDITOR = MANAGER.__class__(id="audit", name="审", groups=frozenset({"auditor"}))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = house_at(tmp_path / "data")
    yield made
    made.close()


def whole_database(house: House) -> str:
    """Return every text and every unpacked part of every row."""
    found = list[str]()
    for table in ("instance", "event", "event_payload", "user_task", "document", "incident", "notice", "archived_instance", "draft", "job", "message"):
        for row in house.rows(f"select * from {table}"):
            found += [unpack(part).decode("utf-8", "replace") if isinstance(part, bytes) else str(part) for part in row]
    return "\n".join(found)


def archives(house: House) -> str:
    return "".join(gzip.open(p, "rt", encoding="utf-8").read() for p in sorted((house.folder / "archive").glob("*.gz")))


def place(house: House, id: InstanceId, where: str) -> None:
    if where == "archive":
        house.moved.advance(days=400)
        assert house.engine.keep.archive("P1Y").instance_count
        assert house.engine.instances.get(SYSTEM, id).archived_in


def intact(house: House) -> None:
    assert house.engine.audit.verify() == ()
    assert house.engine.audit.cross_check() == ()
    for name in house.engine.keep.archive_names():
        assert house.engine.keep.verify_archive(house.engine.keep.archive_path(name))[1] == ()


WHERE = pytest.mark.parametrize("where", ["tables", "archive"])


@WHERE
def test_a_field_is_erased_everywhere_and_the_others_stay(house: House, where: str) -> None:
    id, other = ended(house, 1), ended(house, 2)
    house.change(
        "insert into notice (id, user_id, at, subject, body, link, instance_id, once) values (1, 'ann', 0, '王小明来电', '请回 13800138000', '', ?, 'x')", id
    )
    place(house, id, where)

    done = house.engine.keep.erase(OWNER, id, "当事人要求", fields=["phone", "contact"])

    said = archives(house).split(f'"psmflow_instance":{{"id":"{other}"')[0] if where == "archive" else ""
    own = said if where == "archive" else "".join(line.decode() for line in export(house, id))
    assert "13800138000" not in own
    variables = house.engine.instances.variables(SYSTEM, id)
    assert "phone" not in variables
    assert "contact" not in variables
    assert (variables["amount"], variables["result"]) == (12346, "pass")
    assert house.rows("select subject, body from notice") == [(f"{ERASED}来电", f"请回 {ERASED}")]
    (event,) = house.events(id, "PayloadsErased")
    assert (event.reason, event.fields) == ("当事人要求", ("phone", "contact"))
    assert (done.payload_count, done.row_count) == (len(event.seqs), 1)
    # the remark quotes the name, under another name: that is told, not guessed
    assert any("note" in left.en for left in done.left)
    assert variables["note"] == "联系人王小明,见第1页"
    assert house.engine.instances.variables(SYSTEM, other)["phone"] == "13800138000"
    intact(house)

    again = house.engine.keep.erase(OWNER, id, "当事人要求", fields=["note"])

    assert again.payload_count
    assert "王小明" not in "".join(line.decode() for line in export(house, id))
    assert house.engine.instances.variables(SYSTEM, id)["amount"] == 12346
    assert [e.reason for e in house.events(id, "PayloadsErased")] == ["当事人要求"] * 2
    with pytest.raises(NothingToErase):
        house.engine.keep.erase(OWNER, id, "once more", fields=["phone", "nothing"])
    intact(house)


@WHERE
def test_a_file_loses_its_name_and_its_bytes(house: House, where: str) -> None:
    id = ended(house, 1)
    (document,) = house.engine.instances.documents(SYSTEM, id)
    path = house.folder / "documents" / document.sha256[:2] / document.sha256
    assert path.exists()
    place(house, id, where)

    done = house.engine.keep.erase(OWNER, id, "当事人要求", documents=[document.id])

    assert (done.document_count, done.shared_count) == (1, 0)
    assert not path.exists()
    (after,) = house.engine.instances.documents(SYSTEM, id)
    assert (after.name, after.erased_at is not None) == (ERASED, True)
    with pytest.raises(DocumentErased):
        house.engine.tasks.open_document(SYSTEM, document.id)
    assert "报价1" not in whole_database(house) + "".join(line.decode() for line in export(house, id))
    if where == "archive":
        assert "报价1" not in archives(house)
    assert house.events(id, "PayloadsErased")[0].documents == (document.id,)
    assert house.events(id, "DocumentAttached")[0].name == ERASED
    assert not any("field “name”" in left.en for left in done.left)
    assert house.engine.instances.variables(SYSTEM, id)["contact"] == "王小明"
    intact(house)


@pytest.mark.parametrize("other", ["tables", "archive"])
def test_bytes_stay_while_another_file_has_the_same(house: House, other: str) -> None:
    one = running(house, 1)
    task = house.task(one, "b")
    house.engine.tasks.attach(SYSTEM, task.id, "files", "copy.pdf", "application/pdf", b"%PDF of 2")
    house.complete(one, "b")
    two = ended(house, 2)
    if other == "archive":
        house.engine.keep.hold(OWNER, "keep it here", instance_id=one)
        house.moved.advance(days=400)
        house.engine.keep.archive("P1Y")
        house.engine.keep.lift(OWNER, house.engine.keep.holds(OWNER)[0].id, "done")
    mine = next(d for d in house.engine.instances.documents(SYSTEM, one) if d.name == "copy.pdf")

    done = house.engine.keep.erase(OWNER, one, "当事人要求", documents=[mine.id])

    assert done.shared_count == 1
    (theirs,) = house.engine.instances.documents(SYSTEM, two)
    _document, stream = house.engine.tasks.open_document(SYSTEM, theirs.id)
    with stream:
        assert stream.read() == b"%PDF of 2"
    house.engine.keep.erase(OWNER, two, "当事人要求", documents=None)
    assert not (house.folder / "documents" / theirs.sha256[:2] / theirs.sha256).exists()


@WHERE
def test_everything_that_people_typed_goes(house: House, where: str) -> None:
    id = cancelled(house, 1, "王小明要求终止")
    place(house, id, where)

    done = house.engine.keep.erase(OWNER, id, "法定期限已过", everything=True, documents=None, titles=True)

    own = "".join(line.decode() for line in export(house, id)) + whole_database(house) + archives(house)
    for secret in ("王小明", "13800138000", "报价1", "投标 1"):
        assert secret not in own, secret
    assert (done.document_count, house.engine.instances.get(SYSTEM, id).title) == (1, ERASED)
    assert house.events(id, "PayloadsErased")[0].reason == "法定期限已过"
    assert house.engine.instances.variables(SYSTEM, id) == {}
    intact(house)


def test_what_the_chain_covers_is_named_as_left(house: House) -> None:
    id = house.start(variables={"contact": "王小明"}, business_key="王小明-7", title="王小明的投标").id
    for element in ("a", "b"):
        house.complete(id, element)

    done = house.engine.keep.erase(OWNER, id, "当事人要求", fields=["contact"])

    said = " ".join(left.en for left in done.left)
    assert "business_key" in said
    assert "title" in said
    assert house.engine.instances.get(SYSTEM, id).title == "王小明的投标"
    house.engine.keep.erase(OWNER, id, "当事人要求", titles=True)
    shown = house.engine.instances.get(SYSTEM, id)
    assert (shown.title, shown.business_key) == (ERASED, ERASED)
    intact(house)


def test_a_running_instance_is_refused_with_the_reason(house: House) -> None:
    id = running(house)

    with pytest.raises(WrongState) as refused:
        house.engine.keep.erase(OWNER, id, "当事人要求", fields=["phone"])

    assert "办结" in refused.value.text("zh")
    assert house.engine.instances.variables(SYSTEM, id)["phone"] == "13800138000"


def test_who_may_not_erase_is_refused(house: House) -> None:
    id = ended(house)

    for who in (ANN, MANAGER, AUDITOR):
        with pytest.raises(AccessDenied):
            house.engine.keep.erase(who, id, "no", everything=True)
    with pytest.raises(ReasonMissing):
        house.engine.keep.erase(OWNER, id, "  ", everything=True)


def test_a_file_that_was_taken_off_again_is_erased_too(house: House) -> None:
    id = house.start().id
    task = house.task(id, "a")
    document = house.engine.tasks.attach(ANN, task.id, "files", "身份证.png", "image/png", b"\x89PNG id card")
    house.engine.tasks.detach(ANN, task.id, document.id)
    for element in ("a", "b"):
        house.complete(id, element)
    path = house.folder / "documents" / document.sha256[:2] / document.sha256
    assert path.exists()

    done = house.engine.keep.erase(OWNER, id, "当事人要求", documents=[document.id])

    assert done.document_count == 1
    assert not path.exists()
    assert "身份证" not in "".join(line.decode() for line in export(house, id))


# --------------------------------------------------------------------------------------------------------------------- holds
@pytest.mark.parametrize("by", ["instance", "business key"])
def test_under_a_hold_nothing_is_archived_or_erased(house: House, by: str) -> None:
    id, free = ended(house, 1), ended(house, 2)
    given = {"instance_id": id} if by == "instance" else {"business_key": "B-1"}
    hold = house.engine.keep.hold(AUDITOR, "投诉处理中", **given)  # type: ignore[arg-type]
    house.moved.advance(days=400)

    done = house.engine.keep.archive("P1Y")

    assert (done.held_count, done.instance_count) == (1, 1)
    assert house.engine.instances.get(SYSTEM, free).archived_in
    with pytest.raises(Held) as refused:
        house.engine.keep.erase(OWNER, id, "当事人要求", everything=True)
    assert "投诉处理中" in refused.value.text("zh")
    assert [h.id for h in house.engine.keep.holds(OWNER, id)] == [hold.id]
    assert house.events(id, "LegalHoldPlaced")[0].reason == "投诉处理中"

    with pytest.raises(ReasonMissing):
        house.engine.keep.lift(AUDITOR, hold.id, "")
    house.engine.keep.lift(AUDITOR, hold.id, "投诉已结案")

    assert house.events(id, "LegalHoldLifted")[0].reason == "投诉已结案"
    assert house.engine.keep.holds(OWNER) == ()
    assert [h.lifted_reason for h in house.engine.keep.holds(OWNER, lifted=True)] == ["投诉已结案"]
    with pytest.raises(WrongState):
        house.engine.keep.lift(AUDITOR, hold.id, "twice")
    assert house.engine.keep.archive("P1Y").instance_count == 1
    intact(house)


def test_a_hold_over_an_archived_instance_keeps_it_from_being_erased(house: House) -> None:
    id = ended(house)
    place(house, id, "archive")
    house.engine.keep.hold(OWNER, "诉讼", instance_id=id)

    with pytest.raises(Held):
        house.engine.keep.erase(OWNER, id, "当事人要求", everything=True)


def test_who_may_not_hold_is_refused(house: House) -> None:
    id = ended(house)

    for who in (ANN, BOB, MANAGER):
        with pytest.raises(AccessDenied):
            house.engine.keep.hold(who, "no", instance_id=id)
    with pytest.raises(LookupError):
        house.engine.keep.hold(OWNER, "nobody", instance_id=InstanceId(7))
    with pytest.raises(LookupError):
        house.engine.keep.hold(OWNER, "nothing", business_key=" ")


def test_a_hold_that_comes_while_a_file_is_written_keeps_its_instance(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [ended(house, n) for n in (1, 2)]
    house.moved.advance(days=400)
    publish = house.engine.keep._archives.publish

    def held_meanwhile(temporary: Path, name: str) -> None:
        publish(temporary, name)
        if not house.engine.keep.holds(OWNER):
            house.engine.keep.hold(OWNER, "诉讼", instance_id=ids[0])

    monkeypatch.setattr(house.engine.keep._archives, "publish", held_meanwhile)

    done = house.engine.keep.archive("P1Y")

    (file,) = done.files
    assert (file.name, file.instance_count) == ("2026-03-2.jsonl.gz", 1)
    assert house.engine.instances.get(SYSTEM, ids[0]).archived_in is None
    assert str(ids[0]) not in archives(house)
    intact(house)


@pytest.mark.only_on("sqlite")
def test_the_command_line_holds_and_erases(house: House) -> None:
    id = ended(house, 1)
    (document,) = house.engine.instances.documents(SYSTEM, id)

    def run(*words: object) -> tuple[int, str]:
        result = CliRunner().invoke(main, [*map(str, words), "--data", str(house.folder)])
        return result.exit_code, result.output

    code, placed = run("hold", "place", "--instance", id, "--reason", "投诉")
    assert (code, "已设置" in placed) == (0, True)
    number = "".join(c for c in placed.split("；")[0] if c.isdigit())
    assert "投诉" in run("hold", "list")[1]
    code, refused = run("erase", "--instance", id, "--field", "phone", "--reason", "要求")
    assert (code, "法定保全" in refused) == (1, True)
    assert run("hold", "lift", number, "--reason", "结案")[0] == 0
    assert "结案" in run("hold", "list", "--all")[1]
    code, told = run("erase", "--instance", id, "--field", "contact", "--document", document.id, "--reason", "要求")
    assert code == 0, told
    assert "1 个文件" in told
    assert "note" in told
    assert run("erase", "--instance", id, "--reason", "要求")[0] == 2
    assert run("hold", "place", "--reason", "x")[0] == 2


def test_an_export_says_what_was_erased_and_not_what_it_was(house: House) -> None:
    id = ended(house)
    house.engine.keep.erase(OWNER, id, "当事人要求", fields=["phone"])

    lines = [json.loads(line) for line in export(house, id)]

    assert any(line["payloads"] is None and '"payload":' in line["body"] for line in lines[1:])
    assert '"fields":["phone"]' in lines[-1]["body"]
    assert "13800138000" not in str(lines)
