"""Charts of an atlas's views, as Altair charts: for the report, and for notebooks.

Each function takes rows of the view of its name, as a query gives them: `language_overlap(a.query("FROM
language_overlap"))`. Of `..._all`, narrow the query to one definition and run; other thresholds are another query.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

import altair as alt

from atlas.reports.cells import drawn

__all__ = [
    "compared_layers",
    "cross_lingual",
    "fact_check_metrics",
    "language_overlap",
    "layer_distribution",
    "likn_control",
    "localisation",
]

TEXT, MUTED, LINE, BAR, ACCENT = "#1c1e21", "#5a5f66", "#dddbd2", "#3f74a8", "#ab4a1f"
"""The report puts the colours of the reader's theme in place of these."""

FONT = "sans-serif"
# Room on the left and in legends is for browsers that draw texts wider than they were measured: DejaVu by 17 %.
_CONFIG: dict[str, Any] = {
    "background": "transparent",
    "padding": {"left": 38, "right": 14, "top": 4, "bottom": 4},
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
        "labelFlush": False,  # a label at an axis's end that is moved inwards covers its neighbour
    },
    "header": {"labelColor": TEXT, "titleColor": MUTED, "labelFontWeight": "bold"},
    "legend": {
        "labelColor": TEXT,
        "titleColor": MUTED,
        "titleFontWeight": "normal",
        "symbolType": "circle",
        "columnPadding": 44,
    },
    "text": {"color": TEXT, "fontSize": 11},
}


_ROW, _CELL = 17, 34
_MEASURE, _MEASURE_TITLE = "log_odds_change", "change of log-odds"
_CONTROLS = {
    "observed": ("found", ACCENT, "circle"),
    "same_relation": ("in shuffled facts of the relation", BAR, "square"),
    "other_relations": ("in shuffled facts of other relations", TEXT, "triangle-up"),
    "expected": ("expected by chance", MUTED, "cross"),
}
_SHARED = {
    "overlap": "same fact",
    "same_relation": "different facts, same relation",
    "other_relations": "different facts, other relations",
    "expected": "random sets",
}


def listed(rows: Any) -> list[dict[str, Any]]:
    """Return rows of a Result, an Arrow table or an iterable of mappings as dicts whose values can be drawn."""
    found = rows.to_pylist() if hasattr(rows, "to_pylist") else rows
    return [{name: drawn(value) for name, value in dict(row).items()} for row in found]


def data(values: Iterable[Mapping[str, Any]]) -> alt.Data:
    """Return values as a chart's data."""
    return alt.Data(values=[dict(value) for value in values])  # type: ignore[no-untyped-call]


def dressed(chart: Any) -> Any:
    """Return a finished chart in the look of all."""
    return chart.configure(**_CONFIG)


def intervals(
    values: Iterable[Mapping[str, Any]], *, title: str, order: Sequence[str], columns: int = 3, zero: bool = True
) -> alt.FacetChart:
    """Return a panel for every `panel`, in it a row for every `name` with its `value` from `low` to `high`.

    `title` names the axis; `zero` draws a line where nothing changes.
    """
    given = [value for value in values if value["value"] is not None]
    base = alt.Chart(data(given))
    names = alt.Y("name:N", title=None, sort=list(order))
    axis = alt.Axis(grid=True, tickCount=5)
    lines = base.mark_rule(color=BAR, strokeWidth=2).encode(
        y=names, x=alt.X("low:Q", title=title, scale=alt.Scale(zero=False, nice=True), axis=axis), x2="high:Q"
    )
    points = base.mark_point(color=BAR, filled=True, size=45, opacity=1).encode(y=names, x=alt.X("value:Q"))
    layers = [lines, points]
    if zero:
        layers.insert(0, base.mark_rule(color=MUTED, strokeDash=[2, 2]).encode(x=alt.datum(0)))
    panel = alt.layer(*layers).properties(width=230, height=_ROW * max(len(order), 1))
    return dressed(panel.facet(alt.Facet("panel:N", title=None), columns=columns))  # type: ignore[no-any-return]


def layer_distribution(rows: Any) -> alt.FacetChart:
    """Return the share of neurons in each layer: a panel for each kind, a row for each language.

    Takes rows of the view `layer_distribution` of one definition and run.
    """
    values = [{**row, "language": row["language"] or "all"} for row in listed(rows)]
    squares = alt.Chart(data(values)).mark_rect(color=BAR)
    layers = alt.Scale(domain=list(range(1 + max((row["layer"] for row in values), default=-1))))  # empty ones, too
    panel = squares.encode(
        x=alt.X("layer:O", title="layer", scale=layers, axis=alt.Axis(labelAngle=0, labelOverlap=True)),
        y=alt.Y("language:N", title=None),
        opacity=alt.Opacity("share:Q", title="share", scale=alt.Scale(range=[0.05, 1])),
        tooltip=["language:N", "layer:O", "neurons:Q", "pairs:Q"],
    )
    return dressed(panel.facet(alt.Facet("kind:N", title=None), columns=1))  # type: ignore[no-any-return]


def likn_control(rows: Any) -> alt.Chart:
    """Return how many LIKN a fact has, mean over the facts of each relation, beside what controls give.

    Takes rows of the view `likn_control` of one definition and run.
    """
    counts: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in listed(rows):
        for column in _CONTROLS:
            if row[column] is not None:
                counts[row["relation"], column].append(row[column])
    values = [
        {"relation": relation, "kind": _CONTROLS[column][0], "neurons": fmean(found)}
        for (relation, column), found in sorted(counts.items())
    ]
    names = [kind for kind, _, _ in _CONTROLS.values()]
    colours = alt.Scale(domain=names, range=[colour for _, colour, _ in _CONTROLS.values()])
    shapes = alt.Scale(domain=names, range=[shape for _, _, shape in _CONTROLS.values()])
    legend = alt.Legend(title=None, orient="top", labelLimit=300)
    relations = len({value["relation"] for value in values})
    chart = alt.Chart(data(values)).mark_point(filled=True, size=70, opacity=0.9)
    return dressed(  # type: ignore[no-any-return]
        chart.encode(
            x=alt.X("neurons:Q", title="language-independent neurons of a fact, mean over facts"),
            y=alt.Y("relation:N", title=None),
            color=alt.Color("kind:N", scale=colours, legend=legend),
            shape=alt.Shape("kind:N", scale=shapes, legend=legend),
        ).properties(width=520, height=22 * max(relations, 1))
    )


def language_overlap(rows: Any) -> alt.FacetChart:
    """Return common knowledge neurons of every two languages, mean over facts, beside what controls share.

    Takes rows of the view `language_overlap` of one definition and run. All squares are on one scale.
    """
    values = [
        {"a": pair[0], "b": pair[1], "kind": kind, "shared": row[column]}
        for row in listed(rows)
        for column, kind in _SHARED.items()
        if row[column] is not None
        for pair in ((row["language_a"], row["language_b"]), (row["language_b"], row["language_a"]))
    ]
    languages = sorted({value["a"] for value in values})
    base = alt.Chart(data(values)).encode(
        x=alt.X("b:N", title=None, sort=languages, axis=alt.Axis(labelAngle=0, ticks=False, domain=False)),
        y=alt.Y("a:N", title=None, sort=languages, axis=alt.Axis(ticks=False, domain=False)),
    )
    most = max((value["shared"] for value in values), default=1.0) or 1.0
    squares = base.mark_rect(color=BAR).encode(
        opacity=alt.Opacity("shared:Q", scale=alt.Scale(domain=[0, most], range=[0.04, 0.75]), legend=None)
    )
    numbers = base.mark_text(color=TEXT).encode(text=alt.Text("shared:Q", format=".2f"))
    size = _CELL * max(len(languages), 1)
    pair = alt.layer(squares, numbers).properties(width=size, height=size)
    return dressed(pair.facet(alt.Facet("kind:N", title=None, sort=list(_SHARED.values())), columns=2))  # type: ignore[no-any-return]


def localisation(rows: Any, action: str = "suppress") -> alt.FacetChart:
    """Return the change of log-odds by scorer, a panel for each language: the further from zero, the better located.

    Takes rows of the view `localisation` of one evaluation; `action` is suppress or enhance.
    """
    chosen = [row for row in listed(rows) if row["action"] == action]
    order = sorted({_scorer(row) for row in chosen})
    values = [_interval(row, _scorer(row), row["language"]) for row in chosen]
    return intervals(values, title=_MEASURE_TITLE, order=order)


def cross_lingual(rows: Any, action: str = "suppress") -> alt.FacetChart:
    """Return the change of log-odds by where the neurons come from, a panel for each language measured.

    Takes rows of the view `cross_lingual` of one evaluation; neurons of two languages together are left out.
    """
    chosen = [row for row in listed(rows) if row["action"] == action and row["source"] != "both"]
    order = sorted({_origin(row) for row in chosen}, key=lambda name: (" of " not in name, name))
    values = [_interval(row, _origin(row), f"measured in {row['measured']}") for row in chosen]
    return intervals(values, title=_MEASURE_TITLE, order=order)


def _scorer(row: Mapping[str, Any]) -> str:
    return str(row["method"]) if row["source"] == "top" else f"{row['method']}, {row['source']} neurons"


def _origin(row: Mapping[str, Any]) -> str:
    languages = row["languages"]
    return f"{row['source']} of {languages[0]}" if len(languages) == 1 else str(row["source"])


def _interval(row: Mapping[str, Any], name: str, panel: str) -> dict[str, Any]:
    ends = {end: row[f"{_MEASURE}_{end}"] for end in ("low", "high")}
    return {"name": name, "panel": panel, "value": row[_MEASURE], **ends}


def fact_check_metrics(rows: Any, metric: str = "auroc") -> alt.FacetChart:
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


def compared_layers(rows: Any, a: str = "a", b: str = "b") -> alt.FacetChart:
    """Return the share of the neurons of two models by relative depth: a panel for each kind of neuron.

    Takes the rows `layers` of `Atlas.compare`; `a` and `b` are the models' names.
    """
    a, b = (drawn(a), drawn(b)) if a != b else (f"a: {drawn(a)}", f"b: {drawn(b)}")
    values = [
        {"kind": row["kind"], "depth": (row["depth_from"] + row["depth_to"]) / 2, "model": name, "share": row[column]}
        for row in listed(rows)
        for column, name in (("share_a", a), ("share_b", b))
        if row[column] is not None
    ]
    colours = alt.Scale(domain=[a, b], range=[BAR, ACCENT])
    dashes = alt.Scale(domain=[a, b], range=[[1, 0], [4, 4]])  # lets the first line be seen under the second
    line = alt.Chart(data(values)).mark_line(point=True, strokeWidth=2)
    panel = line.encode(
        x=alt.X("depth:Q", title="relative depth", scale=alt.Scale(domain=[0, 1])),
        y=alt.Y("share:Q", title="share of the neurons"),
        color=alt.Color(
            "model:N", scale=colours, legend=alt.Legend(title=None, orient="top", labelLimit=300, symbolStrokeWidth=0)
        ),
        strokeDash=alt.StrokeDash("model:N", scale=dashes, legend=None),
    ).properties(width=240, height=150)
    kinds = ["knowledge neuron", "likn", "dkn"]
    return dressed(panel.facet(alt.Facet("kind:N", title=None, sort=kinds), columns=3))  # type: ignore[no-any-return]
