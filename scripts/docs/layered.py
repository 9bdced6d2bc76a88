"""Layered pictures of graphs as SVG: groups of boxes, and arrows that lead down and to the right.

A group that has a row to itself is drawn from left to right; groups side by side are drawn from
top to bottom. Arrows that a longer path implies are left out.
"""

import graphlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from html import escape

Graph = Mapping[str, set[str]]

_CHARACTER, _ROOM_HEIGHT, _GAP, _ROW = 7.9, 26, 14, 46
_LINE, _PADDING, _TITLE, _BETWEEN = 36, 20, 36, 40
_HEADS = {"inside": (7, "#7f9ab2"), "between": (4, "#808c97")}
# Boxes have backgrounds of their own, so that the picture is legible on white and on black.
_STYLE = """
text { font: 13px ui-monospace, Menlo, Consolas, monospace; fill: #1c2733; text-anchor: middle }
.title { font-weight: bold; text-anchor: start }
.group { fill: #e8eef4; stroke: #8a9bab }
.plain { fill: #ffffff; stroke: #5b7f9f }
.marked { fill: #ffe9b8; stroke: #a67c1a }
.inside { fill: none; stroke: #7f9ab2; stroke-width: 1.3 }
.between { fill: none; stroke: #808c97; stroke-width: 3 }
"""


def nothing(_: str) -> bool:
    """Marks no box."""
    return False


@dataclass(frozen=True)
class PictureStyle:
    """Groups, labels and colours of a picture of a graph.

    Attributes:
        title: accessible title of the picture.
        group: returns the group of a node.
        label: returns the text in a node's box.
        marked: checks whether a node has another colour.
    """

    title: str
    group: Callable[[str], str]
    label: Callable[[str], str]
    marked: Callable[[str], bool] = nothing


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels, from its upper left corner."""

    x: float
    y: float
    width: float
    height: float

    def moved(self, x: float, y: float) -> "Box":
        """Returns the box moved to the right and down."""
        return Box(self.x + x, self.y + y, self.width, self.height)


def depths(graph: Graph) -> dict[str, int]:
    """Returns the length of the longest path down from each node.

    Raises:
        graphlib.CycleError: the graph has a cycle.
    """
    found: dict[str, int] = {}
    for name in graphlib.TopologicalSorter(graph).static_order():
        found[name] = max((found[it] + 1 for it in graph.get(name, ())), default=0)
    return found


def reduced(graph: Graph) -> dict[str, set[str]]:
    """Returns the graph without the arrows that a longer path implies."""

    def below(names: Iterable[str]) -> set[str]:
        return {it for name in names for it in {name, *below(graph.get(name, ()))}}

    return {
        name: {
            it for it in targets if it not in below(x for o in targets for x in graph.get(o, ()))
        }
        for name, targets in graph.items()
    }


def between(graph: Graph, group: Callable[[str], str]) -> dict[str, set[str]]:
    """Returns the arrows between the groups."""
    found: dict[str, set[str]] = {}
    for name, targets in graph.items():
        here = group(name)
        found.setdefault(here, set()).update(group(it) for it in targets)
        found[here].discard(here)
    return found


def rows(graph: Graph) -> list[list[str]]:
    """Returns the rows of nodes from top to bottom, each node near those that lead to it."""
    depth = depths(graph)
    found: list[list[str]] = []
    for level in range(max(depth.values()), -1, -1):
        above = {name: i for i, name in enumerate(found[-1])} if found else {}

        def near(name: str, above: Mapping[str, int] = above) -> tuple[float, str]:
            places = [i for parent, i in above.items() if name in graph.get(parent, ())]
            return (sum(places) / len(places) if places else len(above) / 2, name)

        found.append(sorted((name for name in depth if depth[name] == level), key=near))
    return found


def draw(graph: Graph, look: PictureStyle) -> str:
    """Returns the picture as SVG."""
    groups = between(graph, look.group)
    floors = rows(groups)
    plans = {
        name: _plan(_inside(name, graph, look), look, across=len(floor) == 1)
        for floor in floors
        for name in floor
    }
    width = max(
        sum(plans[name].width for name in floor) + _BETWEEN * (len(floor) - 1) for floor in floors
    )
    shapes: list[str] = []
    boxes: dict[str, Box] = {}
    y = 1.0
    for floor in floors:
        used = sum(plans[name].width for name in floor) + _BETWEEN * (len(floor) - 1)
        spare = (width - used) / len(floor)
        height = max(plans[name].height for name in floor)
        x = 1.0
        for name in floor:
            boxes[name] = Box(x, y, plans[name].width + spare, height)
            shapes += _panel(name, plans[name], boxes[name], look)
            x += boxes[name].width + _BETWEEN
        y += height + _BETWEEN
    thick = [
        _down(boxes[here], boxes[there], "between")
        for here, targets in sorted(reduced(groups).items())
        for there in sorted(targets)
    ]
    size = f'viewBox="0 0 {width + 2:.0f} {y - _BETWEEN + 1:.0f}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
            f"<title>{escape(look.title)}</title>",
            f"<style>{_STYLE}</style>",
            *(_marker(kind, *look) for kind, look in _HEADS.items()),
            *thick,
            *shapes,
            "</svg>",
            "",
        ]
    )


@dataclass(frozen=True)
class LayerPlan:
    """The boxes of a group and the arrows between them, from the group's upper left corner."""

    width: float
    height: float
    boxes: Mapping[str, Box]
    graph: Graph
    across: bool


def _inside(name: str, graph: Graph, look: PictureStyle) -> dict[str, set[str]]:
    """Returns the nodes of one group and the arrows between them."""
    here = {it for it in graph if look.group(it) == name}
    return reduced({it: graph[it] & here for it in sorted(here)})


def _plan(graph: Graph, look: PictureStyle, across: bool) -> LayerPlan:
    """Places the boxes of a group: each row in a line, or each in a column."""
    levels = rows(graph)
    wide = {name: len(look.label(name)) * _CHARACTER + 18 for name in graph}
    boxes: dict[str, Box] = {}
    if across:
        tallest = max(len(level) for level in levels)
        x = float(_PADDING)
        for level in levels:
            y = _TITLE + (tallest - len(level)) * _LINE / 2
            for i, it in enumerate(level):
                boxes[it] = Box(x, y + i * _LINE, wide[it], _ROOM_HEIGHT)
            x += max(wide[it] for it in level) + _BETWEEN
        return LayerPlan(x - _BETWEEN + _PADDING, _bottom(boxes), boxes, graph, across)
    width = max(_row_width(level, wide) for level in levels)
    for i, level in enumerate(levels):
        x = _PADDING + (width - _row_width(level, wide)) / 2
        for it in level:
            boxes[it] = Box(x, _TITLE + i * _ROW, wide[it], _ROOM_HEIGHT)
            x += wide[it] + _GAP
    return LayerPlan(width + 2 * _PADDING, _bottom(boxes), boxes, graph, across)


def _bottom(boxes: Mapping[str, Box]) -> float:
    return max(box.y + box.height for box in boxes.values()) + _PADDING


def _row_width(row: list[str], wide: Mapping[str, float]) -> float:
    return sum(wide[name] + _GAP for name in row) - _GAP


def _panel(name: str, plan: LayerPlan, box: Box, look: PictureStyle) -> list[str]:
    """Draws a group with its boxes and the arrows between them."""
    x, y = box.x + (box.width - plan.width) / 2, box.y + (box.height - plan.height) / 2
    boxes = {it: inner.moved(x, y) for it, inner in plan.boxes.items()}
    arrow = _right if plan.across else _down
    thin = [
        arrow(boxes[here], boxes[there], "inside")
        for here in boxes
        for there in sorted(plan.graph[here])
    ]
    title = f'<text class="title" x="{box.x + 12:.0f}" y="{box.y + 22:.0f}">{escape(name)}</text>'
    shown = [
        _rectangle(inner, "marked" if look.marked(it) else "plain")
        + f'<text x="{inner.x + inner.width / 2:.0f}" y="{inner.y + 17:.0f}">'
        + f"{escape(look.label(it))}</text>"
        for it, inner in boxes.items()
    ]
    return [_rectangle(box, "group"), title, *thin, *shown]


def _rectangle(box: Box, kind: str) -> str:
    return (
        f'<rect class="{kind}" x="{box.x:.0f}" y="{box.y:.0f}" width="{box.width:.0f}" '
        f'height="{box.height:.0f}" rx="5"/>'
    )


def _down(above: Box, below: Box, kind: str) -> str:
    """Draws an arrow from a box's lower edge to another's upper one."""
    x, y = above.x + above.width / 2, above.y + above.height
    to = below.x + below.width / 2
    middle = (y + below.y) / 2
    return _curve(kind, (x, y), (x, middle), (to, middle), (to, below.y))


def _right(left: Box, right: Box, kind: str) -> str:
    """Draws an arrow from a box's right edge to another's left one."""
    x, y = left.x + left.width, left.y + left.height / 2
    to = right.y + right.height / 2
    middle = (x + right.x) / 2
    return _curve(kind, (x, y), (middle, y), (middle, to), (right.x, to))


def _curve(kind: str, *points: tuple[float, float]) -> str:
    start, *rest = (f"{x:.0f} {y:.0f}" for x, y in points)
    return f'<path class="{kind}" marker-end="url(#{kind})" d="M{start}C{" ".join(rest)}"/>'


def _marker(kind: str, size: int, colour: str) -> str:
    """Defines the head of an arrow."""
    return (
        f'<marker id="{kind}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="{size}" '
        f'markerHeight="{size}" orient="auto"><path d="M0 0 8 4 0 8z" fill="{colour}"/></marker>'
    )
