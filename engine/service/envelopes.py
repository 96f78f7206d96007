"""Sealed prices: the value of a form field with the property `sealed` lies in an envelope until the bids are opened.

What is typed into such a field never reaches the process, the history or a row in clear: `engine.service.vault` encrypts it. The
process holds what anybody may know of it, ``{version, sealed_at, by, fingerprint, count}``. The fingerprint stands in the open,
chained history: at the opening it tells whether the envelope still holds what was sealed.

Nothing is unsealed before the bids are opened: `opening_of` says when that is, the server's clock whether it has come.

Who may look before the opening: the people whom the variable `access_list` names, at most five, nobody else; the machine has no
right of its own. One field name is one sealed price within a process instance, whichever task it is filled in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from engine import access, history
from engine import events as e
from engine.bpmn import values_named, visible_variables
from engine.errors import AccessDenied, EngineError, InvalidValues
from engine.events import Recorded
from engine.forms import Form, is_envelope
from engine.model import BARRED_REASON, RESEAL_REASONS, UserTask, Value, Values
from engine.service.outside import Errands
from engine.service.vault import SealBroken, Vault, close, make_key, open_envelope, unwrap
from engine.store import chain, instances, sealed
from engine.store.database import Session, micros
from engine.store.sealed import Envelope

if TYPE_CHECKING:
    from engine.service.runtime import Runtime
    from engine.service.turn import Turn

#: The variable with the user ids of those who may look, and how many they may be at most.
LIST, MOST = "access_list", 5
#: The variables that say when the bids are opened: at the opening, and never before the deadline.
_OPENING = ("opening_time", "submission_deadline")
#: What a row says of a version beside its envelope.
_PARTS = ("fingerprint", "reason", "readers", "by", "at")
#: The form's field that says why a sealed price gets a new version.
REASON = "seal_reason"


class AccessListWrong(EngineError):
    """Nothing was sealed: nobody, or too many people, could look at it."""

    code = "access_list"
    status = 422
    zh = "不能密封报价：{reason}。请投标负责人先划定报价访问名单（变量 access_list，1 至 5 人）。"
    en = "The price cannot be sealed: {reason_en}. Let the bid manager name who may see it first (variable access_list, 1 to 5 people)."


class NewPriceRefused(EngineError):
    """A new version for a reason that is none. The attempt is in the history and compliance was told."""

    code = "new_price_refused"
    status = 409
    zh = "获知竞争对手报价不能作为重新报价的理由。本次提交没有生效，已记入历史并报告合规专员；原密封报价不变。"
    en = "To have learned a competitor's price is no reason for a new price. Nothing was changed; the attempt is in the history and was reported to compliance."


class OpeningNotReached(EngineError):
    """Nothing was unsealed: the bids are not opened yet."""

    code = "opening_not_reached"
    status = 409
    zh = "开标时间 {opens_at} 未到（服务器时间 {at}），不能开封密封报价。到时在异常页重试；招标方改期的，先按补遗登记新的递交截止与开标时间再重试。此前只有访问名单上的人可以在实例页说明理由后查看。"
    en = "The bids are opened at {opens_at} (the server's time is {at}); nothing is unsealed before. Retry on the page of incidents then; when the buyer moved the opening, register the new deadline and opening by the addendum first. Until then only people on the access list may look, with a reason, on the page of the instance."


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsealed:
    """What the opening found of one field. `value` is None unless `matches`."""

    field: str
    number: int
    fingerprint: str
    matches: bool
    value: Value = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A version of a sealed field whose row is not what the history says. `kind`: ``missing``, ``extra``, ``altered``; `parts`: what
    differs."""

    kind: str
    field: str
    number: int
    parts: tuple[str, ...] = ()


# ------------------------------------------------------------------------------------------------------------- within a command
class Sealing:
    """Seals what a task was completed with, and unseals it at the opening; within the turn of a command."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        settings = runtime.settings
        self.vault = Vault(Path(settings.sealing_key_file) if settings.sealing_key_file else settings.data / "sealing.key")

    def seal(self, turn: Turn, task: UserTask, form: Form | None, values: Values) -> Values:
        """Put the values of sealed fields into envelopes; return what the process gets instead.

        A sealed field that was left blank keeps its version of before. When `turn.refused` is set afterwards, the attempt is
        recorded and the task stays open.

        Raises:
            AccessListWrong
            AccessDenied: the actor is not on the list.
            SealBroken: the version of before was taken away.
        InvalidValues: there is a version already and the form's field `seal_reason` has no reason that counts.
            SealingKeyWrong
        """
        found = {} if form is None else {c.key: c for c in form.sealed() if c.is_input and c.key in values}
        given = [key for key in found if values[key] not in (None, [], "")]
        if not found:
            return values
        assert turn.state is not None
        variables = visible_variables(turn.compiled.definition, turn.state, task.token)
        kept = {key: value for key, value in values.items() if key not in found or (key not in given and variables.get(key) is None)}
        if not given:
            return kept
        before = latest(sealed.envelopes(turn.session, turn.row.id))
        gone = next((key for key in given if is_envelope(variables.get(key)) and key not in before), None)
        if gone is not None:
            raise SealBroken(field=gone, number=variables[gone]["version"])
        readers = _readers(variables.get(LIST))
        if not (access.is_system(turn.actor) or turn.actor.id in readers):
            raise AccessDenied(action=f"填写“{found[given[0]].label}”", reason="您不在报价访问名单上。")
        reason = self._reason(turn, task, values, [before[key] for key in given if key in before])
        if turn.refused is not None:
            return {}
        known = sealed.key_id(turn.session)
        key, key_id = self.vault.key(known)
        if known is None:
            turn.also(lambda tx: sealed.use_key(tx, key_id))
            turn.also(lambda tx: self.vault.key(sealed.key_id(tx)))  # of two machines that begin at once one has the key that counts
        for field in given:
            last = before.get(field)
            kept[field] = self._close(turn, task, key, field, values[field], last, reason if _is_new_version(last) else "", readers, variables)
        return kept

    def _reason(self, turn: Turn, task: UserTask, values: Values, before: Iterable[Envelope]) -> str:
        """Return why there is a new version; empty when there is none before it, or that was opened."""
        changed = [last for last in before if _is_new_version(last)]
        if not changed:
            return ""
        reason = values.get(REASON)
        if reason == BARRED_REASON:
            self._report(turn, task, changed)
            turn.refused = NewPriceRefused()
        elif reason not in RESEAL_REASONS:
            zh, en = ("、".join(words[n] for words in RESEAL_REASONS.values()) for n in (0, 1))
            raise InvalidValues({REASON: (f"重新密封须说明理由，只接受：{zh}。", f"A new version needs a reason; these count: {en}.")})
        return str(reason)

    def _report(self, turn: Turn, task: UserTask, changed: Iterable[Envelope]) -> None:
        """Write the attempt into the history and tell compliance."""
        for last in changed:
            turn.record(e.PriceRefused(field=last.field, what="seal", reason=BARRED_REASON))
        errands = Errands(
            self._runtime, turn.session, key=str(self._runtime.database.new_id()), instance_id=turn.row.id, at=turn.at, inside=True
        )
        subject = f"【合规】【{turn.row.title}】有人以获知竞争对手报价为由要求重新报价，已阻断"
        body = f"任务“{task.name}”的提交被拒绝，原密封报价不变。请核查是否泄露或串通（规则 R-A08）。提交人：{turn.actor.name or turn.actor.id}。"
        people = errands.people(groups=("compliance_officer",))
        for person in people:
            errands.notice(person, subject, body, errands.link())
        errands.mail(people, subject, body)
        for event in errands.events(task.process, task.element):
            turn.record(event, None)
        for write in errands.writes():
            turn.also(write)

    def _close(
        self, turn: Turn, task: UserTask, key: bytes, field: str, value: Value, last: Envelope | None, reason: str, readers: tuple[str, ...],
        variables: Values,
    ) -> dict[str, Any]:  # fmt: skip
        instance_id, number = turn.row.id, 1 if last is None else last.number + 1
        wrapped = sealed.wrapped_key(turn.session, instance_id, field)
        if wrapped is None:
            own, made = make_key(key, instance_id, field)
            turn.also(lambda tx: sealed.insert_key(tx, instance_id, field, made))
        else:
            own = unwrap(key, wrapped, instance_id, field, number)
        fingerprint, envelope = close(own, instance_id, field, number, value)
        row = Envelope(
            field=field, number=number, fingerprint=fingerprint, readers=",".join(readers), reason=reason, at=micros(turn.at),
            by=turn.actor.id, unsealed_at=None, matches=None, envelope=envelope,
        )  # fmt: skip
        turn.also(lambda tx: sealed.insert(tx, instance_id, row))
        turn.record(e.PriceSealed(
            process=task.process, element=task.element, token=task.token, field=field, number=number, fingerprint=fingerprint,
            reason=reason, reader_count=len(readers), opens_at=opening_of({name: [variables.get(name)] for name in _OPENING}),
        ))  # fmt: skip
        return {"version": number, "sealed_at": turn.at, "by": turn.actor.id, "fingerprint": fingerprint, "count": len(readers)}

    def opened(self, session: Session, instance_id: int, row: Envelope) -> Value:
        """Return the value in an envelope.

        Raises:
            SealBroken: it, its key or its fingerprint was changed.
            SealingKeyWrong
        """
        key, _ = self.vault.key(sealed.key_id(session) or "")
        own = unwrap(key, sealed.wrapped_key(session, instance_id, row.field), instance_id, row.field, row.number)
        return open_envelope(own, row.envelope, instance_id, row.field, row.number, row.fingerprint)

    def unseal(self, session: Session, instance_id: int, at: datetime) -> list[Unsealed]:
        """Open the last version of every field that is sealed still, and compare it with the fingerprint in the history.

        The history says which version is the last one: an envelope that was taken away is a mismatch like one that was changed.

        Raises:
            OpeningNotReached: something is sealed, and `at` is before the opening.
            SealingKeyWrong: nothing can be said without the key.
        """
        last: dict[str, e.PriceSealed] = {}
        done = set[tuple[str, int]]()
        for row in chain.read(session, instance_id):
            for recorded in history.unseal(instance_id, history.Entry(*row)):
                match recorded.event:
                    case e.PriceSealed() as event:
                        last[event.field] = event
                    case e.PriceUnsealed(field=field, number=number, matches=True):
                        done.add((field, number))
        closed = [event for field, event in last.items() if (field, event.number) not in done]
        if closed and (opens_at := self._opening(session, instance_id, closed)) is not None and at < opens_at:
            raise OpeningNotReached(opens_at=self._shown(opens_at), at=self._shown(at))
        rows = {(r.field, r.number): r for r in sealed.envelopes(session, instance_id)}
        found = []
        for field, event in sorted(last.items()):
            if (field, event.number) in done:
                continue
            told = Unsealed(field=field, number=event.number, fingerprint=event.fingerprint, matches=False)
            if (envelope := rows.get((field, event.number))) is not None:
                with suppress(SealBroken):  # the row's own fingerprint counts for nothing
                    value = self.opened(session, instance_id, envelope._replace(fingerprint=event.fingerprint))
                    told = replace(told, matches=True, value=value)
            found.append(told)
        return found


    def faults(self, session: Session, instance_id: int, recorded: Iterable[Recorded]) -> list[Fault]:
        """Return where the rows of an instance's sealed fields are not what its history says: each version that was sealed lies there
        with its fingerprint and opens with its key, unless it was erased lawfully, and no other does.

        To try an envelope it is opened in memory; its value goes nowhere.

        Raises:
            SealingKeyWrong: no envelope can be tried.
        """
        said: dict[tuple[str, int], tuple[Any, ...]] = {}
        checks: dict[tuple[str, int], tuple[int, int]] = {}
        for each in recorded:
            match each.event:
                case e.PriceSealed() as event:
                    about = event.fingerprint, event.reason, event.reader_count, each.actor, micros(each.at)
                    said[event.field, event.number] = about
                case e.PriceUnsealed() as event:
                    checks[event.field, event.number] = micros(each.at), int(event.matches)
                case e.PayloadsErased() as event:
                    # of an erasure of everything nothing is kept; one of chosen files keeps the rest of each payload
                    everything = not event.fields and len(event.kept) < len(event.seqs)
                    said = {key: about for key, about in said.items() if not everything and key[0] not in event.fields}
        found, rows = list[Fault](), {(r.field, r.number): r for r in sealed.envelopes(session, instance_id)}
        for (field, number), row in rows.items():
            if (field, number) not in said:
                found.append(Fault(kind="extra", field=field, number=number))
                continue
            about = row.fingerprint, row.reason, len(row.readers.split(",")), row.by, row.at
            parts = [part for part, a, b in zip(_PARTS, said[field, number], about, strict=True) if a != b]
            if checks.get((field, number), (None, None)) != (row.unsealed_at, row.matches):
                parts.append("unsealed")
            try:
                self.opened(session, instance_id, row._replace(fingerprint=said[field, number][0]))
            except SealBroken:
                parts.append("envelope")
            if parts:
                found.append(Fault(kind="altered", field=field, number=number, parts=tuple(parts)))
        return found + [Fault(kind="missing", field=field, number=number) for field, number in said if (field, number) not in rows]

    def _opening(self, session: Session, instance_id: int, closed: Iterable[e.PriceSealed]) -> datetime | None:
        """Return when the bids are opened: as the instance says now, or, when it says nothing, as was known when they were sealed."""
        row = instances.load(session, instance_id)
        known: dict[str, list[Value]] = {}
        if row is not None and row.state is not None:
            definition = self._runtime.definitions.compiled(session, row.bundle_id).definition
            known = {name: values_named(definition, row.state, name) for name in _OPENING}
        return opening_of(known) or max((event.opens_at for event in closed if event.opens_at is not None), default=None)

    def _shown(self, at: datetime) -> str:
        return f"{at.astimezone(ZoneInfo(self._runtime.settings.time_zone)):%Y-%m-%d %H:%M:%S}"


def opening_of(known: Mapping[str, Iterable[Value]]) -> datetime | None:
    """Return the latest instant that the variables of an opening say, of all scopes that have one; None: nobody said.

    Addenda move these variables, each with its history, so an opening that was put off counts and one that was advanced too.
    """
    instants = [value for values in known.values() for value in values if isinstance(value, datetime) and value.tzinfo is not None]
    return max(instants, default=None)


def latest(rows: Iterable[Envelope]) -> dict[str, Envelope]:
    """Return ``{field: last version}`` of what lies by number."""
    return {row.field: row for row in rows}


def _is_new_version(last: Envelope | None) -> bool:
    """True if what is sealed now takes the place of something that is sealed still; after an opening a new tender begins."""
    return last is not None and not last.matches


def _readers(value: Any) -> tuple[str, ...]:
    """Return the people on a list.

    Raises:
        AccessListWrong
    """
    people = tuple(dict.fromkeys(value)) if isinstance(value, (list, tuple)) and all(isinstance(v, str) and v for v in value) else ()
    if not people:
        raise AccessListWrong(reason="没有报价访问名单", reason_en="there is no list of those who may see it")
    if len(people) > MOST:
        raise AccessListWrong(reason=f"访问名单有 {len(people)} 人，最多 {MOST} 人", reason_en=f"{len(people)} people are on the list; {MOST} at most")
    return people
