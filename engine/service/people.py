"""People: who may log in, in which groups they are, what they were told."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b
from hmac import compare_digest

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from engine import access
from engine.clock import token
from engine.errors import AccessDenied, EngineError, NotFound
from engine.forms import is_readable
from engine.model import SYSTEM, Actor, Choice, Notice, User
from engine.service.observed import observed
from engine.service.runtime import Runtime
from engine.store import people
from engine.store.database import Session, micros

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SHORTEST = 8
_PROVEN = 1000  #: logins remembered by a process
#: Roles of which two people work on one thing: the demo has a second one of each, ``<role>_2``.
IN_PAIRS = ("qualification_checker",)
DEMO_PASSWORD = "demo"  # noqa: S105  the point of a demo is that everybody knows it
#: Five people who carry a whole tender between them, ``(id, name, roles)``: no rule of separation of duties leaves a task without
#: somebody who may do it (`tests/processes/test_team.py`). The compliance officer holds no role that prices or signs declarations.
DEMO_TEAM = (
    ("lin.yue", "林悦", ("account_manager", "pricing_officer", "qualification_checker")),
    ("zhou.nan", "周楠", ("bid_manager", "presale_engineer", "presale_coordinator")),
    ("chen.li", "陈立", ("bid_technical_lead", "bid_commercial_lead", "sales_manager", "pricing_approver", "review_committee")),
    (
        "zhao.hai", "赵海",
        ("company_leader", "authorized_representative", "qualification_checker", "review_committee", "presale_manager", "delivery_manager"),
    ),
    (
        "sun.min", "孙敏",
        ("legal_counsel", "compliance_officer", "finance_officer", "seal_custodian", "plan_supervisor", "review_committee", "knowledge_curator", "hr_admin"),
    ),
)


class InvalidPerson(EngineError):
    code = "invalid_person"
    status = 422
    zh = "用户资料不正确：{reason}"
    en = "The person's data is wrong: {reason_en}"


class People:
    """Commands and queries on users, groups and notices."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._hasher = PasswordHasher()
        self._nobody = ""
        self._key = token().encode()
        self._proven: dict[str, tuple[str, bytes]] = {}

    def authenticate(self, user_id: str, password: str) -> Actor:
        """Return the person whose password this is.

        Raises:
            AccessDenied: unknown, not active, or the wrong password; which of them is not told.
        """
        try:
            who = self._authenticated(user_id, password)
        except AccessDenied:
            self._runtime.metrics.logins.labels("refused").inc()
            raise
        self._runtime.metrics.logins.labels("done").inc()
        return who

    def _authenticated(self, user_id: str, password: str) -> Actor:
        if not self._nobody:  # before anything is looked up: not even the first unknown user is told by the time it takes
            self._nobody = self._hasher.hash("nobody")
        with self._database.reading() as session:
            stored = people.password(session, user_id) if is_readable(user_id) else None
        known = stored is not None
        stored = stored or self._nobody  # an unknown user takes as long as a wrong password
        proof = blake2b(password.encode("utf-8", "surrogatepass"), key=self._key[:64], person=b"psmflow login").digest()
        if known and self._is_proven(user_id, stored, proof):
            right = True
        else:
            try:
                right = self._hasher.verify(stored, password) and known
            except (VerifyMismatchError, UnicodeEncodeError):
                right = False
        actor = self.actor(user_id) if right else None
        if actor is None:
            raise AccessDenied(action="登录", reason="用户名或密码不正确。")
        if self._hasher.check_needs_rehash(stored):
            with self._database.writing() as tx:
                people.set_password(tx, user_id, self._hasher.hash(password))
        if len(self._proven) >= _PROVEN:
            self._proven.clear()
        self._proven[user_id] = stored, proof
        return actor

    def _is_proven(self, user_id: str, stored: str, proof: bytes) -> bool:
        """True if this password was verified before by this process and has not been changed since.

        A program that logs in with every request would otherwise spend a tenth of a second and 64 MB on each.
        """
        before = self._proven.get(user_id)
        return before is not None and before[0] == stored and compare_digest(before[1], proof)

    def stamp(self, user_id: str) -> str:
        """Return a word that changes with the person's password: a session holds it, and ends when it has changed."""
        with self._database.reading() as session:
            stored = people.password(session, user_id)
        return "" if stored is None else blake2b(stored.encode(), digest_size=12).hexdigest()

    def actor(self, user_id: str) -> Actor | None:
        """Return an active person as an actor, or None."""
        with self._database.reading() as session:
            found = people.get(session, user_id)
        return None if found is None or not found.active else Actor(id=found.id, name=found.name, groups=found.groups)

    def users(self, actor: Actor) -> tuple[User, ...]:
        """Return everybody, by id; mail addresses to administrators alone.

        Raises:
            AccessDenied: the actor has no role.
        """
        access.require(actor, "see definitions")
        with self._database.reading() as session:
            found = people.everybody(session)
        if access.may(actor, "administer people"):
            return tuple(found)
        return tuple(User(id=u.id, name=u.name, mail="", groups=u.groups, active=u.active) for u in found if u.active)

    def holders(self, actor: Actor, groups: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return ``{role: ids of the active people who hold it}`` for the roles asked for.

        Raises:
            AccessDenied: the actor has no role.
        """
        access.require(actor, "see definitions")
        wanted = frozenset(groups)
        with self._database.reading() as session:
            found = people.find(session, groups=sorted(wanted)) if wanted else []
        return {group: tuple(u.id for u in found if group in u.groups) for group in wanted}

    def groups(self, actor: Actor) -> tuple[Choice, ...]:
        """Return every role with its names."""
        return tuple(Choice(id=g.id, zh=g.zh, en=g.en) for g in access.GROUPS.values())

    @observed("person.add")
    def add_user(self, actor: Actor, id: str, name: str, password: str, groups: Iterable[str], mail: str = "") -> User:
        """Let somebody in.

        Raises:
            AccessDenied
            InvalidPerson: the id is taken or malformed, a role unknown, the password too short.
        """
        access.require(actor, "administer people")
        if not _ID.fullmatch(id) or id == SYSTEM.id:
            raise InvalidPerson(
                reason="用户名须为小写字母、数字、点、横线，64 字以内。",
                reason_en="an id is small letters, digits, dots, dashes, at most 64.",
            )
        user = User(id=id, name=name.strip() or id, mail=_mail(mail), groups=_known(groups), active=True)
        stored = self._hash(password)
        with self._database.writing() as tx:
            if not people.add(tx, user, stored, micros(self._runtime.clock.now())):
                raise InvalidPerson(reason=f"用户名 {id} 已被使用。", reason_en=f"the id {id} is taken.")
        return user

    @observed("person.set_groups")
    def set_groups(self, actor: Actor, user_id: str, groups: Iterable[str]) -> None:
        """Give somebody these roles and no others.

        Raises:
            AccessDenied, NotFound
            InvalidPerson: a role is unknown, or they are the actor's own: who administers people gives himself no rights.
        """
        access.require(actor, "administer people")
        _require_another(actor, user_id)
        wanted = _known(groups)
        with self._database.writing() as tx:
            _require(tx, user_id)
            people.set_groups(tx, user_id, wanted)

    @observed("person.set_password")
    def set_password(self, actor: Actor, user_id: str, password: str) -> None:
        """Set a password: an administrator anybody's, everybody their own.

        Raises:
            AccessDenied, NotFound
            InvalidPerson: too short.
        """
        if actor.id != user_id:
            access.require(actor, "administer people")
        stored = self._hash(password)
        with self._database.writing() as tx:
            _require(tx, user_id)
            people.set_password(tx, user_id, stored)

    @observed("person.set_active")
    def set_active(self, actor: Actor, user_id: str, active: bool) -> None:
        """Let somebody in again, or out; what they did stays theirs.

        Raises:
            AccessDenied, NotFound
            InvalidPerson: oneself; the last administrator would be shut out.
        """
        access.require(actor, "administer people")
        _require_another(actor, user_id)
        with self._database.writing() as tx:
            _require(tx, user_id)
            people.set_active(tx, user_id, active)

    def _hash(self, password: str) -> str:
        if len(password) < _SHORTEST and not (self._runtime.settings.demo and password == DEMO_PASSWORD):
            raise InvalidPerson(
                reason=f"密码至少 {_SHORTEST} 个字符。", reason_en=f"a password has at least {_SHORTEST} characters."
            )
        return self._hasher.hash(password)

    def make_demo_users(self) -> int:
        """Add the five of `DEMO_TEAM` and one user for each role, named like it, and a second where two must work; only in demo mode.

        Their password is “demo”. Who is there already stays as he is. Returns how many were new.
        """
        if not self._runtime.settings.demo:
            return 0
        with self._database.reading() as session:
            known = {u.id for u in people.everybody(session)}
        missing = [user for user in (*_team(), *_cast()) if user.id not in known]
        if not missing:
            return 0
        return self._make_users(missing, self._hash(DEMO_PASSWORD))

    def make_cast(self) -> int:
        """Add a user for each role for a rehearsal: nobody can log in as one."""
        return self._make_users(_cast(), "")

    def demo_team(self) -> tuple[User, ...]:
        """Return those of the five who may log in, in their order, with the roles that they have now; nobody outside demo mode."""
        if not self._runtime.settings.demo:
            return ()
        with self._database.reading() as session:
            known = {u.id: u for u in people.everybody(session)}
        return tuple(known[user.id] for user in _team() if user.id in known and known[user.id].active)

    def _make_users(self, users: Iterable[User], password: str) -> int:
        at = micros(self._runtime.clock.now())
        with self._database.writing() as tx:
            return sum(people.add(tx, user, password, at) for user in users)

    # -- notices
    def notices(self, actor: Actor, *, unread: bool = False, limit: int = 50) -> tuple[Notice, ...]:
        """Return what the actor was told, newest first."""
        with self._database.reading() as session:
            return tuple(people.notices(session, actor.id, unread=unread, limit=max(1, min(limit, 500))))

    def unread_count(self, actor: Actor) -> int:
        """Return how many notices the actor has not read."""
        with self._database.reading() as session:
            return people.unread_count(session, actor.id)

    def read_notice(self, actor: Actor, id: int) -> None:
        """Mark a notice as read.

        Raises:
            NotFound: it is not the actor's.
        """
        with self._database.writing() as tx:
            if not people.read_notice(tx, id, actor.id, micros(self._runtime.clock.now())):
                raise NotFound(what="通知 (notice)", id=id)


def _cast() -> list[User]:
    """Return a user for each role, named like it, and a second one of the roles of which two work on one thing."""
    roles = [(g.id, g.id, g.zh) for g in access.GROUPS.values()] + [(f"{g}_2", g, f"{access.GROUPS[g].zh}2") for g in IN_PAIRS]
    return [User(id=id, name=name, mail="", groups=frozenset({group}), active=True) for id, group, name in roles]


def _team() -> list[User]:
    return [User(id=id, name=name, mail="", groups=frozenset(roles), active=True) for id, name, roles in DEMO_TEAM]


def _require_another(actor: Actor, user_id: str) -> None:
    if actor.id == user_id:
        raise InvalidPerson(
            reason="不能更改自己的角色或账号状态，请由另一位管理员操作。", reason_en="nobody changes their own roles or state; ask another administrator."
        )


def _require(tx: Session, user_id: str) -> None:
    if people.get(tx, user_id) is None:
        raise NotFound(what="用户 (user)", id=user_id)


def _known(groups: Iterable[str]) -> frozenset[str]:
    found = frozenset(groups)
    unknown = sorted(found - frozenset(access.GROUPS))
    if unknown:
        raise InvalidPerson(reason=f"没有角色 {'、'.join(unknown)}。", reason_en=f"there is no role {', '.join(unknown)}.")
    return found


def _mail(mail: str) -> str:
    mail = mail.strip()
    if mail and not re.fullmatch(r"[^@\s<>,;]+@[^@\s<>,;]+", mail):
        raise InvalidPerson(reason=f"邮箱地址 {mail} 不正确。", reason_en=f"{mail} is no mail address.")
    return mail
