"""Two models side by side."""

from typing import TYPE_CHECKING, Any

from atlas.reports.charts.look import ACCENT, BAR, data, dressed, listed

if TYPE_CHECKING:
    import altair as alt


def compared_layers(rows: Any, a: str = "a", b: str = "b") -> "alt.FacetChart":
    """Return the share of the neurons of two models by relative depth: a panel for each kind of neuron.

    Takes the rows `layers` of `Atlas.compare`; `a` and `b` are the models' names.
    """
    import altair as alt

    values = [
        {"kind": row["kind"], "depth": (row["depth_from"] + row["depth_to"]) / 2, "model": name, "share": row[column]}
        for row in listed(rows)
        for column, name in (("share_a", a), ("share_b", b))
        if row[column] is not None
    ]
    colours = alt.Scale(domain=[a, b], range=[BAR, ACCENT])
    line = alt.Chart(data(values)).mark_line(point=True, strokeWidth=2)
    panel = line.encode(
        x=alt.X("depth:Q", title="relative depth", scale=alt.Scale(domain=[0, 1])),
        y=alt.Y("share:Q", title="share of the neurons"),
        color=alt.Color("model:N", scale=colours, legend=alt.Legend(title=None, orient="top", labelLimit=300)),
    ).properties(width=240, height=150)
    kinds = ["knowledge neuron", "likn", "dkn"]
    return dressed(panel.facet(alt.Facet("kind:N", title=None, sort=kinds), columns=3))  # type: ignore[no-any-return]
