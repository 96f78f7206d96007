"""Connections at hand: what is given back lies ready for the next who wants one, as the pool's book-keeping takes longer than a statement.

Who waits for the pool hears only of what comes back to the pool, so whoever asks it is counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import PoolProxiedConnection

from engine.errors import StorageFailed


class AtHand:
    """The connections of a pool that nobody uses just now.

    There is no lock, as a deque is whole at every moment. Who wants one is counted and then looks once more, who gives one back lays it
    down and then looks whether one is wanted: of two who meet, one at least sees the other. A third who takes it in between gives it
    back in turn.

    Args:
        connect: gives one of the pool, which may be new; waits when all are taken.
        most: so many stay at hand, what is more goes back to the pool.
    """

    def __init__(self, connect: Callable[[], PoolProxiedConnection], most: int) -> None:
        self._connect = connect
        self._most = most
        self._idle: deque[PoolProxiedConnection] = deque()
        self._wanting: deque[None] = deque()  # as many as there are threads that ask the pool

    def borrow(self) -> PoolProxiedConnection:
        """Return a connection that nobody uses.

        Raises:
            StorageFailed: others have used all of them for as long as the pool lets anybody wait.
        """
        try:
            return self._idle.pop()
        except IndexError:
            pass
        self._wanting.append(None)
        try:
            return self._taken() or self._connect()  # one may have come back just before we were seen to want it
        except PoolTimeout as error:
            raise StorageFailed(
                action_zh="读取", action="read", reason="同时进行的操作过多", reason_en="too much is being done at once"
            ) from error
        finally:
            self._wanting.pop()

    def give_back(self, pooled: PoolProxiedConnection) -> None:
        """Lay down a connection that can be used again."""
        self._idle.append(pooled)
        if (self._wanting or len(self._idle) > self._most) and (one := self._taken()):
            one.close()  # whoever waits for the pool has it from there

    def drop(self) -> None:
        """Give the pool everything that lies here."""
        while one := self._taken():
            one.close()

    def _taken(self) -> PoolProxiedConnection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None
