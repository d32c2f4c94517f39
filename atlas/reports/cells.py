"""Values as a reader wants to see them."""

import re
from datetime import datetime
from math import isfinite
from typing import Any

from atlas.ids import stable_id
from atlas.reports.context import Cell

NAMES = frozenset({"layer", "neuron", "run", "fact", "edit", "evaluation", "nodes", "seed"})
"""Columns whose numbers name something and are not grouped."""

MOST_CHARACTERS, MOST_DRAWN = 2000, 80
"""What is shown of one text, on a page and in a picture."""

_NEVER_DRAWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""What XML lacks, what ends a line, and what turns the direction of the text around it."""
_IN_HALVES = re.compile("[\U00010000-\U0010ffff]")
_NEVER_CUT = 10
"""Characters that the renderer may cut between their halves, which it fails at, and a length that it cuts nowhere."""


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
    return cut(", ".join(map(str, value)) if isinstance(value, list) else str(value))


def cut(text: str) -> str:
    """Return a text, of a very long one the beginning and how long it is."""
    if len(text) <= MOST_CHARACTERS:
        return text
    return f"{text[:MOST_CHARACTERS]} … ({len(text):,} characters)"


def plain(text: str) -> str:
    """Return a text with the codes of characters that cannot be drawn in their place."""
    return _NEVER_DRAWN.sub(_code, text)


def _code(found: re.Match[str]) -> str:
    return f"<U+{ord(found[0]):04X}>"


def drawn(value: Any) -> Any:
    """Return a value as a picture can hold it: texts short and without what cannot be drawn, None for NaN and infinity.

    A character that cannot be drawn is told by its code, the rest of a long text by its hash: different texts stay
    different.
    """
    if isinstance(value, str):
        rest = f"… {stable_id('rest', value[MOST_DRAWN:]):016x}"[:7] if len(value) > MOST_DRAWN else ""
        text = plain(value[:MOST_DRAWN]) + rest
        return text if len(text) <= _NEVER_CUT else _IN_HALVES.sub(_code, text)
    if isinstance(value, list):
        return [drawn(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


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
    return f"{value:#.3g}".removesuffix(".") if size < 100 else f"{value:,.0f}"
