"""What languages share: a heat map beside its controls."""

from typing import TYPE_CHECKING, Any

from atlas.reports.charts.look import BAR, TEXT, data, dressed, listed

if TYPE_CHECKING:
    import altair as alt

_KINDS = {
    "overlap": "same fact",
    "same_relation": "different facts, same relation",
    "other_relations": "different facts, other relations",
    "expected": "random sets",
}
_CELL = 34


def language_overlap(rows: Any) -> "alt.FacetChart":
    """Return common knowledge neurons of every two languages, mean over facts, beside what controls share.

    Takes rows of the view `language_overlap` of one definition and run. All squares are on one scale.
    """
    import altair as alt

    values = [
        {"a": pair[0], "b": pair[1], "kind": kind, "shared": row[column]}
        for row in listed(rows)
        for column, kind in _KINDS.items()
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
    return dressed(pair.facet(alt.Facet("kind:N", title=None, sort=list(_KINDS.values())), columns=2))  # type: ignore[no-any-return]
