"""User tasks: inbox, claim, release, assign, drafts, files, completion."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, BinaryIO, Literal, TypeVar

import orjson

from engine import access
from engine import events as e
from engine.bpmn import PLACE, visible_variables
from engine.errors import (
    AccessDenied,
    Conflict,
    DocumentErased,
    NotFound,
    StalePage,
    TaskNotOpen,
    TaskSuspended,
)
from engine.forms import Component, Form, is_envelope
from engine.model import (
    Actor,
    Document,
    DocumentId,
    InstanceId,
    Page,
    TaskId,
    TaskState,
    UserTask,
    Values,
    complete_user_task,
)
from engine.service.forms import shown_to, storable
from engine.service.instances import Instances
from engine.service.observed import observed
from engine.service.runtime import Compiled, Runtime
from engine.service.sight import Sight
from engine.service.turn import Turn
from engine.service.uploads import Uploads, file_name
from engine.store import instances, keep, people, tasks
from engine.store.database import Session, micros

Answer = TypeVar("Answer")
View = Literal["all", "mine", "claimable", "overdue"]
_STATE_ZH = {
    TaskState.COMPLETED: "已完成",
    TaskState.CANCELLED: "已取消",
    TaskState.SUSPENDED: "已挂起",
    TaskState.OPEN: "待办",
}


class SeparationOfDuties(AccessDenied):
    """A two-person rule keeps this actor from the task; the attempt is in the history."""

    code = "separation_of_duties"


class Tasks:
    """Commands and queries on user tasks."""

    def __init__(self, runtime: Runtime, of_instances: Instances) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._instances = of_instances
        self._uploads = Uploads(runtime.settings)

    # -- looking
    def inbox(
        self, actor: Actor, view: View = "all", *, search: str = "", limit: int = 50, after: str | None = None
    ) -> Page[UserTask]:
        """Return the open tasks of a person, the most urgent first.

        Args:
            view: ``mine`` claimed by or given to the actor, ``claimable`` offered to them, ``overdue`` of both, ``all`` both.
            search: anywhere in the names of task and instance or the business key, capitals or not.
            after: `Page.next` of the page before.
        """
        limit, search = max(1, min(limit, 500)), search[:200]
        with self._database.reading() as session:
            found = tasks.inbox(
                session,
                actor,
                mine=view != "claimable",
                claimable=view != "mine",
                due_before=micros(self._runtime.clock.now()) if view == "overdue" else None,
                search=search,
                limit=limit + 1,
                after=_place(after),
            )
        more = len(found) > limit
        page = found[:limit]
        return Page(items=tuple(task for _, task in page), next=f"{page[-1][0]}.{page[-1][1].id}" if more else None)

    def counts(self, actor: Actor) -> dict[str, int]:
        """Return ``{view: how many tasks}``; a number above `MOST_COUNTED` says "more than so many"."""
        with self._database.reading() as session:
            return tasks.count(session, actor, now=micros(self._runtime.clock.now()))

    def of_instance(self, actor: Actor, instance_id: InstanceId) -> tuple[UserTask, ...]:
        """Return every task of an instance, open or not, oldest first.

        Raises:
            AccessDenied, NotFound
        """
        record = None if self._instances.get(actor, instance_id).archived_in is None else self._instances.archived(instance_id)
        if record is not None:
            return record.tasks
        with self._database.reading() as session:
            return tuple(tasks.of_instance(session, instance_id))

    def get(self, actor: Actor, id: TaskId) -> UserTask:
        """Return a task.

        Raises:
            AccessDenied, NotFound
        """
        with self._database.reading() as session:
            return self._seen(session, actor, id)

    def _seen(self, session: Session, actor: Actor, id: int) -> UserTask:
        task = _found(session, id)[0]
        if not access.may_see_task(actor, task):
            instance = instances.get(session, task.instance_id)
            assert instance is not None
            self._instances.require_sight(actor, instance)
        return task

    def form(self, actor: Actor, id: TaskId) -> tuple[Form | None, Values]:
        """Return the task's form (without what the actor may not see) and the values it starts with: draft over variables.

        Raises:
            AccessDenied, NotFound
        """
        with self._database.reading() as session:
            task = self._seen(session, actor, id)
            sight = self._runtime.sights.of(session, actor, task.instance_id, works_on=access.may_work_on(actor, task))
            form = shown_to(actor, self._form(session, task), own=sight.amounts is None)
            draft = tasks.draft(session, id, actor.id)
            given = self._variables(session, task, sight)
            values: dict[str, Any] = {}
            if form is not None:
                values = form.initial(sight.leave_out(given))
                values.update({c.key: None for c in form.sealed() if c.is_input and is_envelope(values[c.key])})
                hidden = sight.hide(given)
                values.update({c.key: hidden[c.key] for c in form.inputs() if c.readonly and c.key in hidden})
            if draft is not None:
                typed = sight.leave_out(orjson.loads(draft))
                values.update(typed if form is None else form.on_given_rows(typed, values))
        return form, values

    def context(self, actor: Actor, id: TaskId) -> Values:
        """Return the variables that the task's form names or shows in tables, for its page.

        Raises:
            AccessDenied, NotFound
        """
        with self._database.reading() as session:
            task = self._seen(session, actor, id)
            sight = self._runtime.sights.of(session, actor, task.instance_id, works_on=access.may_work_on(actor, task))
            form = shown_to(actor, self._form(session, task), own=sight.amounts is None)
            variables = sight.hide(self._variables(session, task, sight))
        if form is None:
            return {}
        names = {c.key or c.source for c in _every(form.components)} | {c.source for c in _every(form.components)}
        return {name: value for name, value in variables.items() if name in names}

    def _form(self, session: Session, task: UserTask, compiled: Compiled | None = None) -> Form | None:
        if task.form is None:
            return None
        if compiled is None:
            row = instances.load(session, task.instance_id)
            assert row is not None
            compiled = self._runtime.definitions.compiled(session, row.bundle_id)
        form = self._runtime.definitions.form(session, task.form, compiled.processes[task.process].deployment_id)
        if form is None:
            raise NotFound(what="表单 (form)", id=task.form)
        return form

    def _variables(self, session: Session, task: UserTask, sight: Sight) -> Values:
        """Return what the task sees and its reader may know; a blind result is not there, for a mark is no list to show."""
        row = instances.load(session, task.instance_id)
        if row is None or row.state is None or task.state not in (TaskState.OPEN, TaskState.SUSPENDED):
            return {}
        compiled = self._runtime.definitions.compiled(session, row.bundle_id)
        found = visible_variables(compiled.definition, row.state, task.token)
        blind = sight.blind_names(compiled.definition, row.state, task.token)
        return {name: value for name, value in found.items() if name not in blind} if blind else found

    # -- who works on it
    @observed("task.claim")
    def claim(self, actor: Actor, id: TaskId) -> None:
        """Take a task that is offered to the actor; nothing happens when it is the actor's already.

        Raises:
            NotFound, TaskNotOpen, TaskSuspended
            AccessDenied: not offered to the actor, or somebody else was faster.
            SeparationOfDuties: a two-person rule; the attempt is recorded.
        """

        def do(turn: Turn, found: tasks.Found) -> None:
            task = found.task
            if task.assignee == actor.id:
                return
            access.require_work_on(actor, task)
            if not self._separated(turn, actor, found):
                turn.record(e.UserTaskClaimed(process=task.process, element=task.element, token=task.token))

        self._command(actor, id, do)

    @observed("task.release")
    def release(self, actor: Actor, id: TaskId) -> None:
        """Give a task back to those it was offered to.

        Raises:
            NotFound, TaskNotOpen, TaskSuspended
            AccessDenied: somebody else's, or offered to nobody so that it would be lost.
        """

        def do(turn: Turn, found: tasks.Found) -> None:
            task = found.task
            access.require_release(actor, task)
            if not task.candidate_groups and not task.candidate_users:
                raise AccessDenied(action=f"退回任务“{task.name}”", reason="它没有候选人，退回后无人可办；请由主管转派。")
            if task.assignee is not None:
                turn.record(e.UserTaskReleased(process=task.process, element=task.element, token=task.token))

        self._command(actor, id, do)

    @observed("task.assign")
    def assign(self, actor: Actor, id: TaskId, user: str, reason: str) -> None:
        """Hand a task on to `user`.

        Raises:
            NotFound: no such task or person.
            TaskNotOpen, TaskSuspended
            AccessDenied: not the actor's task and the actor is no supervisor, or not in its `reassignGroups`.
            SeparationOfDuties: a two-person rule keeps `user` from it.
        """

        def do(turn: Turn, found: tasks.Found) -> None:
            task = found.task
            access.require_assign(actor, task, _words(found.properties.get("reassignGroups", "")))
            person = people.get(turn.session, user)
            if person is None or not person.active:
                raise NotFound(what="用户 (user)", id=user)
            if not self._separated(turn, Actor(id=user, name=person.name, groups=person.groups), found):
                turn.record(
                    e.UserTaskAssigned(
                        process=task.process, element=task.element, token=task.token, assignee=user, reason=reason.strip()
                    )
                )

        self._command(actor, id, do)

    def _separated(self, turn: Turn, actor: Actor, found: tasks.Found) -> bool:
        """True if a two-person rule bars the actor: then the turn records it, and the caller is told once it is written."""
        task, properties = found.task, found.properties
        words = _words(properties.get("separateFrom", ""))
        if not words:
            return False
        elements = [word if "." in word else f"{task.process}.{word}" for word in words]
        own = found.properties.get(PLACE, "").partition(".")[2].removeprefix("0")
        performers: dict[str, set[str]] = {}
        holders: dict[str, set[str]] = {}
        for part in tasks.parts(turn.session, task.instance_id):
            if part.person is None or part.id == task.id:
                continue
            element = f"{part.process}.{part.element}"
            if own and (part.process, part.element) == (task.process, task.element) and part.properties.get(PLACE, "").partition(".")[2] != own:
                continue  # of another run of the multi-instance activity
            (performers if part.state is TaskState.COMPLETED else holders).setdefault(element, set()).add(part.person)
        did = access.separated_from(actor, performers, elements)
        barred = did or access.separated_from(actor, holders, elements)
        if barred is None:
            return False
        rule = properties.get("separationRule", "")
        turn.record(
            e.SeparationOfDutiesDenied(process=task.process, element=task.element, token=task.token, rule=rule or barred)
        )
        name = turn.element_name(*barred.split(".", 1))
        turn.refused = SeparationOfDuties(
            action=f"办理任务“{task.name}”", reason=f"职责分离{' ' + rule if rule else ''}：此人已{'办理' if did else '领取'}“{name}”，须由他人办理。"
        )
        return True

    # -- completing
    @observed("task.save_draft")
    def save_draft(self, actor: Actor, id: TaskId, raw: Mapping[str, Any]) -> None:
        """Keep what the actor typed so far, sealed fields left out; nothing is checked yet.

        Raises:
            NotFound, TaskNotOpen
            AccessDenied: the actor may not work on the task.
        """
        with self._database.reading() as session:
            task, _ = _found(session, id)
            form = self._form(session, task)
        sealed = frozenset(c.key for c in form.sealed()) if form is not None else frozenset()
        body = orjson.dumps({key: value for key, value in raw.items() if key not in sealed}, default=str)
        with self._database.writing() as tx:
            task, _ = _found(tx, id)
            access.require_work_on(actor, task)
            _require_open(task)
            tasks.save_draft(tx, id, actor.id, body, micros(self._runtime.clock.now()))

    @observed("task.complete")
    def complete(
        self, actor: Actor, id: TaskId, raw: Mapping[str, Any] | None = None, *, version: int | None = None,
        idempotency_key: str | None = None,
    ) -> None:  # fmt: skip
        """Complete a task with what its form accepts; an unclaimed one is claimed by doing so.

        Args:
            raw: ``{field: value as typed, or as JSON}``; a task without a form takes any values. File fields take the files
                attached to the task.
            version: of the task as the page showed it; refused when it changed since.
            idempotency_key: a second call of the same actor with the same key does nothing more.

        Raises:
            NotFound
            TaskNotOpen, TaskTooLate, TaskSuspended
            AccessDenied, SeparationOfDuties
            AccessListWrong, NewPriceRefused, SealingKeyWrong: of a form with sealed fields.
            StalePage: `version` is old.
            InvalidValues: the form refuses `raw`.
        """
        scope = f"complete:{actor.id}:{id}"  # a key used for another task is another key: no completion may pass for done
        given = dict(raw or {})

        def do(turn: Turn, found: tasks.Found) -> None:
            task = found.task
            if version is not None and version != task.version:
                raise StalePage(what=f"任务“{task.name}”")
            access.require_work_on(actor, task)
            if self._separated(turn, actor, found):
                return
            values = self._accepted(turn, actor, found, given)
            if turn.refused is not None:
                return
            if task.assignee is None and not access.is_system(actor):
                turn.record(e.user_task_claimed(process=task.process, element=task.element, token=task.token))
            turn.step(complete_user_task(token=task.token, values=values))
            # A refused completion (too late) is written too, but its key must not: the next try would pass for done.
            if idempotency_key is not None and turn.refused is None:
                turn.use_key(scope, idempotency_key, id)

        def done_before() -> bool:  # a task is completed once, so an open one was not completed under this key
            if idempotency_key is None:
                return False
            with self._database.reading() as session:
                return instances.idempotent_answer(session, scope, idempotency_key) is not None

        try:
            self._command(actor, id, do)
        except TaskNotOpen:
            if not done_before():
                raise

    def _accepted(self, turn: Turn, actor: Actor, found: tasks.Found, raw: Mapping[str, Any]) -> Values:
        task = found.task
        form = shown_to(actor, self._form(turn.session, task, turn.compiled))
        files = tasks.documents(turn.session, instance_id=task.instance_id, task_id=task.id) if found.has_documents else []
        if form is None:
            values = {**storable(raw)}
            for file in files:
                values[file.field] = [_file_value(f) for f in files if f.field == file.field]
            return values
        compiled, state = turn.compiled, turn.state
        assert state is not None
        variables = visible_variables(compiled.definition, state, task.token)
        accepted = form.accept(
            raw, variables=variables, now=turn.at, documents=files, zone=self._runtime.settings.time_zone, by=actor.name or actor.id,
            people=partial(people.everybody, turn.session),
        )
        return self._runtime.sealing.seal(turn, task, form, accepted)

    # -- files
    @observed("task.attach")
    def attach(self, actor: Actor, id: TaskId, field: str, name: str, media_type: str, stream: BinaryIO | bytes) -> Document:
        """Keep a file under a field of the task's form; its bytes lie outside the database, under their hash.

        Raises:
            NotFound, TaskNotOpen, TaskSuspended
            AccessDenied: the actor may not work on the task.
            FileRefused: empty, too large, of a type that is not accepted, or the form has no such file field.
            StorageFailed: the disk does not take it; nothing is left behind.
        """
        name = file_name(name)
        with self._database.reading() as session:
            task, _ = _found(session, id)
            access.require_work_on(actor, task)
            _require_open(task)
            self._uploads.require_accepted(name, field, shown_to(actor, self._form(session, task)))
        size, digest = self._uploads.keep(name, stream)
        document_id = DocumentId(self._database.new_id())

        def do(turn: Turn, found: tasks.Found) -> Document:
            task = found.task
            access.require_work_on(actor, task)
            document = Document(
                id=document_id, instance_id=task.instance_id, task_id=task.id, field=field, name=name, media_type=media_type[:200],
                size=size, sha256=digest, uploaded_at=turn.at, uploaded_by=actor.id,
            )  # fmt: skip
            turn.record(
                e.DocumentAttached(
                    process=task.process, element=task.element, token=task.token, document=document_id, field=field, name=name,
                    size=size, sha256=digest,
                )
            )  # fmt: skip
            turn.also(lambda tx: self._insert(tx, document))
            return document

        return self._command(actor, id, do)

    def _insert(self, tx: Session, document: Document) -> None:
        tx.alone(keep.BYTES)
        if not self._uploads.path(document.sha256).exists():
            raise Conflict  # another file of the same bytes was erased just now: whoever uploads it again keeps it
        tasks.insert_document(tx, document)

    @observed("task.detach")
    def detach(self, actor: Actor, id: TaskId, document_id: DocumentId) -> None:
        """Take a file off a task again, before its completion. The bytes stay: the history names them.

        Raises:
            NotFound, TaskNotOpen, TaskSuspended, AccessDenied
        """

        def do(turn: Turn, found: tasks.Found) -> None:
            task = found.task
            access.require_work_on(actor, task)
            document = tasks.document(turn.session, document_id)
            if document is None or document.task_id != task.id:
                raise NotFound(what="文件 (document)", id=document_id)
            turn.record(
                e.DocumentDetached(
                    process=task.process, element=task.element, token=task.token, document=document_id, field=document.field
                )
            )
            turn.also(lambda tx: tasks.delete_document(tx, document_id))

        self._command(actor, id, do)

    def documents(self, actor: Actor, id: TaskId) -> tuple[Document, ...]:
        """Return the files attached to a task, oldest first.

        Raises:
            NotFound, AccessDenied
        """
        with self._database.reading() as session:
            task = self._seen(session, actor, id)
            found = tasks.documents(session, instance_id=task.instance_id, task_id=id)
            sight = self._runtime.sights.of(session, actor, task.instance_id, works_on=access.may_work_on(actor, task))
            return tuple(sight.readable(found))

    def open_document(self, actor: Actor, document_id: DocumentId) -> tuple[Document, BinaryIO]:
        """Return a file and its bytes, open for reading.

        Raises:
            NotFound
            DocumentErased
            AccessDenied: the actor may not see the instance.
        """
        with self._database.reading() as session:
            document, archived_in = tasks.document(session, document_id), keep.archived_document(session, document_id)
            if archived_in is not None and (record := self._instances.archived(InstanceId(archived_in))) is not None:
                document = next((d for d in record.documents if d.id == document_id), None)
            if document is None:
                raise NotFound(what="文件 (document)", id=document_id)
            sight = self._runtime.sights.of(session, actor, document.instance_id)
        self._instances.get(actor, document.instance_id)
        if not sight.readable([document]):
            raise AccessDenied(action="打开文件", reason=sight.why_not(document))
        if document.erased_at is not None:
            raise DocumentErased(id=document_id)
        try:
            return document, self._uploads.path(document.sha256).open("rb")
        except FileNotFoundError as error:
            raise NotFound(what="文件内容 (bytes of document)", id=document_id) from error

    # -- all of them
    def _command(self, actor: Actor, id: TaskId, do: Callable[[Turn, tasks.Found], Answer]) -> Answer:
        """Carry out a command on an open task."""

        def within(turn: Turn, found: tasks.Found) -> Answer:
            _require_open(found.task)
            turn.know_task(found.task.token, id)
            return do(turn, found)

        return self._runtime.command_on_task(actor, id, within)


def _found(session: Session, id: int) -> tuple[UserTask, Mapping[str, str]]:
    found = tasks.get_with_properties(session, id)
    if found is None:
        raise NotFound(what="任务 (task)", id=id)
    return found


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _require_open(task: UserTask) -> None:
    if task.state is TaskState.SUSPENDED:
        raise TaskSuspended(name=task.name, state=_STATE_ZH[task.state])
    if task.state is not TaskState.OPEN:
        raise TaskNotOpen(name=task.name, state=_STATE_ZH[task.state])


def _file_value(d: Document) -> dict[str, Any]:
    return {"id": str(d.id), "name": d.name, "sha256": d.sha256, "size": d.size}


def _every(components: tuple[Component, ...]) -> list[Component]:
    found: list[Component] = []
    for component in components:
        found += [component, *_every(component.components)]
    return found


def _place(after: str | None) -> tuple[int, int] | None:
    if after is None:
        return None
    sort_at, _, id = after.partition(".")
    is_place = sort_at.isdecimal() and id.isdecimal() and len(sort_at) <= 19 and len(id) <= 19
    found = (int(sort_at), int(id)) if is_place else (1 << 63, 0)
    return found if max(found) < 1 << 63 else None
