"""Draws BPMN: places every element of a file and writes that as BPMN DI, and measures what a reader would dislike in a drawing.

Knows nothing of execution. Pure Python and lxml; the same file gives the same bytes on every machine.
"""

from __future__ import annotations

from engine.layout.faults import Fault, Measures, faults, measures
from engine.layout.interchange import Writer, read_kept
from engine.layout.reading import read_planes
from engine.layout.source import UnreadableDiagram, children, read_source

__all__ = ["Fault", "Measures", "UnreadableDiagram", "faults", "lay_out", "measures"]

_MARGIN = (160.0, 80.0)


def lay_out(xml: bytes, effort: int = 40) -> bytes:
    """Return the BPMN file `xml` with its diagram drawn anew; all other bytes stay as they are.

    Lanes keep the author's order, shapes and edges their colours and label styles. A drawing drawn again gives the same bytes.

    Args:
        effort: complete drawings tried beyond the first, for each scope: 0 for a quick answer, 40 for a file that is kept.

    Raises:
        UnreadableDiagram: not well-formed, not BPMN 2.0, or with a DOCTYPE.
    """
    source = read_source(xml)
    if next(children(source.root, "process", "collaboration"), None) is None:
        return xml
    kept = read_kept(source.root)
    planes = read_planes(source.root, effort, kept.boxes)
    for plane in planes:
        plane.drawing.shift(*_MARGIN)
    return source.with_diagram(Writer(source.root, kept, "  ", source.line_end).write(planes))
