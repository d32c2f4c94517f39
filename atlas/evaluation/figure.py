"""A picture of the curves: what cutting and injecting the first neurons of each scorer does, with intervals."""

from collections.abc import Iterator, Mapping, Sequence
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

    rows = points.to_pylist()
    done = {name: [row for row in rows if row["replace"] == name] for name in ROWS}
    panels = [_panels(own, name) for name, own in done.items() if own]
    picture = alt.vconcat(*panels).configure(background="white").configure_legend(symbolOpacity=1)
    return str(vl_convert.vegalite_to_svg(picture.to_dict()))


def _panels(rows: Sequence[Mapping[str, Any]], name: str) -> Any:
    """Return the row of a replacement, both sides on one scale."""
    import altair as alt

    counts, scorers = ([*dict.fromkeys(row[key] for row in rows)] for key in ("neurons", "method"))
    scale = alt.Scale(type="log", nice=False)
    base = alt.Chart(alt.Data(values=list(_values(rows)))).encode(  # type: ignore[no-untyped-call]
        x=alt.X("neurons:Q", title="neurons", scale=scale, axis=alt.Axis(values=counts)),
        color=alt.Color("method:N", title="scorer", sort=scorers),
    )
    band = base.mark_area(opacity=0.12).encode(y=alt.Y("low:Q"), y2="high:Q")
    line = base.mark_line(point=True).encode(y=alt.Y("value:Q", title=ROWS[name]))
    sides = alt.Column("side:N", title=None, sort=list(SIDES.values()))
    return (band + line).properties(width=260, height=200).facet(column=sides)


def _values(rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        for side, title in SIDES.items():
            numbers = {"value": row[side], "low": row[f"{side}_low"], "high": row[f"{side}_high"]}
            yield {"method": row["method"], "neurons": row["neurons"], "side": title, **numbers}
