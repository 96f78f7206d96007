"""Users, their groups, and what they were told."""

# ruff: noqa: S608  statements are put together from constants alone; every value is a parameter

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from engine.model import InstanceId, Notice, User
from engine.store.database import Session, instant, instant_or_none

_USER = "select p.id, p.name, p.mail, p.active, m.group_id from person p left join membership m on m.user_id = p.id"


def _users(rows: Iterable[Sequence[Any]]) -> list[User]:
    """Fold the rows of `_USER`, one for each group, into people by id."""
    facts, groups = dict[str, tuple[str, str, bool]](), dict[str, set[str]]()
    for id, name, mail, active, group in rows:
        facts[id] = name, mail, bool(active)
        groups.setdefault(id, set()).update([group] if group is not None else [])
    return [
        User(id=id, name=facts[id][0], mail=facts[id][1], active=facts[id][2], groups=frozenset(groups[id]))
        for id in sorted(facts)
    ]


def get(tx: Session, user_id: str) -> User | None:
    found = _users(tx.rows(_USER + " where p.id = ?", (user_id,)))
    return found[0] if found else None


def everybody(tx: Session) -> list[User]:
    return _users(tx.rows(_USER))


def find(tx: Session, *, groups: Iterable[str] = (), users: Iterable[str] = ()) -> list[User]:
    """Return the active people who are in one of `groups` (`ix_membership_group`) or named in `users`, each once, by id."""
    g, u = list(groups), list(users)
    marks = [", ".join("?" * len(x)) or "null" for x in (g, u)]
    return _users(
        tx.rows(
            f"{_USER} where p.active = 1 and (p.id in (select user_id from membership where group_id in ({marks[0]}))"
            f" or p.id in ({marks[1]}))",
            (*g, *u),
        )
    )


def password(tx: Session, user_id: str) -> str | None:
    """Return the password's hash of an active person, or None."""
    found: str | None = tx.value("select password from person where id = ? and active = 1", (user_id,))
    return found


def add(tx: Session, user: User, password: str, at: int) -> bool:
    """Write a new person. False: the id is taken."""
    sql = "insert into person (id, name, mail, password, active, created_at) values (?, ?, ?, ?, 1, ?) on conflict do nothing"
    if not tx.run(sql, (user.id, user.name, user.mail, password, at)):
        return False
    set_groups(tx, user.id, user.groups)
    return True


def set_groups(tx: Session, user_id: str, groups: Iterable[str]) -> None:
    tx.alone(f"person {user_id}")
    tx.put("delete from membership where user_id = ?", (user_id,))
    tx.run_many("insert into membership (user_id, group_id) values (?, ?)", [(user_id, g) for g in sorted(groups)])


def set_password(tx: Session, user_id: str, password: str) -> bool:
    return bool(tx.run("update person set password = ? where id = ?", (password, user_id)))


def set_active(tx: Session, user_id: str, active: bool) -> bool:
    return bool(tx.run("update person set active = ? where id = ?", (int(active), user_id)))


# -------------------------------------------------------------------------------------------------------------------------- notices
@dataclass(frozen=True, slots=True, kw_only=True)
class NewNotice:
    id: int
    user_id: str
    at: int
    subject: str
    body: str
    link: str
    instance_id: int | None
    once: str


def tell(tx: Session, n: NewNotice) -> bool:
    """Put a notice into a person's list. False: they were told before."""
    return bool(tx.run(
        "insert into notice (id, user_id, at, subject, body, link, instance_id, read_at, once) values (?, ?, ?, ?, ?, ?, ?, null, ?)"
        " on conflict do nothing",
        (n.id, n.user_id, n.at, n.subject, n.body, n.link, n.instance_id, n.once),
    ))  # fmt: skip


def notices(tx: Session, user_id: str, *, unread: bool, limit: int) -> list[Notice]:
    """Return a person's notices, newest first (`ix_notice_user`, `ix_notice_unread`)."""
    return [
        Notice(
            id=id, user=user, at=instant(at), subject=subject, body=body, link=link,
            instance_id=None if instance is None else InstanceId(instance), read_at=instant_or_none(read),
        )
        for id, user, at, subject, body, link, instance, read in tx.rows(
            "select id, user_id, at, subject, body, link, instance_id, read_at from notice where user_id = ?"
            f"{' and read_at is null' if unread else ''} order by id desc limit ?",
            (user_id, limit),
        )
    ]  # fmt: skip


def unread_count(tx: Session, user_id: str) -> int:
    found: int = tx.value("select count(*) from notice where user_id = ? and read_at is null", (user_id,))
    return found


def read_notice(tx: Session, notice_id: int, user_id: str, at: int) -> bool:
    """Mark a notice as read. False: it is not this person's."""
    return bool(tx.run(
        "update notice set read_at = coalesce(read_at, ?) where id = ? and user_id = ?", (at, notice_id, user_id)
    ))  # fmt: skip
