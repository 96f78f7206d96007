"""Deployments, the files in them, process definitions, and the versions that a run is pinned to."""

# ruff: noqa: S608  statements are put together from constants alone; every value is a parameter

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson

from engine.model import DefinitionId, DeploymentId, Draft, ProcessDefinition, ProcessInfo
from engine.store.database import Session, instant


def _dump_info(info: ProcessInfo) -> bytes:
    # what a later `ProcessInfo` adds has a default there or is written by a migration
    values = {name: getattr(info, name) for name in ProcessInfo.__slots__}
    return orjson.dumps(
        {k: sorted(v) if isinstance(v, frozenset) else v for k, v in values.items()}, option=orjson.OPT_SORT_KEYS
    )


def _load_info(body: bytes) -> ProcessInfo:
    values: dict[str, Any] = {k: frozenset(v) if isinstance(v, list) else v for k, v in orjson.loads(body).items()}
    return ProcessInfo(**values)


_COLUMNS = "d.id, d.key, d.version, d.name, d.version_tag, d.deployment_id, d.sha256, d.deployed_at, d.deployed_by, d.info"
_DEFINITION = f"select {_COLUMNS} from process_definition d"
_NEWEST = " where d.version = (select max(n.version) from process_definition n where n.key = d.key)"


def _definition(row: Sequence[Any]) -> ProcessDefinition:
    id, key, version, name, tag, deployment, sha, at, by, info = row
    return ProcessDefinition(
        id=DefinitionId(id), key=key, version=version, name=name, version_tag=tag, deployment_id=DeploymentId(deployment), sha256=sha,
        deployed_at=instant(at), deployed_by=by, info=_load_info(info),
    )  # fmt: skip


def get(tx: Session, definition_id: int) -> ProcessDefinition | None:
    row = tx.row(_DEFINITION + " where d.id = ?", (definition_id,))
    return None if row is None else _definition(row)


def by_key(tx: Session, key: str, version: int | None = None) -> ProcessDefinition | None:
    """Return a version of a process, by default the newest (`uq_process_definition_key_version`)."""
    if version is None:
        row = tx.row(_DEFINITION + " where d.key = ? order by d.version desc limit 1", (key,))
    else:
        row = tx.row(_DEFINITION + " where d.key = ? and d.version = ?", (key, version))
    return None if row is None else _definition(row)


def newest(tx: Session) -> list[ProcessDefinition]:
    """Return the newest version of every process, by key."""
    return [_definition(row) for row in tx.rows(_DEFINITION + _NEWEST + " order by d.key")]


def infos(tx: Session) -> list[ProcessInfo]:
    """Return what every version of every process says of itself."""
    return [_load_info(body) for (body,) in tx.rows("select info from process_definition order by id")]


def versions(tx: Session, key: str) -> list[ProcessDefinition]:
    """Return every version of a process, newest first."""
    return [_definition(row) for row in tx.rows(_DEFINITION + " where d.key = ? order by d.version desc", (key,))]


def fingerprint(tx: Session, key: str) -> tuple[int, str] | None:
    """Return number and fingerprint of the newest version, or None."""
    row = tx.row("select version, fingerprint from process_definition where key = ? order by version desc limit 1", (key,))
    return None if row is None else (row[0], row[1])


def xml(tx: Session, definition_id: int) -> bytes | None:
    """Return the original diagram of a definition."""
    sql = "select b.body from process_definition d join resource_body b on b.sha256 = d.sha256 where d.id = ?"
    found: bytes | None = tx.value(sql, (definition_id,))
    return found


# ------------------------------------------------------------------------------------------------------------------------ deploying
@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """A file of a deployment. `artifacts`: ``((id, title), …)`` of the form or decisions in it."""

    name: str
    kind: str
    body: bytes
    artifacts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDefinition:
    id: int
    version: int
    info: ProcessInfo
    file: str
    fingerprint: str
    starts: tuple[tuple[str, str, str], ...]  #: ``((element, kind, name), …)`` of message and signal start events


def digest(body: bytes) -> str:
    return sha256(body).hexdigest()


def generation(tx: Session) -> int:
    """Return a number that every deployment raises."""
    return int(tx.value("select value from meta where name = 'deployments'") or 0)


def alone(tx: Session) -> None:
    """Let nobody else deploy, or save a draft of the modeler, until this transaction ends: versions and what stands are read first."""
    tx.alone("deployments")


def insert(
    tx: Session,
    *,
    deployment_id: int,
    name: str,
    at: int,
    by: str,
    files: Iterable[NewFile],
    definitions: Iterable[NewDefinition],
) -> None:
    """Write a deployment with all its files, and new versions of the processes that changed."""
    tx.put('insert into deployment (id, name, at, "by") values (?, ?, ?, ?)', (deployment_id, name, at, by))
    shas = dict[str, str]()
    for file in files:
        shas[file.name] = sha = digest(file.body)
        tx.put("insert into resource_body (sha256, body) values (?, ?) on conflict do nothing", (sha, file.body))
        tx.put(
            "insert into resource (deployment_id, name, kind, sha256) values (?, ?, ?, ?)",
            (deployment_id, file.name, file.kind, sha),
        )
        tx.run_many(
            "insert into artifact (kind, ident, deployment_id, name, title) values (?, ?, ?, ?, ?)",
            [(file.kind, ident, deployment_id, file.name, title) for ident, title in file.artifacts],
        )
    for d in definitions:
        tx.put(
            "insert into process_definition (id, key, version, name, version_tag, deployment_id, resource, sha256, fingerprint, deployed_at,"
            " deployed_by, info) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                d.id, d.info.key, d.version, d.info.name, d.info.version_tag, deployment_id, d.file, shas[d.file], d.fingerprint, at, by,
                _dump_info(d.info),
            ),
        )  # fmt: skip
        tx.run_many(
            "insert into start_event (definition_id, element, kind, name) values (?, ?, ?, ?)",
            [(d.id, *start) for start in d.starts],
        )
    tx.put(
        "insert into meta (name, value) values ('deployments', '1')"
        " on conflict (name) do update set value = cast(cast(meta.value as integer) + 1 as text)"
    )


def deployed_shas(tx: Session) -> dict[str, str]:
    """Return ``{file name: sha256}`` of the newest deployment of each file."""
    return dict(tx.rows(
        "select r.name, r.sha256 from resource r where r.deployment_id ="
        " (select max(n.deployment_id) from resource n where n.name = r.name)"
    ))  # fmt: skip


def last_deployment(tx: Session) -> tuple[int, str, int, str] | None:
    row = tx.row('select id, name, at, "by" from deployment order by id desc limit 1')
    return None if row is None else (row[0], row[1], row[2], row[3])


def resource(tx: Session, deployment_id: int, name: str) -> bytes | None:
    """Return a file of a deployment, or of the newest deployment before it that has one of that name."""
    found: bytes | None = tx.value(
        "select b.body from resource r join resource_body b on b.sha256 = r.sha256 where r.name = ? and r.deployment_id <= ?"
        " order by r.deployment_id desc limit 1",
        (name, deployment_id),
    )
    return found


def artifact(tx: Session, kind: str, ident: str, deployment_id: int | None = None) -> bytes | None:
    """Return the file that holds a form or decision, as of `deployment_id` (default: the newest)."""
    found: bytes | None = tx.value(
        "select b.body from artifact a join resource r on r.deployment_id = a.deployment_id and r.name = a.name"
        " join resource_body b on b.sha256 = r.sha256 where a.kind = ? and a.ident = ? and a.deployment_id <= ?"
        " order by a.deployment_id desc limit 1",
        (kind, ident, (1 << 62) if deployment_id is None else deployment_id),
    )
    return found


def artifacts(tx: Session, kind: str) -> dict[str, str]:
    """Return ``{id: title}`` of every form or decision that was ever deployed."""
    return dict(tx.rows("select ident, title from artifact where kind = ? order by ident, deployment_id", (kind,)))


def newest_artifacts(tx: Session, kind: str, prefix: str = "") -> dict[str, bytes]:
    """Return ``{id: file}`` of the newest form or decision file of each id that begins with `prefix`."""
    return dict(tx.rows(
        "select a.ident, b.body from artifact a join resource r on r.deployment_id = a.deployment_id and r.name = a.name"
        " join resource_body b on b.sha256 = r.sha256 where a.kind = ? and a.deployment_id ="
        " (select max(n.deployment_id) from artifact n where n.kind = a.kind and n.ident = a.ident)"
        " and substr(a.ident, 1, ?) = ?",
        (kind, len(prefix), prefix),
    ))  # fmt: skip


def newest_diagrams(tx: Session) -> dict[str, bytes]:
    """Return ``{process key: diagram}`` of the newest version of every process."""
    return dict(tx.rows("select d.key, b.body from process_definition d join resource_body b on b.sha256 = d.sha256" + _NEWEST))


def form_bodies(tx: Session) -> list[bytes]:
    """Return every form file that was ever deployed, each once."""
    sql = (
        "select b.body from resource_body b where b.sha256 in (select r.sha256 from artifact a join resource r"
        " on r.deployment_id = a.deployment_id and r.name = a.name where a.kind = 'form')"
    )
    return [body for (body,) in tx.rows(sql)]


def started_by(tx: Session, kind: str, name: str) -> list[tuple[ProcessDefinition, str]]:
    """Return ``[(newest version, start event)]`` of the processes that begin with a message or signal (`ix_start_event_match`)."""
    sql = f"select {_COLUMNS}, e.element from start_event e join process_definition d on d.id = e.definition_id"
    rows = tx.rows(f"{sql}{_NEWEST} and e.kind = ? and e.name = ? order by d.key, e.element", (kind, name))
    return [(_definition(row[:10]), row[10]) for row in rows]


# -------------------------------------------------------------------------------------------------------------------------- bundles
def bundle(tx: Session, bundle_id: int) -> tuple[int, dict[str, int]] | None:
    """Return the root definition and ``{process key: version}``, or None."""
    row = tx.row("select definition_id, versions from bundle where id = ?", (bundle_id,))
    return None if row is None else (row[0], orjson.loads(row[1]))


def find_bundle(tx: Session, definition_id: int, versions: Mapping[str, int]) -> int | None:
    body = orjson.dumps(dict(versions), option=orjson.OPT_SORT_KEYS)
    found: int | None = tx.value("select id from bundle where definition_id = ? and sha256 = ?", (definition_id, digest(body)))
    return found


def insert_bundle(tx: Session, bundle_id: int, definition_id: int, versions: Mapping[str, int]) -> None:
    body = orjson.dumps(dict(versions), option=orjson.OPT_SORT_KEYS)
    tx.put(
        "insert into bundle (id, definition_id, sha256, versions) values (?, ?, ?, ?) on conflict do nothing",
        (bundle_id, definition_id, digest(body), body),
    )


# --------------------------------------------------------------------------------------------------------------------------- drafts
def draft(tx: Session, key: str) -> Draft | None:
    row = tx.row("select key, xml, sha256, based_on, saved_at, saved_by from diagram_draft where key = ?", (key,))
    if row is None:
        return None
    key, body, sha, based_on, at, by = row
    return Draft(key=key, xml=body, sha256=sha, based_on=based_on, saved_at=instant(at), saved_by=by)


def save_draft(tx: Session, *, key: str, xml: bytes, based_on: int | None, at: int, by: str) -> None:
    tx.put(
        "insert into diagram_draft (key, xml, sha256, based_on, saved_at, saved_by) values (?, ?, ?, ?, ?, ?)"
        " on conflict (key) do update set xml = excluded.xml, sha256 = excluded.sha256, based_on = excluded.based_on,"
        " saved_at = excluded.saved_at, saved_by = excluded.saved_by",
        (key, xml, digest(xml), based_on, at, by),
    )


def delete_draft(tx: Session, key: str) -> None:
    tx.put("delete from diagram_draft where key = ?", (key,))
