"""Signed heads that lie elsewhere tell what nobody inside could hide: a chain cut, changed, computed anew, removed, or slipped in."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner

from engine import history, merkle
from engine.cli import main
from engine.errors import AccessDenied, BadHeads, SettingsError
from engine.history import Entry
from engine.model import InstanceId
from engine.service.heads import HeadsNotSent, ends_at, leaf, read_heads
from engine.settings import read_settings
from engine.store import chain
from engine.store.chain import pack
from tests.databases import on_each as on_each
from tests.history.house import ended, export, house_at, running
from tests.service.house import ANN, OWNER, House

SCRIPT = Path(__file__).parents[2] / "docs" / "verify_export.py"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = house_at(tmp_path / "data")
    yield made
    made.close()


def newest(house: House) -> Path:
    return max((house.folder / "heads").glob("*.json"))


def kinds(house: House, path: Path, key: str | None = None) -> dict[int, str]:
    return {b.instance_id: b.kind for b in house.engine.heads.verify(path, key).breaks}


# ------------------------------------------------------------------------------------------------------------------- signing
def test_a_signing_has_every_instance_and_its_signature_holds(house: House) -> None:
    ids = [ended(house, 1), running(house, 2)]
    house.engine.heads.sign()

    signing, ends = ends_at(newest(house))
    checked = house.engine.heads.verify(newest(house), house.engine.heads.public_key())

    assert set(ends) == set(ids)
    assert signing.root == merkle.root(leaf(id, *ends[id]) for id in sorted(ends))
    assert (checked.signature, checked.key_is_own, checked.breaks) == (True, False, ())
    assert (house.folder / "heads.key").stat().st_mode & 0o777 == 0o600
    assert len(house.engine.heads.public_key()) == 64
    assert b"PRIVATE" not in newest(house).read_bytes()


def test_later_files_list_what_changed_and_are_put_together_again(house: House) -> None:
    first, second = ended(house, 1), running(house, 2)
    house.engine.heads.sign()
    house.moved.advance(days=1)
    house.complete(second, "b")
    third = running(house, 3)
    house.engine.heads.sign()
    house.moved.advance(days=1)
    house.engine.heads.sign()

    files = house.engine.heads.files()
    signing, ends = ends_at(newest(house))

    assert [f.is_full for f in files] == [True, False, False]
    assert (set(files[1].ends), set(files[2].ends)) == ({second, third}, set())
    assert set(ends) == {first, second, third}
    assert signing.previous is not None
    assert signing.previous[2] == files[1].sha256
    house.moved.advance(days=40)
    house.engine.heads.sign()
    assert house.engine.heads.files()[-1].is_full
    assert house.engine.heads.files()[-1].previous is not None


def test_signings_follow_each_other_also_when_the_clock_was_put_back(house: House) -> None:
    ended(house)
    for _ in range(3):
        house.engine.heads.sign()
    house.moved.advance(hours=-5)
    house.engine.heads.sign()

    files = house.engine.heads.files()
    assert len(files) == 4
    assert [f.at for f in files] == sorted(f.at for f in files)
    assert [f.previous[0] for f in files[1:] if f.previous] == [f.name for f in files[:-1]]


def test_the_daily_work_signs_once_a_day(house: House) -> None:
    ended(house)
    for _ in range(30):
        house.engine.keep.run_due()
        house.moved.advance(hours=1)

    assert len(house.engine.heads.files()) == 2  # at nine, and after midnight
    house.engine.keep.run_due()
    assert len(house.engine.heads.files()) == 2


def test_a_signing_tells_at_once_what_is_gone_since_the_last(house: House) -> None:
    id = ended(house, 1)
    ended(house, 2)
    house.engine.heads.sign()
    _remove(house, id)

    _, breaks = house.engine.heads.sign()

    assert [(b.instance_id, b.kind) for b in breaks] == [(id, "removed")]


# ---------------------------------------------------------------------------------------------------------- the insider's hand
def _set_end(house: House, id: int, seq: int, head: bytes) -> None:
    house.change("update instance set seq = ?, head = ? where id = ?", seq, head, id)


def _entries(house: House, id: int) -> list[Entry]:
    with house.engine._database.reading() as session:
        return [Entry(*row) for row in chain.read(session, id)]


def _remove(house: House, id: int) -> None:
    for table in ("document", "event_payload", "event", "instance_state"):
        house.change(f"delete from {table} where instance_id = ?", id)
    house.change("delete from user_task_candidate where task_id in (select id from user_task where instance_id = ?)", id)
    house.change("delete from user_task where instance_id = ?", id)
    house.change("delete from instance where id = ?", id)


def edit(house: House, id: int) -> None:
    entry = _entries(house, id)[1]
    house.change("update event set body = ? where instance_id = ? and seq = ?", pack(entry.body.replace(b"ann", b"bob")), id, entry.seq)


def delete(house: House, id: int) -> None:
    house.change("delete from event where instance_id = ? and seq = ?", id, _entries(house, id)[1].seq)


def swap(house: House, id: int) -> None:
    one, two = _entries(house, id)[:2]
    for seq, other in ((one.seq, two), (two.seq, one)):
        house.change("update event set body = ?, hash = ? where instance_id = ? and seq = ?", pack(other.body), other.hash, id, seq)


def cut_tail(house: House, id: int) -> None:
    house.change("delete from event where instance_id = ? and seq = ?", id, _entries(house, id)[-1].seq)


def cut_tail_and_fix_head(house: House, id: int) -> None:
    last, before = _entries(house, id)[-1], _entries(house, id)[-2]
    house.change("delete from event where instance_id = ? and seq = ?", id, last.seq)
    house.change("delete from event_payload where instance_id = ? and seq = ?", id, last.seq)
    _set_end(house, id, before.seq, before.hash)


def recompute(house: House, id: int) -> None:
    """Write the whole chain anew with another actor, consistently: hashes, and the head in the instance's row."""
    head = history.genesis(id)
    entries = _entries(house, id)
    for entry in entries:
        body = entry.body.replace(b'"actor":"ann"', b'"actor":"bob"')
        head = sha256(head + (entry.commitment or bytes(32)) + body).digest()
        house.change("update event set body = ?, hash = ? where instance_id = ? and seq = ?", pack(body), head, id, entry.seq)
    _set_end(house, id, entries[-1].seq, head)


def take_payload(house: House, id: int) -> None:
    house.change("update event set salt = null, payloads = null where instance_id = ? and seq = ?", id, _entries(house, id)[1].seq)


def erase_lawfully(house: House, id: int) -> None:
    house.engine.keep.erase(OWNER, InstanceId(id), "the law", everything=True)


#: ``{what somebody did: (whether `verify` alone sees it, what a head file kept elsewhere says)}``
TABLE: dict[Callable[[House, int], None], tuple[bool, str | None]] = {
    edit: (True, "changed"), delete: (True, "changed"), swap: (True, "changed"), cut_tail: (True, "cut"),
    cut_tail_and_fix_head: (False, "cut"), recompute: (False, "recomputed"), _remove: (False, "removed"), take_payload: (True, "changed"),
    erase_lawfully: (False, None),
}  # fmt: skip


@pytest.mark.parametrize("change", TABLE, ids=lambda change: change.__name__.strip("_"))
def test_each_tampering_shows_where_the_table_in_the_documentation_says(house: House, change: Callable[[House, int], None], tmp_path: Path) -> None:
    well, victim = ended(house, 1), ended(house, 2)
    house.engine.heads.sign()
    key, path = house.engine.heads.public_key(), newest(house)
    seen_by_chain, told = TABLE[change]
    exported = tmp_path / "before.jsonl"
    exported.write_bytes(b"".join(export(house, victim)))

    change(house, victim)

    assert bool(house.engine.audit.verify()) is seen_by_chain
    assert kinds(house, path, key) == ({} if told is None else {victim: told})
    if change is not _remove:
        exported.write_bytes(b"".join(export(house, victim)))
        offline = script(exported, "--heads", path, "--key", key)
        if change is take_payload:  # an export may leave payloads out for who must not read them
            assert "named by no lawful erasure" in offline.stdout
        else:
            assert (offline.returncode == 0) is (told is None), offline.stdout
    assert kinds(house, path, key).get(well) is None


def test_what_was_added_since_is_no_change(house: House) -> None:
    id = running(house)
    house.engine.heads.sign()
    house.complete(id, "b")
    ended(house, 2)

    assert kinds(house, newest(house)) == {}


def test_an_archived_instance_is_not_missing_and_a_forged_stub_is_found(house: House) -> None:
    id, other = ended(house, 1), ended(house, 2)
    house.engine.heads.sign()
    path = newest(house)
    house.moved.advance(days=400)
    house.engine.keep.archive("P1Y")
    house.engine.keep.erase(OWNER, id, "the law", fields=["phone"])
    assert kinds(house, path) == {}

    (house.folder / "archive" / house.engine.keep.archive_names()[0]).unlink()

    assert kinds(house, path) == {id: "removed", other: "removed"}


def test_an_instance_that_was_slipped_in_later_is_found(house: House) -> None:
    ended(house, 1)
    house.engine.heads.sign()
    house.moved.advance(days=2)
    late = ended(house, 2)
    house.engine.heads.sign()
    path = newest(house)
    fake = late - (30 * 3600_000 << 22)
    for table, column in (("instance", "id"), ("event", "instance_id")):
        columns = [c for c in keep_columns(house, table) if c != column]
        names = ", ".join(f'"{c}"' for c in columns)
        house.change(f"insert into {table} ({column}, {names}) select {fake}, {names} from {table} where {column} = {late}")

    assert kinds(house, path) == {fake: "inserted"}


def keep_columns(house: House, table: str) -> list[str]:
    from engine.store.schema import METADATA

    return [c.name for c in METADATA.tables[table].columns]


def test_a_changed_head_file_is_no_witness(house: House) -> None:
    ended(house, 1)
    house.engine.heads.sign()
    house.moved.advance(days=1)
    running(house, 2)
    house.engine.heads.sign()
    first, second = sorted((house.folder / "heads").glob("*.json"))
    facts = json.loads(second.read_text())
    key = house.engine.heads.public_key()

    second.write_text(json.dumps({**facts, "at": "2020-01-01T00:00:00+00:00"}))
    assert not house.engine.heads.verify(second, key).signature
    second.write_text(json.dumps({**facts, "ends": [[facts["ends"][0][0], 1, "00" * 32]]}))
    with pytest.raises(BadHeads):
        house.engine.heads.verify(second, key)
    second.write_text(json.dumps(facts))
    first.write_text(first.read_text().replace("full", "full "))
    with pytest.raises(BadHeads):
        house.engine.heads.verify(second, key)
    with pytest.raises(BadHeads):
        read_heads(house.folder / "nothing.json")


def test_an_insider_who_signs_anew_with_another_key_is_found(house: House) -> None:
    ended(house, 1)
    key = house.engine.heads.public_key()
    (house.folder / "heads.key").unlink()
    house.engine.heads.sign()

    assert house.engine.heads.verify(newest(house)).signature
    assert not house.engine.heads.verify(newest(house), key).signature


# ---------------------------------------------------------------------------------------------------------- out of the house
def test_every_file_is_copied_to_the_folder_and_what_is_missing_later(tmp_path: Path) -> None:
    share = tmp_path / "share"
    house = house_at(tmp_path / "data", heads_to=(str(share),))
    ended(house)
    with pytest.raises(HeadsNotSent):
        house.engine.heads.sign()
    assert len(house.engine.heads.files()) == 1
    assert not share.exists()  # a share that is not mounted must not become a folder here
    share.mkdir()

    house.engine.heads.sign()

    assert sorted(p.name for p in share.iterdir()) == [f.name for f in house.engine.heads.files()]
    assert kinds(house, max(share.glob("*.json"))) == {}
    (share / house.engine.heads.files()[0].name).write_text("{}")
    with pytest.raises(HeadsNotSent):
        house.engine.heads.sign()
    house.close()


def test_statement_and_signature_are_mailed(tmp_path: Path) -> None:
    house = house_at(tmp_path / "data", heads_to=("audit@example.com",), smtp="smtp://localhost:1")
    ended(house)

    signing, _ = house.engine.heads.sign()

    ((kind, body),) = house.rows("select type, body from job where kind = 'notification'")
    assert kind == "mail"
    for part in (signing.root.hex(), signing.signature, signing.sha256, "audit@example.com"):
        assert part in bytes(body).decode()
    house.close()


@pytest.mark.parametrize("value", ["relative/folder", "a b@c", "audit@example.com"])
def test_where_heads_cannot_go_is_refused_at_start(value: str) -> None:
    with pytest.raises(SettingsError):
        read_settings({"PSMFLOW_HEADS_TO": value})


def test_settings_of_the_history_are_read() -> None:
    found = read_settings({"PSMFLOW_HEADS_TO": "/mnt/a b@c.cn", "PSMFLOW_SMTP": "smtp://x", "PSMFLOW_KEEP_CLOSED": "p2y"})

    assert (found.heads_to, found.keep_closed) == (("/mnt/a", "b@c.cn"), "P2Y")
    with pytest.raises(SettingsError):
        read_settings({"PSMFLOW_KEEP_CLOSED": "2 years"})


# ------------------------------------------------------------------------------------------------------------------- offline
def script(*words: object, libraries: bool = True) -> subprocess.CompletedProcess[str]:
    how = ["-I"] if libraries else ["-I", "-S"]
    return subprocess.run([sys.executable, *how, str(SCRIPT), *map(str, words)], capture_output=True, text=True, check=False)


def test_an_export_with_its_proof_is_checked_with_one_head_file_alone(house: House, tmp_path: Path) -> None:
    id = running(house, 1)
    for n in range(2, 6):
        ended(house, n)
    house.engine.heads.sign()
    house.moved.advance(days=1)
    ended(house, 9)
    house.engine.heads.sign()  # lists what changed alone
    proof = house.engine.heads.proof(OWNER, id)
    assert proof is not None
    house.complete(id, "b")
    alone = tmp_path / "elsewhere" / newest(house).name
    alone.parent.mkdir()
    alone.write_bytes(newest(house).read_bytes())
    exported = tmp_path / "x.jsonl"
    exported.write_bytes(b"".join(export(house, id)) + proof)
    key = tmp_path / "psmflow.pub"
    key.write_text(house.engine.heads.public_key() + "\n")

    well = script(exported, "--heads", alone, "--key", key)
    assert well.returncode == 0, well.stdout
    assert "the signature is good, by the given key" in well.stdout
    assert "as it was signed" in well.stdout
    bare = script(exported, "--heads", alone, libraries=False)
    assert (bare.returncode, "NOT checked" in bare.stdout) == (0, True)
    assert read_heads(alone).sha256 in bare.stdout
    own = script(exported, "--heads", alone)
    assert "give one kept elsewhere" in own.stdout
    other = script(exported, "--heads", alone, "--key", "22" * 32)
    assert (other.returncode, "CHANGED" in other.stdout) == (1, True)

    without = tmp_path / "y.jsonl"
    without.write_bytes(b"".join(export(house, id)))
    assert script(without, "--heads", alone, "--key", key).returncode == 1
    facts = json.loads(proof)["psmflow_proof"]
    for change in ({"index": facts["index"] + 1}, {"seq": facts["seq"] - 1}, {"head": "00" * 32}, {"path": facts["path"][:-1]}):
        exported.write_bytes(b"".join(export(house, id)) + json.dumps({"psmflow_proof": {**facts, **change}}).encode())
        assert script(exported, "--heads", alone, "--key", key).returncode == 1, change


def test_an_archive_file_is_checked_against_heads(house: House) -> None:
    ids = [ended(house, n) for n in (1, 2)]
    house.engine.heads.sign()
    house.moved.advance(days=400)
    house.engine.keep.archive("P1Y")

    found = script(house.folder / "archive" / "2026-03.jsonl.gz", "--heads", newest(house), "--key", house.engine.heads.public_key())

    assert found.returncode == 0, found.stdout
    assert found.stdout.count("as it was signed") == len(ids)


def test_only_those_who_see_variables_get_a_proof(house: House) -> None:
    id = ended(house)
    assert house.engine.heads.proof(OWNER, id) is None
    house.engine.heads.sign()
    with pytest.raises(AccessDenied):
        house.engine.heads.proof(ANN, id)
    assert house.engine.heads.proof(OWNER, InstanceId(7)) is None


# ----------------------------------------------------------------------------------------------------------- the command line
@pytest.mark.only_on("sqlite")
def test_the_command_line_signs_and_compares(house: House) -> None:
    victim = ended(house, 1)

    def run(*words: object) -> tuple[int, str]:
        result = CliRunner().invoke(main, [*map(str, words), "--data", str(house.folder)])
        return result.exit_code, result.output

    code, told = run("heads", "sign")
    assert (code, "PSMFLOW_HEADS_TO" in told) == (0, True), told
    key = run("heads", "key")[1].strip()
    assert newest(house).name in run("heads", "list")[1]
    code, told = run("verify", "--heads", newest(house), "--key", key)
    assert (code, "签名有效" in told, "注意" in told) == (0, True, False), told
    assert "注意" in run("verify", "--heads", newest(house))[1]
    assert b"psmflow_proof" in CliRunner().invoke(main, ["export", "--instance", str(victim), "--proof", "--data", str(house.folder)]).stdout_bytes
    recompute(house, victim)
    code, told = run("verify", "--heads", newest(house), "--key", key)
    assert (code, str(victim) in told, "重新计算" in told) == (1, True, True), told
    assert run("verify", "--heads", newest(house), "--key", "33" * 32)[0] == 1
    assert run("verify", "--heads", newest(house), "--instance", "5")[0] == 2
