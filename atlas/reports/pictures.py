"""Geometry of the pictures that the templates draw."""

from collections.abc import Mapping, Sequence
from math import cos, pi, sin

from atlas.ids import Neuron
from atlas.reports.cells import shown
from atlas.reports.context.pictures import Band, Edge, Graph, Heat, Node, Square, Tick

LEFT, RIGHT, BAND, GAP = 76.0, 70.0, 22.0, 2.0
_WIDEST = 600.0
_SQUARE = 36.0
_MOST_TICKS = 16
SIZE, _RADIUS = 320.0, 92.0
_MOST_NODES, _MOST_SETS = 14, 40
_MARGIN = 14.0

Set = tuple[tuple[Neuron, ...], float, str]


def layer_heat(title: str, counts: Mapping[str, Sequence[int]], shared: str, what: str) -> Heat:
    """Return one row of squares for each key of `counts`: how many of `what` there are in each layer, `[layer]`.

    Rows are shaded each by its own largest count, for they differ in size; `shared` is the key to be set off.
    """
    layers = max(len(row) for row in counts.values())
    slot = min(_SQUARE, _WIDEST / layers)
    bands = tuple(
        _band(label, row, slot, what, y=BAND * place, shared=label == shared)
        for place, (label, row) in enumerate(counts.items())
    )
    right = LEFT + slot * layers
    return Heat(
        title=title,
        width=right + RIGHT,
        height=BAND * len(bands) + 34,
        left=LEFT,
        right=right,
        bands=bands,
        ticks=_ticks(layers, slot),
        hint=f"{title}: {what} in each of {layers} layers, for {', '.join(counts)}",
    )


def _band(label: str, row: Sequence[int], slot: float, what: str, *, y: float, shared: bool) -> Band:
    most, total = max(row, default=0), sum(row)
    squares = tuple(
        Square(
            x=round(LEFT + layer * slot + GAP / 2, 2),
            width=round(slot - GAP, 2),
            opacity=round(0.15 + 0.85 * count / most, 3),
            hint=f"{label}, layer {layer}: {count:,} of {total:,} {what}",
        )
        for layer, count in enumerate(row)
        if count
    )
    return Band(label, shown(total), shared, y, squares)


def _ticks(layers: int, slot: float) -> tuple[Tick, ...]:
    every = -(-layers // _MOST_TICKS)
    return tuple(Tick(round(LEFT + (layer + 0.5) * slot, 2), str(layer)) for layer in range(0, layers, every))


def set_graph(title: str, sets: Sequence[Set]) -> Graph:
    """Return the sets of neurons, each with its cost and what to say of it, as a graph on a circle.

    The costliest sets are drawn, as far as their neurons are not too many to be told apart.
    """
    drawn: list[Set] = []
    chosen: dict[Neuron, None] = {}
    for item in sorted(sets, key=lambda item: -item[1])[:_MOST_SETS]:
        if len(chosen | dict.fromkeys(item[0])) <= _MOST_NODES:
            chosen |= dict.fromkeys(item[0])
            drawn.append(item)
    places = {neuron: _place(nth, len(chosen)) for nth, neuron in enumerate(sorted(chosen))}
    return Graph(
        title=title,
        size=SIZE,
        nodes=tuple(_node(x, y, neuron) for neuron, (x, y) in places.items()),
        edges=tuple(_edge(item, places) for item in reversed(drawn)),
        hint=f"{title}: {len(drawn)} of {len(sets)} degenerate sets of {len(chosen)} neurons",
    )


def _place(nth: int, of: int) -> tuple[float, float]:
    angle = 2 * pi * nth / max(of, 1) - pi / 2
    return round(SIZE / 2 + _RADIUS * cos(angle), 1), round(SIZE / 2 + _RADIUS * sin(angle), 1)


def _node(x: float, y: float, neuron: Neuron) -> Node:
    """Return a node with its name outside the circle."""
    dx, dy = (x - SIZE / 2) / _RADIUS, (y - SIZE / 2) / _RADIUS
    anchor = "middle" if abs(dx) < 0.3 else "start" if dx > 0 else "end"
    return Node(x, y, round(x + dx * _MARGIN, 1), round(y + dy * _MARGIN + 4, 1), anchor, f"L{neuron[0]} · {neuron[1]}")


def _edge(item: Set, places: Mapping[Neuron, tuple[float, float]]) -> Edge:
    neurons, cost, hint = item
    points = " ".join(f"{places[neuron][0]},{places[neuron][1]}" for neuron in neurons)
    strength = min(max(cost, 0.0), 1.0)
    return Edge(points, round(0.2 + 0.8 * strength, 2), round(1 + 4 * strength, 1), hint)
