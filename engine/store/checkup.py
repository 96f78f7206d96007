"""What the doctor asks the tables, each question a few statements, and the rows that may be put right without a decision."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from engine.model import ERASED
from engine.store.database import Row, Session
from engine.store.instances import LISTED


def careless(tx: Session) -> list[str]:
    """Return settings of a PostgreSQL server by which commits that were acknowledged may be lost."""
    return [
        name for (name,) in tx.rows(
            "select name from pg_settings where name in ('fsync', 'full_page_writes', 'synchronous_commit') and setting = 'off' order by name"
        )
    ]  # fmt: skip


def damage(tx: Session) -> list[str]:
    """Return what the database's own check finds wrong with its file; empty when it is whole."""
    found = [str(row[0]) for row in tx.rows("pragma integrity_check(20)")]
    found += [f"foreign key: {row[0]} {row[1]}" for row in tx.rows("pragma foreign_key_check")[:20]]
    return [line for line in found if line != "ok"]


#: Rows that stand for a user task; no foreign key binds them to it.
_OF_A_TASK = ("user_task_candidate", "draft")
_STRAY = "not exists (select 1 from user_task t where t.id = task_id)"


def strays(tx: Session) -> dict[str, int]:
    """Return how many rows of a table stand for a user task that is not there: ``{table: count}``, those with none left out."""
    counts = {table: int(tx.value(f"select count(*) from {table} where {_STRAY}")) for table in _OF_A_TASK}  # noqa: S608  constants
    return {table: count for table, count in counts.items() if count}


def is_used(tx: Session) -> bool:
    """True once a process instance was started."""
    return tx.value("select 1 from instance limit 1") is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Jobs that do not go on. `late`: ``(how many, oldest due_at)``, of those nobody holds back; `expired`: leases that are over."""

    late: tuple[int, int | None]
    expired: int
    failed: int
    unseen: list[int]


def work(tx: Session, *, now: int, late_since: int) -> Work:
    """Return what does not go on. `unseen`: ids of failed jobs that no open incident tells of."""
    count, oldest = tx.row(
        "select count(*), min(due_at) from job where state = 'waiting' and held = 0 and due_at <= ?", (late_since,)
    ) or (0, None)
    return Work(
        late=(count, oldest),
        expired=tx.value("select count(*) from job where state = 'running' and lease_until < ?", (now,)),
        failed=tx.value("select count(*) from job where state = 'failed'"),
        unseen=[id for (id,) in tx.rows(
            "select j.id from job j where j.state = 'failed' and j.instance_id is not null and not exists (select 1 from incident c"
            " where c.instance_id = j.instance_id and c.resolved_at is null and (c.job_id = j.id or c.token = j.token)) order by j.id"
        )],
    )  # fmt: skip


def open_incidents(tx: Session) -> list[Row]:
    """Return ``[(kind, how many)]``."""
    return tx.rows("select kind, count(*) from incident where resolved_at is null group by kind order by kind")


def newest_id(tx: Session) -> int:
    """Return the newest id that the tables hold; ids tell the time at which they were issued."""
    tables = ("instance", "user_task", "job", "incident", "document", "deployment")
    return max(int(tx.value(f"select coalesce(max(id), 0) from {table}")) for table in tables)  # noqa: S608  names of ours


def documents(tx: Session) -> list[Row]:
    """Return ``[(sha256, name, instance)]`` of the uploaded files that are to be there, each content once; those of archived
    instances are named by their hash, those of registers are of no instance."""
    return tx.rows(
        "select sha256, name, instance_id from document where id in (select min(id) from document where erased_at is null group by sha256)"
        " union all select sha256, sha256, instance_id from archived_document where id in"
        " (select min(id) from archived_document where erased_at is null group by sha256)"
        " and sha256 not in (select sha256 from document where erased_at is null)"
        " union all select sha256, name, null from register_file where id in (select min(id) from register_file where name <> ? group by sha256)"
        " and sha256 not in (select sha256 from document where erased_at is null)"
        " and sha256 not in (select sha256 from archived_document where erased_at is null)",
        (ERASED,),
    )


def nobodys_tasks(tx: Session) -> list[Row]:
    """Return ``[(candidate groups, how many)]`` of open tasks that nobody has taken and no active person may take."""
    return tx.rows(
        "select t.candidate_groups, count(*) from user_task t where t.state = 'open' and t.assignee is null and not exists"
        " (select 1 from user_task_candidate c left join membership m on c.principal = 'g:' || m.group_id"
        " join person p on (p.id = m.user_id or c.principal = 'u:' || p.id) and p.active = 1 where c.task_id = t.id)"
        " group by t.candidate_groups order by t.candidate_groups"
    )


def people_with_mail(tx: Session) -> int:
    found: int = tx.value("select count(*) from person where active = 1 and mail <> ''")
    return found


def running_bundles(tx: Session) -> list[int]:
    """Return the bundles of versions that running instances are pinned to."""
    sql = f"select distinct i.bundle_id from instance i where i.status in ('active', 'suspended') and {LISTED} order by i.bundle_id"  # noqa: S608  constants alone
    return [id for (id,) in tx.rows(sql)]


# --------------------------------------------------------------------------------------------------------------- putting right
def reap_tasks(tx: Session, instance_id: int, tokens: Iterable[int], at: int) -> None:
    """End the open tasks of an instance that stand at none of `tokens`."""
    standing = set(tokens)
    rows = tx.rows("select id, token from user_task where instance_id = ? and ended_at is null", (instance_id,))
    tx.run_many(
        "update user_task set state = 'cancelled', ended_at = ?, version = version + 1 where id = ?",
        [(at, id) for id, token in rows if token not in standing],
    )


def offer_anew(tx: Session, instance_id: int) -> None:
    """Write the candidates of an instance's tasks from the tasks themselves; drafts of ended tasks go."""
    of_instance = "task_id in (select id from user_task where instance_id = ?)"
    tx.run(f"delete from user_task_candidate where {of_instance}", (instance_id,))  # noqa: S608  a constant
    tx.run("delete from draft where task_id in (select id from user_task where instance_id = ? and ended_at is not null)", (instance_id,))
    for id, sort_at, groups, users in tx.rows(
        "select id, sort_at, candidate_groups, candidate_users from user_task where instance_id = ? and state = 'open'"
        " and assignee is null", (instance_id,),
    ):  # fmt: skip
        offered = [f"g:{g}" for g in groups.split(",") if g] + [f"u:{u}" for u in users.split(",") if u]
        tx.run_many("insert into user_task_candidate (principal, sort_at, task_id) values (?, ?, ?)", [(p, sort_at, id) for p in offered])


def reap_strays(tx: Session) -> None:
    """Delete what `strays` counts."""
    for table in _OF_A_TASK:
        tx.run(f"delete from {table} where {_STRAY}")  # noqa: S608  constants


def reap_services(tx: Session, instance_id: int, tokens: Iterable[int]) -> None:
    """Delete service work of an instance that stands at none of `tokens`; whoever is at it is refused by the missing row."""
    standing = set(tokens)
    rows = tx.rows("select id, token from job where instance_id = ? and kind = 'service'", (instance_id,))
    tx.run_many("delete from job where id = ?", [(id,) for id, token in rows if token not in standing])
