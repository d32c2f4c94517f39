"""Pictures of which a report has thousands, as SVG by hand: neurons by layer, and sets of neurons on a circle.

All others are Altair's (`atlas.reports.charts`). With the layers of facts drawn by Altair too, the report of 300 facts
took 20.8 s of processor time in place of 9.8, one measured after the other.
"""

from collections.abc import Mapping, Sequence
from math import cos, pi, sin
from xml.etree.ElementTree import Element, SubElement, tostring

from atlas.ids import Neuron
from atlas.reports.cells import drawn, shown
from atlas.reports.context import Picture

LEFT, RIGHT, BAND, GAP = 76.0, 70.0, 22.0, 2.0
_WIDEST = 600.0
_SQUARE = 36.0
_MOST_TICKS = 16
SIZE, _RADIUS = 320.0, 92.0
_MOST_NODES, _MOST_SETS = 14, 40
_MARGIN = 14.0

Set = tuple[tuple[Neuron, ...], float, str]


def layer_heat(title: str, counts: Mapping[str, Sequence[int]], shared: str, what: str) -> Picture:
    """Return one row of squares for each key of `counts`: how many of `what` there are in each layer, `[layer]`.

    Rows are shaded each by its own largest count, for they differ in size; `shared` is the key to be set off.
    """
    layers = max(len(row) for row in counts.values())
    slot = min(_SQUARE, _WIDEST / layers)
    right, bottom = LEFT + slot * layers, BAND * len(counts)
    names = ", ".join(map(drawn, counts))
    root = _canvas(right + RIGHT, bottom + 34, f"{title}: {what} in each of {layers} layers, for {names}")
    root.set("style", f"max-width:{right + RIGHT}px;min-width:min({right + RIGHT}px,30rem)")
    for place, (name, row) in enumerate(counts.items()):
        band = _draw(root, "g", class_="shared") if name == shared else _draw(root, "g")
        _band(band, drawn(name), row, slot, what, BAND * place)
    for layer in range(0, layers, -(-layers // _MOST_TICKS)):
        _draw(root, "text", str(layer), class_="tick", x=round(LEFT + (layer + 0.5) * slot, 2), y=bottom + 14)
    _draw(root, "text", "layer", class_="tick", x=(LEFT + right) / 2, y=bottom + 29)
    return Picture(title, tostring(root, "unicode"), "chart")


def _band(band: Element, label: str, row: Sequence[int], slot: float, what: str, y: float) -> None:
    """Draw a row: its label on the left, its total on the right, a square in each layer that has some."""
    most, total = max(row, default=0), sum(row)
    right = LEFT + slot * len(row)
    _draw(band, "text", label, class_="label", x=LEFT - 8, y=y + 15)
    _draw(band, "rect", class_="track", x=LEFT, y=y + 2, width=right - LEFT, height=18)
    for layer, count in enumerate(row):
        if count:
            x, opacity = round(LEFT + layer * slot + GAP / 2, 2), round(0.15 + 0.85 * count / most, 3)
            square = _draw(band, "rect", x=x, y=y + 2, width=round(slot - GAP, 2), height=18, fill_opacity=opacity)
            _draw(square, "title", f"{label}, layer {layer}: {count:,} of {total:,} {what}")
    _draw(band, "text", shown(total), class_="total", x=right + 8, y=y + 15)


def set_graph(title: str, sets: Sequence[Set]) -> Picture:
    """Return the sets of neurons, each with its cost and what to say of it, as a graph on a circle.

    A set is a line between two neurons, an area between more, the heavier the more it costs. The costliest sets are
    drawn, as far as their neurons are not too many to be told apart.
    """
    chosen: dict[Neuron, None] = {}
    heaviest: list[Set] = []
    for item in sorted(sets, key=lambda item: -item[1])[:_MOST_SETS]:
        if len(chosen | dict.fromkeys(item[0])) <= _MOST_NODES:
            chosen |= dict.fromkeys(item[0])
            heaviest.append(item)
    hint = f"{drawn(title)}: {len(heaviest)} of {len(sets)} degenerate sets of {len(chosen)} neurons"
    root = _canvas(SIZE, SIZE, hint)
    places = {neuron: _place(nth, len(chosen)) for nth, neuron in enumerate(sorted(chosen))}
    for item in reversed(heaviest):
        _edge(root, item, places)
    for neuron, place in places.items():
        _node(root, neuron, *place)
    return Picture(title, tostring(root, "unicode"), "graph")


def _place(nth: int, of: int) -> tuple[float, float]:
    angle = 2 * pi * nth / max(of, 1) - pi / 2
    return round(SIZE / 2 + _RADIUS * cos(angle), 1), round(SIZE / 2 + _RADIUS * sin(angle), 1)


def _edge(root: Element, item: Set, places: Mapping[Neuron, tuple[float, float]]) -> None:
    neurons, cost, hint = item
    points = " ".join(f"{places[neuron][0]},{places[neuron][1]}" for neuron in neurons)
    strength = min(max(cost, 0.0), 1.0)
    weight: dict[str, object] = {
        "stroke_opacity": round(0.2 + 0.8 * strength, 2),
        "stroke_width": round(1 + 4 * strength, 1),
    }
    _draw(_draw(root, "polygon", "", points=points, **weight), "title", hint)


def _node(root: Element, neuron: Neuron, x: float, y: float) -> None:
    """Draw a neuron with its name outside the circle."""
    dx, dy = (x - SIZE / 2) / _RADIUS, (y - SIZE / 2) / _RADIUS
    anchor = "middle" if abs(dx) < 0.3 else "start" if dx > 0 else "end"
    _draw(root, "circle", cx=x, cy=y, r=5)
    name = f"L{neuron[0]} · {neuron[1]}"
    _draw(root, "text", name, x=round(x + dx * _MARGIN, 1), y=round(y + dy * _MARGIN + 4, 1), text_anchor=anchor)


def _canvas(width: float, height: float, hint: str) -> Element:
    """Return an empty picture of its own units; `hint` describes it to those who cannot see it."""
    return Element("svg", {"viewBox": f"0 0 {width} {height}", "role": "img", "aria-label": hint})


def _draw(parent: Element, tag: str, text: str = "", **attributes: object) -> Element:
    """Add a shape or text; `class_` and `fill_opacity` stand for `class` and `fill-opacity`."""
    named = {name.rstrip("_").replace("_", "-"): str(value) for name, value in attributes.items()}
    element = SubElement(parent, tag, named)
    element.text = text or None
    return element
