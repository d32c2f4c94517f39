"""A picture of the curves: what cutting and injecting the first neurons of each scorer does, with intervals."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

SIDES = {"own": "the fact's own answers", "others": "another fact's"}
SHARE = "share of the probability lost"
ROWS = {
    "zero": f"cut to zero: {SHARE}",
    "swap": f"another fact's values: {SHARE}",
    "inject": "injected: rise in log-odds",
}


def figure(points: "pa.Table") -> str:
    """Return an SVG with a row for each replacement and a column for own and others' answers; a line is a scorer."""
    import altair as alt
    import vl_convert

    values = list(_values(points))
    base = alt.Chart(alt.Data(values=values)).encode(  # type: ignore[no-untyped-call]
        x=alt.X("neurons:Q", title="neurons", scale=alt.Scale(type="log"), axis=alt.Axis(values=[1, 2, 5, 10, 20])),
        color=alt.Color("method:N", title="scorer", sort=list(dict.fromkeys(points["method"].to_pylist()))),
    )
    cost = alt.Y("cost:Q", title=None)
    band = base.mark_area(opacity=0.12).encode(y=alt.Y("low:Q"), y2="high:Q")
    panel = (band + base.mark_line(point=True).encode(y=cost)).properties(width=260, height=200)
    picture = panel.facet(
        row=alt.Row("replace:N", title=None, sort=list(ROWS.values())), column=alt.Column("side:N", title=None)
    )
    shown = picture.resolve_scale(y="independent").configure(background="white")
    return str(vl_convert.vegalite_to_svg(shown.to_dict()))


def _values(points: "pa.Table") -> Any:
    for row in points.to_pylist():
        for side, title in SIDES.items():
            place = {"replace": ROWS[row["replace"]], "side": title}
            numbers = {"cost": row[side], "low": row[f"{side}_low"], "high": row[f"{side}_high"]}
            yield {"method": row["method"], "neurons": row["neurons"], **place, **numbers}
