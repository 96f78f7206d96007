"""What handlers reach: people, notices, mail, chat robots, registers. Everything sent is recorded in the instance's history.

What a handler did outside cannot be taken back when it fails later. So what was sent is remembered under the job's key even
then, and its next attempt does not send it again; a mail that was sent by a process that died before it could remember carries
the same Message-ID when it is sent once more.
"""

from __future__ import annotations

import logging
import smtplib
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from engine import events as e
from engine.clock import with_local_times
from engine.events import Event
from engine.feel import codec
from engine.handler import Person
from engine.model import SYSTEM, Actor, JobKind, RegisterEntry, Values
from engine.registers import Register
from engine.registers import accepted as accepted_values
from engine.service import registers
from engine.service.forms import given_reason
from engine.service.vault import SealBroken
from engine.settings import Settings
from engine.store import instances, jobs, people, sealed
from engine.store.database import Session, micros
from engine.store.jobs import JobRow
from engine.store.people import NewNotice

if TYPE_CHECKING:
    from engine.service.envelopes import Unsealed
    from engine.service.runtime import Runtime

#: It logs addresses that it does not understand, tokens and all.
logging.getLogger("apprise").disabled = True
logging.getLogger("urllib3").setLevel(logging.INFO)  # its debugging log names them too
_TIMEOUT = 20.0  #: seconds to wait for a mail server


class NotSent(OSError):
    """A channel refused; the job is tried again."""


class Errands:
    """The `Outside` of one run of one job. It writes nothing itself: `events` and `writes` go into the turn that follows.

    Args:
        key: of the job; what was sent under it before is not sent again.
        at: what it sends is of this instant.
        inside: the handler runs within a command's transaction; mails and robots become jobs of their own then.
        actor: whose command it runs in; entries of registers are theirs.
    """

    def __init__(self, runtime: Runtime, session: Session | None, *, key: str, instance_id: int | None, at: datetime, inside: bool,
                 actor: Actor = SYSTEM) -> None:
        self._runtime = runtime
        self._session = session
        self.key = key
        self._instance = instance_id
        self._inside = inside
        self._at = at
        self._actor = actor
        self._facts: list[tuple[str, tuple[str, ...], str, str | None]] = []
        self._written: list[e.RegisterEntryWritten] = []
        self._writes: list[Callable[[Session], object]] = []
        self._checked: list[Unsealed] = []

    @property
    def did_something(self) -> bool:
        """True when there are `events` or `writes`."""
        return bool(self._facts or self._written or self._writes or self._checked)

    # -- what a handler calls
    def people(self, *, groups: Iterable[str] = (), users: Iterable[str] = ()) -> tuple[Person, ...]:
        """Return the active people who are in one of `groups` or named in `users`, each once, by id."""
        found = self._read(lambda tx: people.find(tx, groups=groups, users=users))
        return tuple(Person(id=u.id, name=u.name, mail=u.mail, groups=u.groups) for u in found)

    def unseal(self) -> Values:
        """Open what is sealed in the instance, if it is all as its fingerprints say; what was found is recorded in any case.

        Raises:
            OpeningNotReached, SealBroken, SealingKeyWrong
        """
        instance_id = self._instance
        assert instance_id is not None
        found = self._read(lambda tx: self._runtime.sealing.unseal(tx, instance_id, self._at))
        self._checked += found
        at = micros(self._at)
        for each in found:
            self._writes.append(partial(sealed.checked, instance_id=instance_id, field=each.field, number=each.number, at=at, matches=each.matches))
        broken = next((each for each in found if not each.matches), None)
        if broken is not None:
            raise SealBroken(field=broken.field, number=broken.number)
        return {each.field: each.value for each in found}

    def notice(self, person: Person, subject: str, body: str, link: str = "") -> None:
        """Put a notice into the person's list; once per job, person and subject."""
        subject, body = self._in_house_time(subject), self._in_house_time(body)
        new = NewNotice(
            id=self._runtime.database.new_id(),
            user_id=person.id,
            at=micros(self._at),
            subject=subject,
            body=body,
            link=link.removeprefix(self._runtime.settings.base_url),
            instance_id=self._instance,
            once=f"{self.key}.{_short(subject)}",
        )
        self._writes.append(lambda tx: people.tell(tx, new))
        self._facts.append(("notice", (person.id,), subject, None))

    def mail(self, people: Iterable[Person], subject: str, body: str) -> None:
        """Send one mail to everybody who has an address; without a mail server it is recorded as not sent, except in a demo.

        Raises:
            NotSent: the mail server refused or did not answer.
        """
        subject, body = self._in_house_time(subject), self._in_house_time(body)
        told = tuple(people)
        addresses = {p.id: p.mail for p in told if p.mail}
        unreachable = tuple(p.id for p in told if not p.mail)
        if not self._runtime.settings.smtp:
            missing = "没有配置邮件服务器 (no mail server is configured): PSMFLOW_SMTP"
            self._not_sent("mail", tuple(p.id for p in told), subject, missing)
            return
        if unreachable or not told:
            self._facts.append(("mail", unreachable, subject, "没有邮箱地址 (no mail address)"))
        if addresses:
            self._send("mail", tuple(addresses), subject, {"to": addresses, "subject": subject, "body": body})

    def robot(self, subject: str, body: str) -> None:
        """Tell the configured chat robots; without one it is recorded as not sent, except in a demo.

        Raises:
            NotSent: a robot refused.
        """
        subject, body = self._in_house_time(subject), self._in_house_time(body)
        if not self._runtime.settings.robots:
            self._not_sent("robot", (), subject, "没有配置群机器人 (no chat robot is configured): PSMFLOW_ROBOTS")
            return
        failures: list[NotSent] = []
        for number, _address in enumerate(self._runtime.settings.robots):  # one that fails is tried again without the others
            try:
                self._send("robot", (), subject, {"subject": subject, "body": body, "robot": number})
            except NotSent as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def _not_sent(self, channel: str, people: tuple[str, ...], subject: str, missing: str) -> None:
        """Record that nothing could be sent for want of a server. A demo has none: it would warn of every single mail."""
        if not self._runtime.settings.demo:
            self._facts.append((channel, people, subject, missing))

    def _in_house_time(self, text: str) -> str:
        """An expression writes an instant as ``2026-11-24T09:00:00Z``; people read what the house's clocks show."""
        return with_local_times(text, self._runtime.settings.time_zone)

    def register(self, name: str, where: Mapping[str, Any] | None = None) -> tuple[RegisterEntry, ...]:
        """Return the entries of a register whose values equal those of `where`, the last added first, without what was withdrawn.

        Raises:
            NotFound: no such register is deployed.
            InvalidValues: it cannot be searched so.
        """
        found: tuple[RegisterEntry, ...] = self._read(lambda tx: registers.entries(tx, name, where or {}))
        return found

    def register_add(self, name: str, values: Mapping[str, Any], *, once: str) -> None:
        """Add an entry to a register, together with what the job gives; nothing when one was added under `once` before.

        Raises:
            NotFound: no such register is deployed.
            InvalidValues: its form refuses the values.
        """
        register: Register = self._read(lambda tx: registers.named(tx, name))
        accepted = accepted_values(register, values, self._at, self._runtime.settings.time_zone)
        new_id, change = self._runtime.database.new_id(), registers.Change(
            register=register, entry=self._runtime.database.new_id(), version=0, change="added", values=accepted, once=once
        )
        self._writes.append(lambda tx: registers.write(tx, new_id, change, self._actor, self._at))
        self._written.append(e.RegisterEntryWritten(register=name, entry=change.entry, entry_version=1, change="added"))

    def register_amend(self, name: str, entry: RegisterEntry, values: Mapping[str, Any], reason: str) -> None:
        """Correct an entry, together with what the job gives.

        Raises:
            NotFound: no such register is deployed.
            InvalidValues: its form refuses the values.
            ReasonMissing
            ValueError: the handler runs as a job; a failed attempt must not leave a correction that the next one makes again.
        """
        if not self._inside:
            raise ValueError(f'{name}: only a handler with effect="database" corrects a register')
        why, settings = given_reason(reason), self._runtime.settings
        register: Register = self._read(lambda tx: registers.named(tx, name))
        files = self._read(lambda tx: registers.documents_of(tx, entry))
        accepted = accepted_values(register, {**entry.values, **values}, self._at, settings.time_zone, files)
        new_id, change = self._runtime.database.new_id(), registers.Change(
            register=register, entry=entry.id, version=entry.version, change="amended", values=accepted, reason=why
        )
        self._writes.append(lambda tx: registers.write_or_miss(tx, new_id, change, self._actor, self._at))
        self._written.append(e.RegisterEntryWritten(
            register=name, entry=entry.id, entry_version=entry.version + 1, change="amended", reason=why
        ))  # fmt: skip

    def link(self, path: str = "") -> str:
        """Return the address of a page, by default of the job's process instance."""
        return self._runtime.settings.base_url + (
            path or (f"/instance/{self._instance}" if self._instance is not None else "/")
        )

    # -- sending
    def _send(self, channel: str, recipients: tuple[str, ...], subject: str, message: Mapping[str, object]) -> None:
        once = f"{channel}.{_short(subject, *sorted(recipients), str(message.get('robot', '')))}"
        if self._inside:
            body = codec.dump({"channel": channel, "recipients": list(recipients), "once": once, **message})
            self._writes.append(lambda tx: jobs.insert(tx, [self._later(channel, body)], held=False))
            return
        scope = f"sent:{self.key}"
        if self._read(lambda tx: instances.idempotent_answer(tx, scope, once)) is not None:
            return
        try:
            refused = deliver(self._runtime.settings, channel, message, f"{self.key}.{once}", self._at)
        except OSError as error:
            self._facts.append((channel, recipients, subject, f"{type(error).__name__}: {error}"))
            raise
        reached = tuple(r for r in recipients if r not in refused)
        if reached or not recipients:
            self._facts.append((channel, reached, subject, None))
        self._facts += [(channel, (person,), subject, why) for person, why in refused.items()]
        at = micros(self._at)
        self._writes.append(lambda tx: instances.keep_key(tx, scope, once, None, at))

    def _later(self, channel: str, body: bytes) -> JobRow:
        return JobRow(
            id=self._runtime.database.new_id(), kind=JobKind.NOTIFICATION.value, instance_id=self._instance, token=None, process="",
            element="", type=channel, due_at=micros(self._at), attempts=0, retries=8, backoff=30_000_000, fence=0, body=body,
        )  # fmt: skip

    def _read(self, query: Callable[[Session], object]) -> Any:
        if self._session is not None:
            return query(self._session)
        with self._runtime.database.reading() as session:
            return query(session)

    # -- for the turn that follows
    def events(self, process: str, element: str | None) -> list[Event]:
        """Return what was sent, what was not, what was unsealed and what was written to registers, as facts of the element's history."""
        found: list[Event] = [
            e.PriceUnsealed(process=process, element=element, field=c.field, number=c.number, fingerprint=c.fingerprint, matches=c.matches)
            for c in self._checked
        ]
        found += [replace(written, process=process, element=element) for written in self._written]
        for channel, recipients, subject, problem in self._facts:
            if problem is None:
                found.append(
                    e.NotificationSent(
                        process=process, element=element, channel=channel, recipients=recipients, subject=subject
                    )
                )
            else:
                found.append(
                    e.NotificationFailed(
                        process=process, element=element, channel=channel, recipients=recipients, message=problem
                    )
                )
        return found

    def writes(self) -> list[Callable[[Session], object]]:
        """Return the rows to write: notices, entries of registers, and the keys of what was sent."""
        return self._writes


def deliver(settings: Settings, channel: str, message: Mapping[str, object], key: str, at: datetime) -> Mapping[str, str]:
    """Send a mail or tell the robots, now.

    Args:
        message: ``subject``, ``body``, of a mail ``to``: ``{person: address}``.
        key: makes the Message-ID, the same for every attempt.

    Returns:
        ``{person: why}`` of recipients that the mail server refused while it took the mail for others. To send it once more
        would bring it to those others twice, so these are told, not tried again.

    Raises:
        NotSent: refused, or no answer.
    """
    if channel == "mail":
        return _mail(settings, message, key, at)
    _robots(settings, message)
    return {}


def _mail(settings: Settings, message: Mapping[str, Any], key: str, at: datetime) -> Mapping[str, str]:
    to: Mapping[str, str] = message["to"]
    mail = EmailMessage()
    mail["From"] = settings.mail_from
    mail["To"] = ", ".join(to.values())
    mail["Subject"] = " ".join(str(message["subject"]).split())
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = f"<psmflow.{_short(key)}@{settings.mail_from.rpartition('@')[2] or 'localhost'}>"
    # base64: a server without 8BITMIME would otherwise have to guess at Chinese
    mail.set_content(str(message["body"]), cte="base64")
    address = urlsplit(settings.smtp)
    host = address.hostname or "localhost"
    secure = address.scheme == "smtps"
    try:
        if secure:
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                host, address.port or 465, timeout=_TIMEOUT, context=ssl.create_default_context()
            )
        else:
            server = smtplib.SMTP(host, address.port or 25, timeout=_TIMEOUT)
        with server:
            server.ehlo_or_helo_if_needed()  # before it, nothing is known of what the server offers
            if address.scheme == "smtp" and server.has_extn("starttls"):
                server.starttls(context=ssl.create_default_context())
                secure = True
            if address.username:
                if not secure and address.scheme != "smtp+plain":
                    raise NotSent(
                        f"{host}: 服务器不支持 STARTTLS,未发送密码 (it offers no STARTTLS and the password is not sent in the clear)"
                        ": smtps://…, smtp+plain://…"
                    )
                server.login(unquote(address.username), unquote(address.password or ""))
            refused = server.send_message(mail)
    except NotSent:
        raise
    except (smtplib.SMTPException, OSError) as error:
        raise NotSent(f"{host}: {_why(error)}") from error
    return {
        person: f"邮件服务器拒绝了该收件人 (refused by the mail server): {address}: {refused[address][0]} {_text(refused[address][1])}"
        for person, address in to.items() if address in refused
    }  # fmt: skip


def _why(error: Exception) -> str:
    """Return what the mail server said, as people read it."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "; ".join(f"{to}: {code} {_text(said)}" for to, (code, said) in sorted(error.recipients.items()))
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_text(error.smtp_error)}"
    return str(error)


def _text(said: bytes | str) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else said


def _robots(settings: Settings, message: Mapping[str, object]) -> None:
    """Tell one robot, ``robot`` of the message by its place in the settings."""
    number = message["robot"]
    assert isinstance(number, int)
    if number >= len(settings.robots):
        return  # it was taken out of the settings meanwhile
    address = settings.robots[number]
    kind = address.split("://")[0] if "://" in address else "?"
    import apprise  # its catalogue of services is for those who have robots

    robot = apprise.Apprise()
    if not robot.add(address):
        raise NotSent(f"apprise does not understand the address {kind}://… (PSMFLOW_ROBOTS)")
    if not robot.notify(title=str(message["subject"]), body=str(message["body"])):
        raise NotSent(f"the chat robot {kind}://… refused the message or did not answer")


def _short(*words: str) -> str:
    return sha256("\0".join(words).encode()).hexdigest()[:24]
