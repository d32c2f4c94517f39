"""What suppressing and enhancing neurons does: the localisation and cross-lingual tables as pictures."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from atlas.reports.charts.intervals import intervals
from atlas.reports.charts.look import listed

if TYPE_CHECKING:
    import altair as alt

MEASURE = "log_odds_change"
_TITLE = "change of log-odds"


def localisation(rows: Any, action: str = "suppress") -> "alt.FacetChart":
    """Return the change of log-odds by scorer, a panel for each language: the further from zero, the better located.

    Takes rows of the view `localisation` of one evaluation; `action` is suppress or enhance.
    """
    chosen = [row for row in listed(rows) if row["action"] == action]
    order = sorted({_scorer(row) for row in chosen})
    values = [_interval(row, _scorer(row), row["language"]) for row in chosen]
    return intervals(values, title=_TITLE, order=order)


def cross_lingual(rows: Any, action: str = "suppress") -> "alt.FacetChart":
    """Return the change of log-odds by where the neurons come from, a panel for each language measured.

    Takes rows of the view `cross_lingual` of one evaluation; neurons of two languages together are left out.
    """
    chosen = [row for row in listed(rows) if row["action"] == action and row["source"] != "both"]
    order = sorted({_origin(row) for row in chosen}, key=lambda name: (" of " not in name, name))
    values = [_interval(row, _origin(row), f"measured in {row['measured']}") for row in chosen]
    return intervals(values, title=_TITLE, order=order)


def _scorer(row: Mapping[str, Any]) -> str:
    return str(row["method"]) if row["source"] == "top" else f"{row['method']}, {row['source']} neurons"


def _origin(row: Mapping[str, Any]) -> str:
    languages = row["languages"]
    return f"{row['source']} of {languages[0]}" if len(languages) == 1 else str(row["source"])


def _interval(row: Mapping[str, Any], name: str, panel: str) -> dict[str, Any]:
    ends = {end: row[f"{MEASURE}_{end}"] for end in ("low", "high")}
    return {"name": name, "panel": panel, "value": row[MEASURE], **ends}
