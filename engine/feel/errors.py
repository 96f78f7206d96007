"""What can go wrong with FEEL and DMN, and the reason why a value became null; every text in English and Chinese."""

from __future__ import annotations

from collections.abc import Iterable


class FeelSyntaxError(ValueError):
    """The text is no FEEL.

    Attributes:
        message: what is wrong, English, without the place.
        zh: the same in Chinese.
        line, column: count from 1; the column counts characters.
    """

    def __init__(self, message: str, line: int, column: int, *, zh: str = "") -> None:
        self.message = message
        self.zh = zh or message
        self.line = line
        self.column = column
        super().__init__(message, line, column)

    def __str__(self) -> str:
        return f"{self.message} (line {self.line}, column {self.column})"


class FeelLimit(RuntimeError):
    """An evaluation asked for more than it may use (steps, depth, size, time of a regular expression), or than the calendar has.

    Attributes:
        zh: the message in Chinese.
    """

    def __init__(self, message: str, zh: str) -> None:
        self.zh = zh
        super().__init__(message, zh)

    def __str__(self) -> str:
        return str(self.args[0])


class DecisionError(ValueError):
    """A DMN file was refused, or a decision does not exist.

    Attributes:
        line: of the file, counts from 1; 0 when no line is to blame.
        zh: the message in Chinese.
    """

    def __init__(self, message: str, line: int = 0, *, zh: str = "") -> None:
        self.message = message
        self.zh = zh or message
        self.line = line
        super().__init__(message, line)

    def __str__(self) -> str:
        return f"{self.message} (line {self.line})" if self.line else self.message


class Reason(str):
    """Why a part of an expression was null: the text itself is English, `zh` is Chinese."""

    __slots__ = ("zh",)
    zh: str

    def __new__(cls, en: str, zh: str) -> Reason:
        reason = super().__new__(cls, en)
        reason.zh = zh
        return reason


def in_both(reasons: Iterable[Reason]) -> str:
    """Return reasons for people, Chinese first: ``缺少变量“a” (there is no variable `a`)``; empty without any."""
    given = tuple(reasons)
    return f"{'；'.join(r.zh for r in given)} ({'; '.join(given)})" if given else ""
