"""A backup holds the archive files, the uploaded files of archived instances and the signed heads; a restore brings them back."""

from __future__ import annotations

from pathlib import Path

from engine.assembly import restore
from engine.model import SYSTEM
from engine.settings import read_settings
from tests import databases
from tests.databases import on_each as on_each
from tests.history.house import ended, house_at
from tests.service.house import OWNER


def test_what_is_archived_is_backed_up_and_restored(tmp_path: Path) -> None:
    house = house_at(tmp_path / "data")
    id, erased = ended(house, 1), ended(house, 2)
    house.engine.keep.erase(OWNER, erased, "the law", documents=None)
    house.engine.heads.sign()
    house.moved.advance(days=400)
    house.engine.keep.archive("P1Y")
    made = house.engine.audit.backup(tmp_path / "b.zip")
    assert made.manifest.lacking == ()
    assert not [a for a in house.engine.audit.examine() if a.code.value.startswith("file")]
    house.close()

    url = databases.address(tmp_path / "other", {}, empty=True)
    done = restore(read_settings({}, data=tmp_path / "other", synchronous="NORMAL", database_url=url or ""), tmp_path / "b.zip")

    assert done.breaks == ()
    house = house_at(tmp_path / "other")
    (document,) = house.engine.instances.documents(SYSTEM, id)
    _document, stream = house.engine.tasks.open_document(SYSTEM, document.id)
    with stream:
        assert stream.read() == b"%PDF of 1"
    assert house.engine.keep.verify_archives() == ()
    assert house.engine.heads.verify(max((tmp_path / "other" / "heads").glob("*.json"))).breaks == ()
    house.close()
