"""What one evaluation may use up, what it knows of the time, and what it learned about nulls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol
from zoneinfo import ZoneInfo

from engine.feel.errors import FeelLimit, Reason

if TYPE_CHECKING:
    from engine.feel.types import ItemType

#: A FEEL value: None, bool, Decimal, str, list, dict, a temporal, a range or a function.
Value = Any
#: The scope of an expression: ``{name: value}``, and its `Run` under the key None.
Scope = dict[str | None, Any]
Closure = Callable[[Scope], Value]
#: Gives the function that stands for an external one, by ``class.signature``; None when there is none.
ExternalFunctions = Mapping[str, Callable[..., Value]]

MAX_SIZE: Final = 1_000_000
MAX_DEPTH: Final = 64  # calls within each other; each takes some eight of Python's thousand frames
_MAX_REASONS = 20
HOUSE_ZONE: Final = "Asia/Shanghai"


class WorkingDays(Protocol):
    """Which days are worked, where expressions may ask for it. Both raise an `EngineError` for what nobody can know yet."""

    def is_working_day(self, day: date, /) -> bool: ...

    def day_after(self, day: date, days: int, /) -> date:
        """Return the day `days` working days after `day` (before, if negative); with 0, `day` if it is worked, else the next."""


class Trace(list[Any]):
    """The parts that were evaluated for one part; `most` are kept."""

    def __init__(self, most: int = 500) -> None:
        super().__init__()
        self.most = most


class Run:
    """The budget and surroundings of one evaluation.

    Attributes:
        steps: what is left; a loop pass, an item of a filter, a call and a table row cost 1, big values more.
        size: longest list or text, and most values in a result.
        depth: calls that may still be nested.
        now: the instant that now() and today() give; aware.
        resolve: finds an item definition by name, for `instance of` and typed parameters.
        reasons: why parts were null, in order; at most 20.
        trace: collects what `explain` shows, else None.
        tables: every decision table that was evaluated, in order.
        calendar: which days are worked; without one, functions that ask for it give null.
    """

    # What an evaluation rarely changes stands in the class: a run is made for each condition.
    size = MAX_SIZE
    depth = MAX_DEPTH
    regex_seconds = 0.5
    resolve: Callable[[str], ItemType | None] | None = None
    external: ExternalFunctions | None = None
    trace: Trace | None = None
    calendar: WorkingDays | None = None
    reasons: dict[Reason, None] = {}  # noqa: RUF012 - never written: `note` gives the run its own
    tables: list[Any] = []  # noqa: RUF012 - likewise, by `tell_table`

    def __init__(self, now: datetime, steps: int = 200_000, zone: str = HOUSE_ZONE) -> None:
        if now.tzinfo is None:
            raise ValueError("`now` needs a time zone")
        self.now = now
        self.steps = steps
        self.zone = zone

    def step(self, count: int = 1) -> None:
        self.steps -= count
        if self.steps < 0:
            raise FeelLimit("the expression takes too many steps", "表达式计算步数超过上限")

    def charge(self, value: Value) -> None:
        """Pay for a value that was made or is to be walked, by its length; small ones are free."""
        if type(value) is list:
            if len(value) > 31:
                self.step(len(value) >> 5)
        elif type(value) is str:
            if len(value) > 255:
                self.step(len(value) >> 6)
        else:
            return
        if len(value) > self.size:
            raise FeelLimit("a list or text is too large", "列表或文本过大")

    def charge_whole(self, value: Value) -> None:
        """Pay for a deep walk over `value`, shared parts counted each time (a list of lists of itself weighs 2**n)."""
        if type(value) is list or type(value) is dict:
            self.step(weigh(value, self.steps))

    def house_time(self) -> datetime:
        """Return `now` as the house's clock shows it."""
        return self.now.astimezone(ZoneInfo(self.zone))

    def tell_table(self, hit: Any) -> None:
        """Remember that a decision table was evaluated."""
        if not self.tables:
            self.tables = []
        self.tables.append(hit)

    def note(self, en: str, zh: str) -> None:
        """Remember why something became null."""
        if not self.reasons:
            self.reasons = {Reason(en, zh): None}
        elif len(self.reasons) < _MAX_REASONS:
            self.reasons[Reason(en, zh)] = None

    def note_null(self, text: str) -> None:
        """Remember that `text` is null for a part of it is, unless a reason closer to the cause is known."""
        if not self.reasons:
            self.note(f"a part of `{text}` is null", f"“{text}”中有空值")


def weigh(value: Value, limit: int) -> int:
    """Return the number of values in `value`, shared ones counted each time.

    Raises:
        FeelLimit: there are more than `limit`.
    """
    count, stack = 0, [value]
    while stack:
        part = stack.pop()
        count += 1
        if type(part) is list:
            stack.extend(part)
        elif type(part) is dict:
            stack.extend(part.values())
        if count + len(stack) > limit + 1:
            raise FeelLimit("a value is too large", "值过大")
    return count
