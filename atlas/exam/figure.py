"""A picture of the exam: F1 over the background's strength, by kind of circuit and by setting."""

from collections.abc import Callable, Iterator, Sequence
from html import escape
from math import log

from atlas.exam.marking import Mark
from atlas.exam.results import TARGETS, Row, total

WIDTH = 860
PANEL = 220
PLOT = 170
TOP = 40
CELL_WIDTH, CELL_HEIGHT = 56, 22
LABELS = 84
FONT = 'font-family="sans-serif" font-size="11"'
COLOURS = ("#0072b2", "#56b4e9", "#999999", "#e69f00", "#d55e00", "#009e73", "#cc79a7", "#b8a800", "#000000")
NAMES = {"KN": "knowledge neurons", "LIKN": "LIKN", "DKN": "DKN"}
"""Titles of the panels."""


def figure(rows: Sequence[Row]) -> str:
    """Return an SVG: F1 of each target over the background's strength, then shaded tables of F1 of knowledge neurons.

    The panels above take the base and the settings that vary the background. The first table has a column for each kind
    of circuit in the base, the second one for each setting.
    """
    methods = list(dict.fromkeys(row.method for row in rows))
    colours = {method: COLOURS[i % len(COLOURS)] for i, method in enumerate(methods)}
    known = [row for row in rows if row.target == "KN"]
    base = [row for row in known if row.axis == "base"]
    below, block = TOP + PLOT + 90, CELL_HEIGHT * len(methods) + 150
    height = below + 2 * block
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {FONT}>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        *_panels(rows, colours),
        *_legend(colours, TOP + PLOT + 52),
        _text(40, below, "F1 of knowledge neurons in the base setting, by kind of circuit", weight="bold"),
        *_shades(base, lambda row: row.circuit, methods, below + 14),
        _text(40, below + block, "F1 of knowledge neurons, by setting", weight="bold"),
        *_shades(known, lambda row: row.setting, methods, below + block + 14),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _panels(rows: Sequence[Row], colours: dict[str, str]) -> Iterator[str]:
    varied = [row for row in rows if row.axis in ("base", "background")]
    strengths = sorted({row.background for row in varied})
    for place, target in enumerate(TARGETS):
        left = 40 + place * (PANEL + 60)
        yield _text(left, TOP - 14, f"F1 of {NAMES[target]}", weight="bold")
        yield from _axes(left, strengths)
        for method, colour in colours.items():
            own = [row for row in varied if row.method == method and row.target == target]
            yield from _line(left, own, strengths, colour)


def _axes(left: float, strengths: Sequence[float]) -> Iterator[str]:
    for level in (0.0, 0.5, 1.0):
        y = _y(level)
        yield f'<line x1="{left}" x2="{left + PANEL}" y1="{y}" y2="{y}" stroke="#dddddd"/>'
        yield _text(left - 6, y + 4, f"{level:g}", anchor="end")
    for strength in strengths:
        yield _text(left + _x(strength, strengths), TOP + PLOT + 16, f"{strength:g}", anchor="middle")
    yield _text(left + PANEL / 2, TOP + PLOT + 32, "strength of the background", anchor="middle")


def _line(left: float, rows: Sequence[Row], strengths: Sequence[float], colour: str) -> Iterator[str]:
    points = []
    for strength in strengths:
        f1 = total(rows, lambda row, s=strength: row.background == s).f1
        if f1 is not None:
            points.append((round(left + _x(strength, strengths), 1), round(_y(f1), 1)))
    path = " ".join(f"{x},{y}" for x, y in points)
    yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-opacity="0.8"/>'
    yield from (f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in points)


def _legend(colours: dict[str, str], y: float) -> Iterator[str]:
    step = (WIDTH - 40) / max(1, len(colours))
    for place, (method, colour) in enumerate(colours.items()):
        x = 40 + place * step
        yield f'<rect x="{x:.1f}" y="{y - 9}" width="10" height="10" fill="{colour}"/>'
        yield _text(x + 14, y, method)


def _shades(rows: Sequence[Row], column: Callable[[Row], str], methods: Sequence[str], top: float) -> Iterator[str]:
    """Yield a table of shaded cells: a line for each scorer, a column for each value of `column`."""
    names = list(dict.fromkeys(map(column, rows)))
    marks: dict[tuple[str, str], Mark] = {}
    for row in rows:
        key = row.method, column(row)
        marks[key] = marks.get(key, Mark()) + row.mark
    for line, method in enumerate(methods):
        y = top + line * CELL_HEIGHT
        yield _text(LABELS + 20, y + 15, method, anchor="end")
        for place, name in enumerate(names):
            yield from _cell(LABELS + 28 + place * CELL_WIDTH, y, marks.get((method, name), Mark()).f1)
    for place, name in enumerate(names):
        x, y = LABELS + 40 + place * CELL_WIDTH, top + 14 + len(methods) * CELL_HEIGHT
        yield f'<text x="{x}" y="{y}" transform="rotate(30 {x} {y})">{escape(name)}</text>'


def _cell(x: float, y: float, f1: float | None) -> Iterator[str]:
    value = f1 or 0.0
    ink = "#ffffff" if value > 0.6 else "#000000"
    size = f'width="{CELL_WIDTH - 2}" height="{CELL_HEIGHT - 2}"'
    yield f'<rect x="{x}" y="{y}" {size} fill="#0072b2" fill-opacity="{0.06 + 0.84 * value:.2f}"/>'
    yield f'<text x="{x + CELL_WIDTH / 2 - 1}" y="{y + 14}" text-anchor="middle" fill="{ink}">{value:.2f}</text>'


def _x(strength: float, strengths: Sequence[float]) -> float:
    """Return the place on a logarithmic axis."""
    if len(strengths) == 1 or strengths[0] <= 0:
        return PANEL * (strengths.index(strength) + 0.5) / len(strengths)
    return 10 + (PANEL - 20) * log(strength / strengths[0]) / log(strengths[-1] / strengths[0])


def _y(value: float) -> float:
    return TOP + PLOT * (1 - value)


def _text(x: float, y: float, text: str, anchor: str = "start", weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'
