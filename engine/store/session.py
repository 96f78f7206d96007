"""What statements run on: the same few verbs on either database, so that everything else has one code path."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from engine.errors import Conflict

if TYPE_CHECKING:
    from engine.store.copies import CopyFacts

Row = tuple[Any, ...]
#: A statement with ``?`` for values, and the values.
Query = tuple[str, Sequence[Any]]
#: Writes in a transaction; may be called more than once, each time after everything that it wrote was taken back.
Write = Callable[["Session"], object]
#: Keeps the other commands of this process from an instance until ours is written. False when it had to wait for that: what was read
#: before may be old.
Hold = Callable[[int], bool]
#: Reads and computes a command; returns what it has to write, or None.
Work = Callable[["Session", Hold], Write | None]


class Missed(Conflict):
    """A write that had to change a row found none, or another transaction was in its way: nothing was written; begin again."""


class Session(ABC):
    """One connection, for the length of one `Database.reading` or `Database.writing`.

    Statements are text with ``?`` for values. What is written with `put` and `must` may wait until somebody asks for an answer
    (`run`, `rows`, `row`, `value`, `read`) or the transaction ends; then it goes to the server all at once. An error of such a
    statement is raised there too.
    """

    __slots__ = ()
    #: Follows a select that claims rows: what another transaction has locked is passed over.
    skip_locked: ClassVar[str] = ""
    #: Writes that are `apart` go together; elsewhere nobody has to find out whether they are.
    joins: ClassVar[bool] = False

    @abstractmethod
    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Execute a statement and return how many rows it changed."""

    @abstractmethod
    def put(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Write something; nobody asks how many rows it changed."""

    @abstractmethod
    def must(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Write something that has to change at least one row, or the whole transaction is given up.

        Raises:
            Missed: here or at the end of the transaction.
        """

    def apart(self) -> None:  # noqa: B027  nothing to do where nothing is joined
        """Say, before the first, that no write of this transaction depends on another: no two touch one row, none looks for what
        another has written. So they may go to a server as one statement, and in any order."""

    @abstractmethod
    def run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """`put` a statement once for each of `rows`."""

    @abstractmethod
    def read(self, *queries: Query) -> list[list[Row]]:
        """Return the rows of each query; on PostgreSQL all of them in one round trip."""

    @abstractmethod
    def alone(self, name: str) -> None:
        """Wait until no other transaction is at what `name` stands for, and keep others from it until this one ends."""

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        return self.read((sql, values))[0]

    def row(self, sql: str, values: Sequence[Any] = ()) -> Row | None:
        found = self.read((sql, values))[0]
        return found[0] if found else None

    def value(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """Return the first column of the first row, or None."""
        row = self.row(sql, values)
        return None if row is None else row[0]


class Server(Protocol):
    """What `Database` needs of either database. Every session is a context manager that gives its connection back."""

    #: What the driver raises where nothing better is known.
    error: ClassVar[type[Exception]]

    def reading(self) -> AbstractContextManager[Session]:
        """Each statement sees what is committed when it begins."""

    def snapshot(self) -> AbstractContextManager[Session]:
        """Every statement sees the same moment."""

    def transaction(self) -> AbstractContextManager[Session]:
        """What is written is committed together at the end, or not at all when the block raises."""

    def carry_out(self, work: Work) -> None:
        """Let `work` read and compute and what it returns write in a transaction, alone or together with others, in whatever thread.

        Returns when it is committed, raises what it raised. `work` may be called more than once, when nothing of it was written.
        """

    def tell_commits(self, told: Callable[[int], object]) -> None:
        """Call `told` after each commit of `carry_out` with how many were written by it; not where each has a commit of its own."""

    def tend(self, at: datetime) -> None:
        """Make ready for what is written from `at` on; called at start and twice a day."""

    def after_fork(self) -> None:
        """Forget what belongs to the process that this one was forked from."""

    def backup(self, path: Path) -> CopyFacts:
        """Write a consistent copy to `path` and return what it holds.

        Raises:
            StorageFailed: it is damaged, or cannot be copied; says why.
        """

    def close(self) -> None: ...
