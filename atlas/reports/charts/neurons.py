"""Where neurons lie, and what language-independent ones are worth."""

from collections import defaultdict
from statistics import fmean
from typing import TYPE_CHECKING, Any

from atlas.reports.charts.look import ACCENT, BAR, MUTED, TEXT, data, dressed, listed

if TYPE_CHECKING:
    import altair as alt

_KINDS = {
    "observed": ("found", ACCENT, "circle"),
    "same_relation": ("in shuffled facts of the relation", BAR, "square"),
    "other_relations": ("in shuffled facts of other relations", TEXT, "triangle-up"),
    "expected": ("expected by chance", MUTED, "cross"),
}


def layer_distribution(rows: Any) -> "alt.FacetChart":
    """Return the share of neurons in each layer: a panel for each kind, a row for each language.

    Takes rows of the view `layer_distribution` of one definition and run.
    """
    import altair as alt

    values = [{**row, "language": row["language"] or "all"} for row in listed(rows)]
    squares = alt.Chart(data(values)).mark_rect(color=BAR)
    panel = squares.encode(
        x=alt.X("layer:O", title="layer", axis=alt.Axis(labelAngle=0, labelOverlap=True)),
        y=alt.Y("language:N", title=None),
        opacity=alt.Opacity("share:Q", title="share", scale=alt.Scale(range=[0.05, 1])),
        tooltip=["language:N", "layer:O", "neurons:Q", "pairs:Q"],
    )
    return dressed(panel.facet(alt.Facet("kind:N", title=None), columns=1))  # type: ignore[no-any-return]


def likn_control(rows: Any) -> "alt.Chart":
    """Return how many LIKN a fact has, mean over the facts of each relation, beside what controls give.

    Takes rows of the view `likn_control` of one definition and run.
    """
    import altair as alt

    counts: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in listed(rows):
        for column in _KINDS:
            if row[column] is not None:
                counts[row["relation"], column].append(row[column])
    values = [
        {"relation": relation, "kind": _KINDS[column][0], "neurons": fmean(found)}
        for (relation, column), found in sorted(counts.items())
    ]
    names = [kind for kind, _, _ in _KINDS.values()]
    colours = alt.Scale(domain=names, range=[colour for _, colour, _ in _KINDS.values()])
    shapes = alt.Scale(domain=names, range=[shape for _, _, shape in _KINDS.values()])
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
