"""XPath's regular expressions, which FEEL uses, on the package `regex`: translated, with a limit on the time they take."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import regex

from engine.feel.errors import FeelLimit
from engine.feel.run import Run

_MAX_PATTERN = 2000
_MAX_COUNTS = 100_000  # multiplied: they may stand within each other
_MAX_GROUPS = 30  # within each other; `regex` recurses
_ESCAPED = frozenset("nrtsSdDwWiIcCpP\\|.?*+(){}[]^$-123456789")
# XML Schema's classes: no punctuation is a word's, but symbols are; four characters are blanks.
_CLASSES = {
    "i": r"[\p{L}_:]", "I": r"[^\p{L}_:]", "c": r"[\w.:\-]", "C": r"[^\w.:\-]",
    "w": r"[^\p{P}\p{Z}\p{C}]", "W": r"[\p{P}\p{Z}\p{C}]", "s": r"[ \t\n\r]", "S": r"[^ \t\n\r]",
}  # fmt: skip


@lru_cache(1024)
def compile_pattern(pattern: str, flags: str) -> Any:
    """Return the compiled pattern; None when XPath does not allow it.

    XPath knows no look-around, no inline flags and no possessive quantifiers; ``$`` is the very end, ``.`` excludes CR.
    """
    if not set(flags) <= set("smixq") or len(pattern) > _MAX_PATTERN:
        return None
    weight = 1
    for count in re.findall(r"(?<=[{,])\d+(?=[,}])", pattern):
        weight *= max(int(count[:9]), 1)
    if weight > _MAX_COUNTS and "q" not in flags:
        return None  # `regex` writes counted parts out when it compiles, and no limit of time helps against that
    mode = regex.V1
    for letter, bit in (("s", regex.S), ("m", regex.M), ("i", regex.I)):
        if letter in flags:
            mode |= bit
    if "q" in flags:
        return regex.compile(regex.escape(pattern), mode)
    if "x" in flags:  # blanks outside classes do not count
        pattern = "".join(m[1] or "" for m in re.finditer(r"(\[(?:\\.|[^\]])*\]|\S)|\s", pattern))
    translated = _translate(pattern, flags)
    if translated is None:
        return None
    if "i" in flags:
        translated = "(?-f)" + translated  # a letter is compared with a letter: "ß" is not "ss"
    try:
        return regex.compile(translated, mode)
    except (regex.error, OverflowError, RecursionError, MemoryError):
        return None


def _translate(pattern: str, flags: str) -> str | None:
    out: list[str] = []
    at, class_depth, quantified, group_depth = 0, 0, "", 0
    opened: list[bool] = []  # groups around `at`: are they counted?
    closed = 0  # counted groups before `at`
    while at < len(pattern):
        sign = pattern[at]
        was_quantified, quantified = quantified, ""
        if sign == "\\":
            code = pattern[at + 1 : at + 2]
            if not code or code not in _ESCAPED:
                return None
            if code in "pP":
                found = re.match(r"\\[pP]\{([\w-]+)\}", pattern[at:])
                if not found:
                    return None
                # The flag `i` leaves categories alone; within a class they cannot be told apart from the rest.
                category = found[0].replace("{Is", "{In")
                out.append(f"(?-i:{category})" if "i" in flags and not class_depth else category)
                at += len(found[0])
            elif code.isdigit():
                digits = re.match(r"[1-9]\d*", pattern[at + 1 :])
                number = digits[0] if digits and not class_depth else ""
                while number and int(number[:9]) > closed:  # \12 is group 1 and a 2 where there are fewer than 12
                    number = number[:-1]
                if not number:
                    return None
                out.append(f"(?:\\{number})")
                at += 1 + len(number)
            else:
                out.append(_CLASSES.get(code, sign + code))
                at += 2
            continue
        if class_depth:
            if sign == "[":
                if pattern[at - 1] != "-":
                    return None
                out[-1] = "--"
                class_depth += 1
            elif sign == "]":
                class_depth -= 1
            out.append("\\" + sign if sign in "&~|" else sign)
        elif sign == "[":
            class_depth = 1
            out.append(sign)
        elif sign in "]}" or (pattern.startswith("(?", at) and not pattern.startswith("(?:", at)):
            return None
        elif sign == "{":
            found = re.match(r"\{\d{1,4}(,\d{0,4})?\}", pattern[at:])
            if not found:
                return None
            out.append(found[0])
            at += len(found[0])
            quantified = "greedy"
            continue
        elif sign in "()":
            group_depth += 1 if sign == "(" else -1
            if not 0 <= group_depth <= _MAX_GROUPS:
                return None
            if sign == "(":
                opened.append(not pattern.startswith("(?", at))
            else:
                closed += opened.pop()
            out.append(sign)
        elif sign in "*+?":
            if was_quantified and (sign != "?" or was_quantified == "lazy"):
                return None
            out.append(sign)
            quantified = "lazy" if was_quantified else "greedy"
        elif sign == "$" and "m" not in flags:
            out.append(r"\Z")
        elif sign == "." and "s" not in flags:
            out.append(r"[^\n\r]")
        else:
            out.append(sign)
        at += 1
    return "".join(out)


def _timed(run: Run, work: Callable[[float], Any]) -> Any:
    # The stopwatch guards the machine; no value depends on it.
    started = time.perf_counter()
    try:
        return work(max(run.regex_seconds, 0.001))
    except TimeoutError:
        raise FeelLimit("a regular expression takes too long", "正则表达式耗时过长") from None
    finally:
        run.regex_seconds -= time.perf_counter() - started
        if run.regex_seconds <= 0:
            run.steps = -1  # whatever comes next is refused


def matches(run: Run, text: str, pattern: str, flags: str) -> bool | None:
    compiled = compile_pattern(pattern, flags)
    return None if compiled is None else _timed(run, lambda s: compiled.search(text, timeout=s)) is not None


def split(run: Run, text: str, pattern: str) -> list[str] | None:
    """Return the parts between matches; an empty match parts nothing."""
    compiled = compile_pattern(pattern, "")
    if compiled is None:
        return None
    parts, at = [], 0
    for found in _timed(run, lambda s: list(compiled.finditer(text, timeout=s))):
        if found.end() > found.start():
            parts.append(text[at : found.start()])
            at = found.end()
    return [*parts, text[at:]]


def replace(run: Run, text: str, pattern: str, replacement: str, flags: str) -> str | None:
    """Return the text with every match replaced; ``$1`` is a group, ``\\$`` a dollar; None when a match may be empty."""
    compiled = compile_pattern(pattern, flags)
    if compiled is None or _timed(run, lambda s: compiled.search("", timeout=s)):
        return None
    if "q" in flags:
        return str(_timed(run, lambda s: compiled.sub(lambda found: replacement, text, timeout=s)))
    if re.search(r"(?<!\\)(?:\\\\)*\$(?!\d)", replacement) or re.search(r"\\([^\\$]|$)", replacement):
        return None
    budget = [run.size]

    def insert(found: Any) -> str:
        def group(part: re.Match[str]) -> str:
            if part[1]:
                return part[1]
            digits = part[2]
            while digits and int(digits) > compiled.groups:  # $12 is group 1 and a 2 when there are fewer than 12
                digits = digits[:-1]
            return (found[int(digits)] or "") + part[2][len(digits) :] if digits else ""

        inserted = re.sub(r"\\([\\$])|\$(\d{1,9})", group, replacement)
        budget[0] -= len(inserted)
        if budget[0] < 0:
            raise FeelLimit("a list or text is too large", "列表或文本过大")
        return inserted

    return str(_timed(run, lambda s: compiled.sub(insert, text, timeout=s)))
