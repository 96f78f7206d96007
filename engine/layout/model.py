"""What is laid out: nodes, edges, lanes, and one scope of them (a drawing)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

EVENT, GATEWAY = 36.0, 50.0
HEADER = 30.0  # band of a pool's or lane's name
COL_GAP, ROW_GAP, LANE_PAD = 40.0, 26.0, 20.0
TRACK = 12.0  # between two parallel edges
RIGHT, DOWN, LEFT, UP = range(4)
STEP = {RIGHT: (1, 0), DOWN: (0, 1), LEFT: (-1, 0), UP: (0, -1)}
Box = tuple[float, float, float, float]  # x, y, width, height
Point = tuple[float, float]
Vertex = tuple[int, int]  # vertical line, horizontal line


NodeKind = Literal["task", "event", "gateway", "sub", "data", "note", "pool"]
EdgeKind = Literal["flow", "message", "link"]


@dataclass(eq=False)
class Node:
    """A shape that edges may end at; its place is its upper left corner."""

    id: str
    kind: NodeKind
    name: str
    w: float
    h: float
    lane: int = 0
    host: Node | None = None  # of a boundary event
    inner: Drawing | None = None  # of an expanded sub-process
    annex: bool = False  # event sub-process: beside or below the flow
    offset: float = 0  # of an annex, from the left end of its column
    marker: bool = False
    col: int = 0
    level: int = 0  # row inside the lane, 0 for the main path
    row: int = 0  # row in the whole drawing
    delay: int = 0  # columns that it stands later than it could
    span: int = 1  # columns
    attach: int = 0  # of a boundary event on a spanning host: column within it
    slot: int = 0
    slots: int = 1
    above: bool = False  # boundary event on the upper edge
    x: float = 0
    y: float = 0
    label: Box | None = None
    near: Node | None = None  # of a note on an edge: that edge's source

    def __post_init__(self) -> None:
        self.base_w = self.w  # before it grew with the columns that it spans

    @property
    def column_w(self) -> float:
        """The width it asks of each of its columns."""
        return (self.base_w + COL_GAP) / self.span - COL_GAP if self.span > 1 else self.w

    @property
    def last_col(self) -> int:
        """The last of the columns that it takes."""
        return self.col + self.span - 1

    @property
    def exit_col(self) -> int:
        """The column where its outgoing edges begin."""
        return self.host.col + self.attach if self.host else self.last_col

    @property
    def rep(self) -> Node:
        """The node that stands in the grid for it: of a boundary event its host."""
        return self.host or self

    @property
    def labelled(self) -> bool:
        """Does its name stand outside its shape?"""
        return bool(self.name) and self.kind in ("event", "gateway", "data")

    @property
    def cx(self) -> float:
        """The middle, from left to right."""
        return self.x + self.w / 2

    @property
    def cy(self) -> float:
        """The middle, from top to bottom."""
        return self.y + self.h / 2

    @property
    def box(self) -> Box:
        """Its place and size."""
        return self.x, self.y, self.w, self.h


@dataclass(eq=False)
class Edge:
    """A sequence flow, message flow or association between two nodes of one scope."""

    id: str
    src: Node
    dst: Node
    name: str = ""
    kind: EdgeKind = "flow"
    back: bool = False
    spine: bool = False  # on the main path
    fold: bool = False  # straight down or up to another lane, in one column
    path: list[Vertex] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    label: Box | None = None
    default: bool = False  # drawn with a slash near its source

    def related(self, other: Edge) -> bool:
        """May the two share a line? Only towards one target, or from one side of one source."""
        return self.dst is other.dst or (self.src is other.src and self.path[:2] == other.path[:2])


@dataclass(eq=False)
class Lane:
    """An innermost lane, or the one band of a scope without lanes (`id` is None). `parents`: id and name, outermost first."""

    id: str | None
    name: str
    pool: int
    depth: int = 0
    parents: tuple[tuple[str, str], ...] = ()
    box: Box = (0, 0, 0, 0)


@dataclass(eq=False)
class Drawing:
    """One scope (collaboration, process or sub-process), laid out from (0, 0)."""

    nodes: list[Node]
    edges: list[Edge]
    lanes: list[Lane]
    pools: list[tuple[str, str]]
    w: float = 0
    h: float = 0
    pool_boxes: list[Box] = field(default_factory=list)
    group_boxes: dict[str, tuple[Box, Box | None]] = field(default_factory=dict)  # {id: (box, label)}
    origin: Point = (0, 0)

    def shift(self, dx: float, dy: float) -> None:
        """Move everything in the drawing."""

        def moved(box: Box) -> Box:
            return box[0] + dx, box[1] + dy, box[2], box[3]

        self.origin = self.origin[0] + dx, self.origin[1] + dy
        for node in self.nodes:
            node.x, node.y = node.x + dx, node.y + dy
            node.label = moved(node.label) if node.label else None
            if node.inner:
                node.inner.shift(dx, dy)
        for edge in self.edges:
            edge.points = [(x + dx, y + dy) for x, y in edge.points]
            edge.label = moved(edge.label) if edge.label else None
        for lane in self.lanes:
            lane.box = moved(lane.box)
        self.pool_boxes = [moved(box) for box in self.pool_boxes]
        for id_, (box, label) in self.group_boxes.items():
            self.group_boxes[id_] = moved(box), moved(label) if label else None


def direction(a: Vertex, b: Vertex) -> int:
    """Return the heading from one vertex to another on the same line."""
    if a[1] == b[1]:
        return RIGHT if b[0] > a[0] else LEFT
    return DOWN if b[1] > a[1] else UP
