"""The marks inside BPMN shapes, as SVG elements: what kind of task, event or gateway it is.

Drawn in units of the diagram around (0, 0); `ink` is the line colour, `paper` the fill behind it.
"""

from __future__ import annotations

import math


def _path(d: str, ink: str, fill: str = "none", width: float = 1.4) -> str:
    return f'<path d="{d}" fill="{fill}" stroke="{ink}" stroke-width="{width}" stroke-linejoin="round" stroke-linecap="round"/>'


def _polygon(corners: int, radius: float, start: float = -90.0) -> str:
    turns = [math.radians(start + 360 * k / corners) for k in range(corners)]
    return "M" + "L".join(f"{radius * math.cos(t):.2f} {radius * math.sin(t):.2f}" for t in turns) + "Z"


def _gear(teeth: int, inner: float, outer: float) -> str:
    points = []
    for k in range(teeth):
        for offset, radius in ((-0.32, inner), (-0.18, outer), (0.18, outer), (0.32, inner)):
            turn = 2 * math.pi * (k + offset) / teeth
            points.append(f"{radius * math.sin(turn):.2f} {-radius * math.cos(turn):.2f}")
    return "M" + "L".join(points) + "Z"


def _envelope(w: float, h: float) -> tuple[str, str]:
    x, y = w / 2, h / 2
    return f"M{-x} {-y}H{x}V{y}H{-x}Z", f"M{-x} {-y}L0 {h * 0.1:.2f}L{x} {-y}"


def _hand() -> str:
    return (
        "M-8 -1L-2 -7C-1 -8 1 -7 0 -5.6L-2 -3.5H7C8.6 -3.5 8.6 -1.2 7 -1.2H2H8C9.6 -1.2 9.6 1.1 8 1.1H2H7.4C9 1.1 9 3.4 7.4 3.4"
        "H2H6C7.5 3.4 7.5 5.6 6 5.6H-4C-6 5.6 -8 4.5 -8 2.5Z"
    )


def task_icon(kind: str, ink: str, paper: str) -> str:
    """Return the mark of a task; empty for a plain one. Fits a square of 20 around (0, 0)."""
    if kind == "userTask":
        body = _path("M-8 8V5.2C-8 1.6 -4.6 0.4 -2.6 0.2H2.6C4.6 0.4 8 1.6 8 5.2V8Z", ink, paper)
        head = f'<circle cx="0" cy="-4" r="4.3" fill="{paper}" stroke="{ink}" stroke-width="1.4"/>'
        hair = _path("M-4.2 -4.6C-4.4 -10 4.4 -10 4.2 -4.6C2 -4.2 0.6 -5 -0.4 -6.2C-1.4 -5 -2.8 -4.5 -4.2 -4.6Z", ink, ink, 0.6)
        return body + head + hair + _path("M-4.6 8V5M4.6 8V5", ink, width=1.1)
    if kind == "serviceTask":
        back = f'<g transform="translate(-2.4 -2.4)">{_path(_gear(9, 5.2, 7.2), ink, paper, 1.2)}</g>'
        front = f'<g transform="translate(2.4 2.4)">{_path(_gear(9, 5.2, 7.2), ink, paper, 1.2)}'
        return back + front + f'<circle cx="0" cy="0" r="2.4" fill="{paper}" stroke="{ink}" stroke-width="1.2"/></g>'
    if kind == "scriptTask":
        sheet = _path(
            "M-3 -8H8C3.5 -4.5 3.5 -2.5 6 1.5C8 4.8 7 6.5 4 8H-7C-4 6 -3.6 4 -5.6 0.6C-8 -3.4 -6 -6.4 -3 -8Z", ink, paper
        )
        return sheet + _path("M-3.6 -4.6H2M-3.4 -1.4H2M-1.6 1.8H4M-0.8 4.8H4.4", ink, width=1.1)
    if kind == "businessRuleTask":
        head = f'<rect x="-8.5" y="-6.5" width="17" height="4" fill="{ink}" fill-opacity="0.35"/>'
        return head + _path("M-8.5 -6.5H8.5V6.5H-8.5ZM-8.5 -2.5H8.5M-8.5 2H8.5M-3.5 -2.5V6.5", ink, width=1.2)
    if kind == "sendTask":
        box, flap = _envelope(17, 12)
        return _path(box, ink, ink, 1) + _path(flap, paper, width=1.3)
    if kind == "receiveTask":
        box, flap = _envelope(17, 12)
        return _path(box, ink, paper, 1.2) + _path(flap, ink, width=1.2)
    if kind == "manualTask":
        return _path(_hand(), ink, paper, 1.2)
    return ""


def event_icon(kind: str, ink: str, paper: str, thrown: bool) -> str:
    """Return the mark of an event definition (``messageEventDefinition``), filled where it is `thrown`."""
    fill, line = (ink, paper) if thrown else (paper, ink)
    if kind == "messageEventDefinition":
        box, flap = _envelope(18, 12)
        return _path(box, ink, fill, 1.2) + _path(flap, line, width=1.2)
    if kind == "timerEventDefinition":
        ticks = "".join(
            f"M{9 * math.sin(t):.2f} {-9 * math.cos(t):.2f}L{10.8 * math.sin(t):.2f} {-10.8 * math.cos(t):.2f}"
            for t in (2 * math.pi * k / 12 for k in range(12))
        )
        face = f'<circle cx="0" cy="0" r="11" fill="{paper}" stroke="{ink}" stroke-width="1.6"/>'
        return face + _path(ticks, ink, width=1) + _path("M1.8 -7.4L0 0L5.6 1", ink, width=1.5)
    if kind == "errorEventDefinition":
        return _path("M-9 8L-4 -7L2.4 1.6L8.6 -8.6L4.2 8L-2.4 -0.4Z", ink, fill)
    if kind == "escalationEventDefinition":
        return _path("M0 -9L7 9L0 2L-7 9Z", ink, fill)
    if kind == "signalEventDefinition":
        return _path("M0 -9L8.6 6.4H-8.6Z", ink, fill)
    if kind == "conditionalEventDefinition":
        return _path("M-7 -9H7V9H-7Z", ink, paper, 1.3) + _path(
            "M-4.6 -6H4.6M-4.6 -2H4.6M-4.6 2H4.6M-4.6 6H4.6", ink, width=1.3
        )
    if kind == "linkEventDefinition":
        return _path("M-9 -3.6H2V-8L9.6 0L2 8V3.6H-9Z", ink, fill)
    if kind == "compensateEventDefinition":
        return _path("M0 -7V7L-9 0ZM9 -7V7L0 0Z", ink, fill, 1.2)
    if kind == "cancelEventDefinition":
        return _path("M-8.6 -6L-6 -8.6L0 -2.6L6 -8.6L8.6 -6L2.6 0L8.6 6L6 8.6L0 2.6L-6 8.6L-8.6 6L-2.6 0Z", ink, fill, 1.2)
    if kind == "terminateEventDefinition":
        return f'<circle cx="0" cy="0" r="9.6" fill="{ink}" stroke="{ink}" stroke-width="1"/>'
    if kind == "multiple":
        return _path(_polygon(5, 10), ink, fill)
    if kind == "parallelMultiple":
        return _path("M-3 -9H3V-3H9V3H3V9H-3V3H-9V-3H-3Z", ink, paper)
    return ""


def gateway_icon(kind: str, ink: str, paper: str) -> str:
    """Return the mark of a gateway; that of an exclusive one is drawn only where the diagram shows it."""
    if kind == "exclusiveGateway":
        return _path("M-7.5 -9.5L7.5 9.5M7.5 -9.5L-7.5 9.5", ink, width=3.6)
    if kind == "parallelGateway":
        return _path("M0 -12V12M-12 0H12", ink, width=3.6)
    if kind == "inclusiveGateway":
        return f'<circle cx="0" cy="0" r="11.5" fill="none" stroke="{ink}" stroke-width="2.8"/>'
    if kind == "complexGateway":
        return _path("M0 -12.5V12.5M-12.5 0H12.5M-8.8 -8.8L8.8 8.8M8.8 -8.8L-8.8 8.8", ink, width=3)
    if kind == "eventBasedGateway":
        rings = "".join(f'<circle cx="0" cy="0" r="{r}" fill="none" stroke="{ink}" stroke-width="1"/>' for r in (14, 11.5))
        return rings + _path(_polygon(5, 8), ink, paper, 1.4)
    return ""


def marker_icon(kind: str, ink: str, paper: str) -> str:
    """Return a mark of the lower edge of an activity: ``plus parallel sequential loop adhoc compensation``; 14 wide."""
    if kind == "plus":
        box = f'<rect x="-7" y="-7" width="14" height="14" fill="{paper}" stroke="{ink}" stroke-width="1"/>'
        return box + _path("M0 -5V5M-5 0H5", ink)
    if kind == "parallel":
        return _path("M-4 -5.5V5.5M0 -5.5V5.5M4 -5.5V5.5", ink, width=2)
    if kind == "sequential":
        return _path("M-5.5 -4H5.5M-5.5 0H5.5M-5.5 4H5.5", ink, width=2)
    if kind == "loop":
        return _path("M-1.5 5.4A5.6 5.6 0 1 1 3 4.8M-1.5 5.4L-5.6 5.9M-1.5 5.4L-2.4 1.2", ink, width=1.6)
    if kind == "adhoc":
        return _path("M-6 2C-4 -4 -1.5 -3 0 0S4 4 6 -2", ink, width=2.4)
    if kind == "compensation":
        return _path("M0 -4.5V4.5L-6 0ZM6 -4.5V4.5L0 0Z", ink, paper, 1.2)
    return ""
