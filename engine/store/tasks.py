"""User tasks: rows that follow from the events, the inbox, documents and drafts.

The inbox asks each principal (``u:<user>``, ``g:<group>``) on its own, limited, and merges: the same with ``IN (…)`` reads
every task of every group first.
"""

# ruff: noqa: S608  statements are put together from constants alone; every value is a parameter

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from engine.model import MOST_COUNTED, Actor, Document, DocumentId, InstanceId, TaskId, TaskState, TokenId, UserTask, maker
from engine.store import instances
from engine.store.database import END_OF_TIME, Session, instant, instant_or_none, micros, micros_or_none
from engine.store.instances import InstanceRow, like

_COLUMNS = (
    "t.id, t.instance_id, t.token, t.process, t.process_name, t.element, t.name, i.title, i.business_key, t.form, t.state, t.assignee,"
    " t.candidate_groups, t.candidate_users, t.priority, t.created_at, t.due_at, t.deadline_at, t.ended_at, t.ended_by, t.version"
)
_FROM = " from user_task t join instance i on i.id = t.instance_id"


_make_task = maker(UserTask)


def _task(row: Sequence[Any]) -> UserTask:
    (
        id,
        instance,
        token,
        process,
        process_name,
        element,
        name,
        title,
        business_key,
        form,
        state,
        assignee,
        groups,
        users,
        priority,
        created,
        due,
        deadline,
        ended,
        ended_by,
        version,
    ) = row[:21]
    return _make_task(
        id=TaskId(id), instance_id=InstanceId(instance), token=TokenId(token), process=process, process_name=process_name, element=element,
        name=name, title=title, business_key=business_key, form=form, state=TaskState(state), assignee=assignee,
        candidate_groups=_words(groups), candidate_users=_words(users), priority=priority, created_at=instant(created),
        due_at=instant_or_none(due), deadline_at=instant_or_none(deadline), ended_at=instant_or_none(ended), ended_by=ended_by,
        version=version,
    )  # fmt: skip


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split(",")) if text else frozenset()


def get(tx: Session, task_id: int) -> UserTask | None:
    row = tx.row(f"select {_COLUMNS}{_FROM} where t.id = ?", (task_id,))
    return None if row is None else _task(row)


def instance_of(tx: Session, task_id: int) -> int | None:
    found: int | None = tx.value("select instance_id from user_task where id = ?", (task_id,))
    return found


def get_with_properties(tx: Session, task_id: int) -> tuple[UserTask, Mapping[str, str]] | None:
    """Return a task and the `camunda:properties` of its element, or None."""
    row = tx.row(f"select {_COLUMNS}, t.properties{_FROM} where t.id = ?", (task_id,))
    return None if row is None else (_task(row), orjson.loads(row[21]))


_WITH_INSTANCE = (
    f"select {_COLUMNS}, t.properties, exists (select 1 from document d where d.instance_id = t.instance_id and d.task_id = t.id),"
    f" {instances.COLUMNS}, s.body{_FROM} left join instance_state s on s.instance_id = i.id where t.id = ?"
)


@dataclass(frozen=True, slots=True)
class Found:
    """A task as a command on it reads it. `properties`: the `camunda:properties` of its element."""

    task: UserTask
    properties: Mapping[str, str]
    has_documents: bool


_make_found = maker(Found)


def with_instance(tx: Session, task_id: int) -> tuple[InstanceRow, Found] | None:
    """Return a task and its instance with its state, by one statement; None: there is no such task."""
    row = tx.row(_WITH_INSTANCE, (task_id,))
    if row is None:
        return None
    properties = row[21]
    return instances.row_of(row[23:]), _make_found(
        task=_task(row), properties={} if properties == "{}" else orjson.loads(properties), has_documents=bool(row[22])
    )


def created(
    id: int, instance: InstanceRow, token: TokenId, *, process: str, process_name: str, element: str, name: str, form: str | None,
    assignee: str | None, groups: str, users: str, properties: Mapping[str, str], priority: int, at: datetime, due_at: datetime | None,
    deadline_at: datetime | None,
) -> Found:  # fmt: skip
    """Return a new open task, as `with_instance` reads it once it is inserted. `groups`, `users`: separated by commas."""
    made = _make_task(
        id=TaskId(id), instance_id=InstanceId(instance.id), token=token, process=process, process_name=process_name, element=element,
        name=name, title=instance.title, business_key=instance.business_key, form=form, state=TaskState.OPEN, assignee=assignee,
        candidate_groups=_words(groups), candidate_users=_words(users), priority=priority, created_at=at, due_at=due_at,
        deadline_at=deadline_at, ended_at=None, ended_by=None, version=1,
    )  # fmt: skip
    return _make_found(task=made, properties=properties, has_documents=False)


def of_instance(tx: Session, instance_id: int) -> list[UserTask]:
    """Return every task of an instance, oldest first (`ix_user_task_instance`)."""
    return [_task(row) for row in tx.rows(f"select {_COLUMNS}{_FROM} where t.instance_id = ? order by t.id", (instance_id,))]


class Part(NamedTuple):
    """A user task that was not cancelled, as rules of two persons look at it. `properties`: empty when it does not tell its place."""

    id: int
    token: int
    process: str
    element: str
    state: TaskState
    person: str | None  #: who completed it, else who holds it
    properties: Mapping[str, str]


_PLACED = "'%\"at\":\"%'"


def parts(tx: Session, instance_id: int, *, placed: bool = False) -> list[Part]:
    """Return the user tasks of an instance, oldest first (`ix_user_task_instance`); `placed`: those that tell their place."""
    sql = (
        f"select id, token, process, element, state, coalesce(ended_by, assignee), case when properties like {_PLACED} then properties end"
        f" from user_task where instance_id = ? and state <> 'cancelled'{f' and properties like {_PLACED}' if placed else ''} order by id"
    )
    return [
        Part(id, token, process, element, TaskState(state), person, {} if properties is None else orjson.loads(properties))
        for id, token, process, element, state, person, properties in tx.rows(sql, (instance_id,))
    ]


def with_places(tx: Session, instance_ids: Collection[int]) -> set[int]:
    """Return which of the instances have user tasks that tell their place, by one statement."""
    marks = ", ".join("?" * len(instance_ids))
    return {
        id for (id,) in tx.rows(f"select distinct instance_id from user_task where instance_id in ({marks}) and properties like {_PLACED}", tuple(instance_ids))
    } if instance_ids else set()


# ------------------------------------------------------------------------------------------------------------ written by a command
_INSERT = (
    "insert into user_task (id, instance_id, token, process, process_name, element, name, form, state, assignee, candidate_groups,"
    " candidate_users, properties, priority, created_at, due_at, sort_at, deadline_at, ended_at, ended_by, version, remind_at,"
    " remind_stage) values (?, ?, ?, ?, ?, ?, ?, ?, 'open', ?, ?, ?, ?, ?, ?, ?, ?, ?, null, null, 1, ?, ?)"
)
_OFFER = "insert into user_task_candidate (principal, sort_at, task_id) values (?, ?, ?) on conflict do nothing"


def insert(tx: Session, new: Found, *, groups: str, users: str, remind_at: int | None, remind_stage: str | None) -> None:
    """Write what `created` gave, and whom it is offered to."""
    t, due_at = new.task, micros_or_none(new.task.due_at)
    sort_at = END_OF_TIME if due_at is None else due_at
    tx.put(_INSERT, (
        t.id, t.instance_id, t.token, t.process, t.process_name, t.element, t.name, t.form, t.assignee, groups, users,
        _written(new.properties), t.priority, micros(t.created_at), due_at, sort_at, micros_or_none(t.deadline_at), remind_at, remind_stage,
    ))  # fmt: skip
    if t.assignee is None:
        for group in groups.split(",") if groups else ():
            tx.put(_OFFER, (f"g:{group}", sort_at, t.id))
        for user in users.split(",") if users else ():
            tx.put(_OFFER, (f"u:{user}", sort_at, t.id))


def _written(properties: Mapping[str, str]) -> str:
    return orjson.dumps(dict(properties), default=str).decode() if properties else "{}"


def open_task_id(tx: Session, instance_id: int, token: int) -> int | None:
    """Return the task that `token` stands in, or None (`ix_user_task_instance`)."""
    found: int | None = tx.value(
        "select id from user_task where instance_id = ? and token = ? and ended_at is null", (instance_id, token)
    )
    return found


def created_at(tx: Session, task_id: int) -> int | None:
    found: int | None = tx.value("select created_at from user_task where id = ?", (task_id,))
    return found


def end(tx: Session, task_id: int, *, state: TaskState, at: int, by: str | None) -> None:
    """Close a task; it leaves every inbox, and its drafts go."""
    tx.put(
        "update user_task set state = ?, ended_at = ?, ended_by = ?, assignee = coalesce(assignee, ?), version = version + 1,"
        " remind_at = null where id = ?",
        (state.value, at, by, by, task_id),
    )
    tx.put("delete from user_task_candidate where task_id = ?", (task_id,))
    tx.put("delete from draft where task_id = ?", (task_id,))


def give(tx: Session, task_id: int, assignee: str | None) -> None:
    """Put a task into one person's hands, or (None) back to its candidates."""
    tx.put("update user_task set assignee = ?, version = version + 1 where id = ?", (assignee, task_id))
    if assignee is None:
        _offer_again(tx, "t.id = ?", task_id)
    else:
        tx.put("delete from user_task_candidate where task_id = ?", (task_id,))


def reschedule(
    tx: Session, task_id: int, *, due_at: int | None, deadline_at: int | None, remind_at: int | None, remind_stage: str | None
) -> None:
    sort_at = END_OF_TIME if due_at is None else due_at
    tx.put(
        "update user_task set due_at = ?, sort_at = ?, deadline_at = ?, remind_at = ?, remind_stage = ?, version = version + 1 where id = ?",
        (due_at, sort_at, deadline_at, remind_at, remind_stage, task_id),
    )
    tx.put("update user_task_candidate set sort_at = ? where task_id = ?", (sort_at, task_id))


def suspend(tx: Session, instance_id: int) -> None:
    """Take an instance's open tasks out of every inbox."""
    tx.put(
        "delete from user_task_candidate where task_id in (select id from user_task where instance_id = ? and ended_at is null)",
        (instance_id,),
    )
    tx.put(
        "update user_task set state = 'suspended', version = version + 1 where instance_id = ? and state = 'open'",
        (instance_id,),
    )


def resume(tx: Session, instance_id: int) -> None:
    """Put them back."""
    tx.put(
        "update user_task set state = 'open', version = version + 1 where instance_id = ? and state = 'suspended'",
        (instance_id,),
    )
    _offer_again(tx, "t.instance_id = ?", instance_id)


def set_suspended(tx: Session, instance_id: int, tokens: Collection[int]) -> None:
    """Let exactly the open tasks at `tokens` stand still: an event sub-process suspends their scope; all others are open."""
    rows = tx.rows("select id, token, state from user_task where instance_id = ? and ended_at is null", (instance_id,))
    for id, token, state in rows:
        wanted = "suspended" if token in tokens else "open"
        if state != wanted:
            tx.put("update user_task set state = ?, version = version + 1 where id = ?", (wanted, id))
            if wanted == "suspended":
                tx.put("delete from user_task_candidate where task_id = ?", (id,))
            else:
                _offer_again(tx, "t.id = ?", id)


def _offer_again(tx: Session, where: str, value: int) -> None:
    offers = list[tuple[str, int, int]]()
    for id, sort_at, groups, users in tx.rows(
        f"select t.id, t.sort_at, t.candidate_groups, t.candidate_users from user_task t where {where} and t.state = 'open'"
        " and t.assignee is null",
        (value,),
    ):
        offers += [(f"g:{g}", sort_at, id) for g in _words(groups)] + [(f"u:{u}", sort_at, id) for u in _words(users)]
    tx.run_many(_OFFER, offers)


# ----------------------------------------------------------------------------------------------------------------------- the inbox
def principals(actor: Actor) -> list[str]:
    """Return what a task may be offered to for this person to see it."""
    return [f"u:{actor.id}", *sorted(f"g:{g}" for g in actor.groups)]


def inbox(
    tx: Session, actor: Actor, *, mine: bool, claimable: bool, due_before: int | None, search: str, limit: int,
    after: tuple[int, int] | None,
) -> list[tuple[int, UserTask]]:  # fmt: skip
    """Return ``[(sort_at, task)]``, the most urgent first, each once.

    Each arm reads at most `limit` entries of `ix_user_task_assignee` or of the candidates' primary key.
    """
    arms, values = list[str](), list[Any]()
    page, page_values = "", list[Any]()
    if after is not None:
        page += " and (x.sort_at > ? or (x.sort_at = ? and x.{id} > ?))"
        page_values += [after[0], after[0], after[1]]
    if due_before is not None:
        page += " and x.sort_at < ?"
        page_values.append(due_before)
    found, found_values = "", list[Any]()
    if search:
        found = (
            " and x.{id} in (select q.id from user_task q join instance j on j.id = q.instance_id where q.ended_at is null and"
            " (lower(q.name) like ? escape '\\' or lower(j.title) like ? escape '\\' or lower(j.business_key) like ? escape '\\'))"
        )
        found_values = [like(search)] * 3
    if mine:
        arms.append(
            "select * from (select x.sort_at, x.id as id from user_task x where x.assignee = ? and x.state = 'open'"
            f"{(page + found).format(id='id')} order by x.sort_at, x.id limit ?) own"
        )
        values += [actor.id, *page_values, *found_values, limit]
    if claimable:
        for principal in principals(actor):
            arms.append(
                "select * from (select x.sort_at, x.task_id as id from user_task_candidate x where x.principal = ?"
                f"{(page + found).format(id='task_id')} order by x.sort_at, x.task_id limit ?) offered"
            )
            values += [principal, *page_values, *found_values, limit]
    sql = (
        f"select {_COLUMNS}, t.sort_at from (select distinct sort_at, id from ({' union all '.join(arms)}) a order by sort_at, id limit ?) p"
        " join user_task t on t.id = p.id join instance i on i.id = t.instance_id order by t.sort_at, t.id"
    )
    return [(row[21], _task(row)) for row in tx.rows(sql, (*values, limit))]


def count(tx: Session, actor: Actor, *, now: int) -> dict[str, int]:
    """Return ``{view: how many}`` of the inbox, none above `MOST_COUNTED` + 1, however many there are.

    The most urgent so many of each arm tell both numbers: what is overdue comes first. The arms of SQLite's UNION are merged as
    they are read.
    """
    most = MOST_COUNTED + 1
    wanted = principals(actor)
    arm = f"select * from (select sort_at, task_id from user_task_candidate where principal = ? order by sort_at, task_id limit {most}) offered"
    first = {
        "mine": f"select sort_at, id from user_task where assignee = ? and state = 'open' order by sort_at, id limit {most}",
        "claimable": f"{' union '.join([arm] * len(wanted))} order by 1, 2 limit {most}",
    }
    counted = "select count(*), coalesce(sum(case when sort_at < ? then 1 else 0 end), 0) from ({}) a"
    ((own, own_late),), ((offered, offered_late),) = tx.read(
        (counted.format(first["mine"]), (now, actor.id)), (counted.format(first["claimable"]), (now, *wanted))
    )
    return {"all": min(own + offered, most), "mine": own, "claimable": offered, "overdue": min(own_late + offered_late, most)}


# ---------------------------------------------------------------------------------------------------------------------- reminders
def due_reminders(tx: Session, now: int, limit: int) -> list[tuple[UserTask, int]]:
    """Return ``[(task, its time)]`` of tasks whose next reminder is due (`ix_user_task_remind`)."""
    sql = (
        f"select {_COLUMNS}, t.remind_at{_FROM} where t.state = 'open' and t.remind_at is not null and t.remind_at <= ?"
        " order by t.remind_at limit ?"
    )
    return [(_task(row), row[21]) for row in tx.rows(sql, (now, limit))]


def next_reminder(tx: Session) -> int | None:
    found: int | None = tx.value("select min(remind_at) from user_task where state = 'open' and remind_at is not null")
    return found


def remind_at(tx: Session, task_id: int) -> int | None:
    found: int | None = tx.value("select remind_at from user_task where id = ?", (task_id,))
    return found


def postpone_reminder(tx: Session, task_id: int, *, until: int, was: int) -> None:
    """Try again later what could not be told."""
    tx.put("update user_task set remind_at = ? where id = ? and remind_at = ?", (until, task_id, was))


def set_reminder(tx: Session, task_id: int, *, remind_at: int | None, remind_stage: str | None, was: int) -> bool:
    """Move on to the next reminder. False: another process did."""
    sql = "update user_task set remind_at = ?, remind_stage = ? where id = ? and remind_at = ?"
    return bool(tx.run(sql, (remind_at, remind_stage, task_id, was)))


# --------------------------------------------------------------------------------------------------------- drafts and documents
def draft(tx: Session, task_id: int, user: str) -> bytes | None:
    found: bytes | None = tx.value("select body from draft where task_id = ? and user_id = ?", (task_id, user))
    return found


def save_draft(tx: Session, task_id: int, user: str, body: bytes, at: int) -> None:
    tx.put(
        "insert into draft (task_id, user_id, body, saved_at) values (?, ?, ?, ?)"
        " on conflict (task_id, user_id) do update set body = excluded.body, saved_at = excluded.saved_at",
        (task_id, user, body, at),
    )


_DOCUMENT = "select id, instance_id, task_id, field, name, media_type, size, sha256, uploaded_at, uploaded_by, erased_at from document"


def _document(row: Sequence[Any]) -> Document:
    id, instance, task, field, name, media_type, size, sha256, at, by, erased = row
    return Document(
        id=DocumentId(id), instance_id=InstanceId(instance), task_id=None if task is None else TaskId(task), field=field, name=name,
        media_type=media_type, size=size, sha256=sha256, uploaded_at=instant(at), uploaded_by=by, erased_at=instant_or_none(erased),
    )  # fmt: skip


def document(tx: Session, document_id: int) -> Document | None:
    row = tx.row(_DOCUMENT + " where id = ?", (document_id,))
    return None if row is None else _document(row)


def documents(tx: Session, *, instance_id: int, task_id: int | None = None) -> list[Document]:
    """Return the files of an instance, or of one of its tasks, oldest first (`ix_document_instance`)."""
    where, values = " where instance_id = ?", [instance_id]
    if task_id is not None:
        where, values = where + " and task_id = ?", [instance_id, task_id]
    return [_document(row) for row in tx.rows(_DOCUMENT + where + " order by id", values)]


def insert_document(tx: Session, d: Document) -> None:
    tx.put(
        "insert into document (id, instance_id, task_id, field, name, media_type, size, sha256, uploaded_at, uploaded_by)"
        " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (d.id, d.instance_id, d.task_id, d.field, d.name, d.media_type, d.size, d.sha256, micros(d.uploaded_at), d.uploaded_by),
    )


def delete_document(tx: Session, document_id: int) -> None:
    tx.put("delete from document where id = ?", (document_id,))
