"""How charts look: colours, and the rows that they are made from."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair as alt

TEXT, MUTED, LINE, BAR, ACCENT = "#1c1e21", "#5a5f66", "#dddbd2", "#3f74a8", "#ab4a1f"
"""The report puts the colours of the reader's theme in place of these."""

FONT = "sans-serif"
_CONFIG: dict[str, Any] = {
    "background": "transparent",
    "padding": {"left": 14, "right": 14, "top": 4, "bottom": 4},
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": TEXT,
        "titleColor": MUTED,
        "titleFontWeight": "normal",
        "gridColor": LINE,
        "domainColor": LINE,
        "tickColor": LINE,
        "labelLimit": 220,
    },
    "header": {"labelColor": TEXT, "titleColor": MUTED, "labelFontWeight": "bold"},
    "legend": {
        "labelColor": TEXT,
        "titleColor": MUTED,
        "titleFontWeight": "normal",
        "symbolType": "circle",
        "columnPadding": 24,
    },
    "text": {"color": TEXT, "fontSize": 11},
}


def listed(rows: Any) -> list[dict[str, Any]]:
    """Return rows of a Result, an Arrow table or an iterable of mappings as a list of dicts."""
    found = rows.to_pylist() if hasattr(rows, "to_pylist") else rows
    return [dict(row) for row in found]


def data(values: Iterable[Mapping[str, Any]]) -> "alt.Data":
    """Return values as a chart's data."""
    import altair as alt

    return alt.Data(  # type: ignore[no-untyped-call]
        values=[dict(value) for value in values]
    )


def dressed(chart: Any) -> Any:
    """Return a finished chart in the look of all."""
    return chart.configure(**_CONFIG)
