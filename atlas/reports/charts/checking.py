"""How well each kind of evidence tells true claims from wrong ones."""

from typing import TYPE_CHECKING, Any

from atlas.reports.charts.intervals import intervals
from atlas.reports.charts.look import listed

if TYPE_CHECKING:
    import altair as alt


def fact_check_metrics(rows: Any, metric: str = "auroc") -> "alt.FacetChart":
    """Return a metric by evidence, a panel for each condition.

    Takes rows of the view `fact_check_metrics` of one evaluation; where they have columns `auroc_low` and `auroc_high`,
    these are drawn.
    """
    values = [
        {
            "name": row["evidence"],
            "panel": row["condition"],
            "value": row[metric],
            "low": row.get(f"{metric}_low"),
            "high": row.get(f"{metric}_high"),
        }
        for row in listed(rows)
        if not any(row.get(name) for name in ("source_language", "relation", "language"))
    ]
    best: dict[str, float] = {}
    for value in values:
        best[value["name"]] = max(best.get(value["name"], 0.0), value["value"] or 0.0)
    order = sorted(best, key=lambda name: (-best[name], name))
    return intervals(values, title=metric.upper() if metric == "auroc" else metric, order=order, columns=2, zero=False)
