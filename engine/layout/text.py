"""Text as bpmn-js 18 measures and breaks it: sizes of labels and task boxes."""

from __future__ import annotations

import itertools
import re
import unicodedata

TASK_W, TASK_H = 100.0, 80.0
LABEL_FONT, TASK_FONT, LEADING = 11.0, 12.0, 1.2


def text_width(text: str, size: float) -> float:
    """Return the width of one line in Arial with a CJK font beside it, at `size` pixels, rather more than less."""

    def em(ch: str) -> float:
        if unicodedata.east_asian_width(ch) in "WF":
            return 1.0
        return 0.70 if ch.isupper() else 0.56

    return size * sum(map(em, text))


def wrap(text: str, width: float, size: float) -> list[str]:
    """The lines into which bpmn-js 18 breaks `text` (diagram-js `util/Text.js`)."""
    lines: list[str] = []
    rest = text.split("\n")
    while rest:
        line = fit = rest.pop(0)
        while len(fit) > 1 and text_width(fit, size) > width:
            room = max(len(fit) * width / text_width(fit, size), 1)
            short = ""
            for part in re.split(r"(\s|-)", fit):
                if len(short) + len(part) >= room:
                    break
                short += part
            fit = short or fit[: max(int(room - 0.5), 1)]
        if len(fit) < len(line):
            rest.insert(0, line[len(fit) :].strip())
        lines.append(fit)
    return lines


def ugly(lines: list[str]) -> bool:
    """A lonely last character, or a line that begins with a closing mark."""
    return (len(lines) > 1 and len(lines[-1]) < 2) or any(line[:1] in "、,。;:!?)”》」" for line in lines[1:])


def label_size(text: str, one_line: float = 80, widest: float = 92) -> tuple[float, float]:
    """Smallest box for an external label: one line if short, else as few balanced lines as fit."""
    full = max(text_width(line, LABEL_FONT) for line in text.split("\n"))
    if full <= one_line:
        return full + 4, (1 + text.count("\n")) * LABEL_FONT * LEADING
    for count in itertools.count(2):
        width = full / count
        while width <= widest:
            lines = wrap(text, width, LABEL_FONT)
            if len(lines) <= count and not ugly(lines):
                return width + 3, count * LABEL_FONT * LEADING
            width += 3
        if count > 8:
            return widest, len(wrap(text, widest, LABEL_FONT)) * LABEL_FONT * LEADING
    raise AssertionError


def task_size(name: str, most: int = 3) -> tuple[float, float]:
    """Task box: 100 wide unless the name then needs more than `most` lines or breaks badly."""
    for width in (TASK_W, 112, 124, 136):
        lines = wrap(name, width - 16, TASK_FONT)
        if len(lines) <= most and not ugly(lines):
            return width, TASK_H
    return 136.0, max(TASK_H, len(wrap(name, 120, TASK_FONT)) * TASK_FONT * LEADING + 24 + (3 - most) * 20)
