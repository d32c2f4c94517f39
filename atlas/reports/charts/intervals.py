"""Means with their 95 % intervals, in rows under each other."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from atlas.reports.charts.look import BAR, MUTED, data, dressed

if TYPE_CHECKING:
    import altair as alt

_ROW = 17


def intervals(
    values: Iterable[Mapping[str, Any]], *, title: str, order: Sequence[str], columns: int = 3, zero: bool = True
) -> "alt.FacetChart":
    """Return a panel for every `panel`, in it a row for every `name` with its `value` from `low` to `high`.

    `title` names the axis; `zero` draws a line where nothing changes.
    """
    import altair as alt

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
