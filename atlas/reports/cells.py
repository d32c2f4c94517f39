"""Values as a reader wants to see them."""

from datetime import datetime

from atlas.reports.context.parts import Cell

NAMES = frozenset({"layer", "neuron", "run", "fact", "edit", "evaluation", "nodes", "seed"})
"""Columns whose numbers name something and are not grouped."""


def shown(value: object) -> str:
    """Return a value as text: grouped thousands, three significant digits, an en dash for NULL."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M UTC")
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)


def cell(column: str, value: object) -> Cell:
    """Return the cell of a plain value, with seven digits of it where the text is rounded."""
    if isinstance(value, float):
        return Cell(_number(value), f"{value:.7g}")
    if isinstance(value, int) and not isinstance(value, bool):
        return Cell(str(value)) if column in NAMES or -1000 < value < 1000 else Cell(f"{value:,}", str(value))
    return Cell(shown(value))


def _number(value: float) -> str:
    if value != value:
        return "NaN"
    size = abs(value)
    if value and (size < 0.001 or size >= 1e6):
        return f"{value:.2e}"
    return f"{value:#.3g}" if size < 100 else f"{value:,.0f}"
