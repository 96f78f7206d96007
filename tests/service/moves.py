"""Watches the moves of jobs between their states, with triggers in the database itself."""

from __future__ import annotations

from engine.model import JOB_MOVES, JobState
from tests import databases
from tests.service.house import House

Move = tuple[JobState | None, JobState | None]  #: None before: the row is new; None after: it is deleted
W, R, F = JobState.WAITING, JobState.RUNNING, JobState.FAILED

#: The moves of `JOB_MOVES` as rows show them: one that is done or cancelled has none. New jobs wait; one whose handler failed for
#: good within the command that made it has failed at once.
SEEN: frozenset[Move] = frozenset(
    {(before, None if after in (JobState.DONE, JobState.CANCELLED) else after) for before, moves in JOB_MOVES.items() for after in moves}
    | {(None, W), (None, F)}
)


_ON_POSTGRESQL = """
create or replace function note_move() returns trigger language plpgsql as $$ begin
    if tg_op <> 'UPDATE' or old.state <> new.state then insert into job_move values (old.state, new.state); end if;
    return null;
end $$"""


def watch(house: House) -> None:
    """Note from now on what becomes of every job."""
    house.change("create table if not exists job_move (before text, after text)")
    if databases.kind() == "postgresql":
        house.change(_ON_POSTGRESQL)
        house.change("create or replace trigger job_move after insert or update or delete on job for each row execute function note_move()")
        return
    for when, before, after in (("insert", "null", "new.state"), ("update", "old.state", "new.state"), ("delete", "old.state", "null")):
        house.change(
            f"create trigger if not exists job_{when} after {when} on job begin"
            f" insert into job_move select {before}, {after} where {before} is not {after}; end"
        )


def seen(house: House) -> set[Move]:
    """Return the moves since `watch`."""
    return {
        (None if before is None else JobState(before), None if after is None else JobState(after))
        for before, after in house.rows("select distinct before, after from job_move")
    }
