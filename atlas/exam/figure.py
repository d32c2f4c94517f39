"""A picture of the exam: F1 over the background's strength, by kind of circuit and by setting."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from atlas.exam.results import TARGETS, Row, sums

if TYPE_CHECKING:
    import altair as alt

COLOURS = ("#0072b2", "#56b4e9", "#999999", "#e69f00", "#d55e00", "#009e73", "#cc79a7", "#b8a800", "#000000", "#882255")


def figure(rows: Sequence[Row]) -> str:
    """Return an SVG: F1 of each target over the background's strength, then shaded tables of F1 of knowledge neurons.

    The panels above take the base and the settings that vary the background. The first table has a column for each kind
    of circuit in the base, the second one for each setting.
    """
    import altair as alt
    import vl_convert

    known = [row for row in rows if row.target == "KN"]
    base = [row for row in known if row.axis == "base"]
    parts = (
        _lines([row for row in rows if row.axis in ("base", "background") and row.target in TARGETS]),
        _shades(base, "circuit", "F1 of knowledge neurons in the base setting, by kind of circuit"),
        _shades(known, "setting", "F1 of knowledge neurons, by setting"),
    )
    picture = alt.vconcat(*parts).resolve_scale(color="independent").configure(background="white")
    return str(vl_convert.vegalite_to_svg(picture.to_dict()))


def _lines(rows: Sequence[Row]) -> Any:
    """Return a panel for each target and a line for each scorer."""
    import altair as alt

    points = [
        {"scorer": scorer, "target": f"F1 of {target}", "background": background, "F1": mark.f1}
        for (scorer, target, background), mark in sums(rows, "method", "target", "background").items()
        if mark.f1 is not None
    ]
    shape = alt.Chart(_data(points), width=190, height=170).mark_line(point=True, opacity=0.8)
    return shape.encode(
        x=alt.X(
            "background:Q",
            title="strength of the background",
            scale=alt.Scale(type="log", nice=False),
            axis=alt.Axis(values=sorted({row.background for row in rows})),
        ),
        y=alt.Y("F1:Q", title=None, scale=alt.Scale(domain=[0, 1])),
        color=alt.Color("scorer:N", sort=_scorers(rows), scale=alt.Scale(range=list(COLOURS))),
        column=alt.Column("target:N", title=None, sort=[f"F1 of {target}" for target in TARGETS]),
    )


def _shades(rows: Sequence[Row], column: str, title: str) -> Any:
    """Return a table of shaded cells: a line for each scorer, a column for each value of `column`."""
    import altair as alt

    cells = [
        {"scorer": scorer, column: value, "F1": mark.f1 or 0.0}
        for (scorer, value), mark in sums(rows, "method", column).items()
    ]
    places = alt.Chart(_data(cells), title=alt.Title(title, anchor="start"), width=alt.Step(50)).encode(
        x=alt.X(f"{column}:N", title=None, sort=None, axis=alt.Axis(labelAngle=30)),
        y=alt.Y("scorer:N", title=None, sort=_scorers(rows)),
    )
    shade = alt.Color("F1:Q", legend=None, scale=alt.Scale(domain=[0, 1], range=["#eef3f8", "#0072b2"]))
    ink = alt.condition("datum.F1 > 0.6", alt.value("white"), alt.value("black"))
    return places.mark_rect().encode(color=shade) + places.mark_text().encode(
        text=alt.Text("F1:Q", format=".2f"), color=ink
    )


def _scorers(rows: Iterable[Row]) -> list[str]:
    return list(dict.fromkeys(row.method for row in rows))


def _data(values: list[dict[str, Any]]) -> "alt.Data":
    import altair as alt

    return alt.Data(values=values)  # type: ignore[no-untyped-call]
