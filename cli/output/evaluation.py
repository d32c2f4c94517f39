"""The tables of `atlas evaluate`: short on a terminal, whole in files."""

from pathlib import Path
from typing import TYPE_CHECKING

from atlas.outputs import own_folder

from .. import diagnostics
from .emit import STDOUT, Destination
from .formats import Format
from .summary import counted

if TYPE_CHECKING:
    import pyarrow as pa

    from atlas.evaluation.curves import Curves
    from atlas.evaluation.job import Evaluated

NAMED = 3
"""Facts that are left out and named."""
_LOCALISATION = ("language", "action", "method", "source", "facts", "neurons")
_CROSS_LINGUAL = ("measured", "action", "source", "languages", "facts", "neurons")
_POINTS = ("replace", "method", "neurons", "facts")
_AREAS = ("replace", "method", "facts", "best_other", "milliseconds")
_AREA_MEASURES = ("area", "ahead", "in_least_time")
_MEASURES = {
    "log_change": "log p",
    "log_odds_change": "log odds",
    "rank_change": "rank",
    "lost": "lost",
    "gained": "gained",
    "success_rate": "SR",
}


def show(found: "Evaluated | Curves", to: Destination, out: Path | None) -> None:
    """Print the tables or curves; a format other than `table`, or a file, gets every column of the first.

    With `out`, every column of both goes into that folder, as CSV and Markdown, and of curves a picture.
    """
    from atlas.evaluation.job import Evaluated

    if isinstance(found, Evaluated):
        _show_tables(found, to, out)
    else:
        _show_curves(found, to, out)


def _show_tables(found: "Evaluated", to: Destination, out: Path | None) -> None:
    diagnostics.note(f"localisation on {found.facts:,} facts, cross-lingual on {found.facts_with_likn:,} with LIKN")
    for (table, reason), facts in found.left_out.items():
        names = ", ".join(f"<{fact.subject}, {fact.relation}>" for fact in facts[:NAMED])
        more = f" and {len(facts) - NAMED:,} more" if len(facts) > NAMED else ""
        diagnostics.note(f"the {table} table leaves out {counted(len(facts), 'fact')}: {reason} ({names}{more})")
    if out is not None:
        _write(found, out)
    if not to.for_eyes:
        to.write(found.localisation)
        return
    STDOUT.write(short(found.localisation, _LOCALISATION))
    print()
    STDOUT.write(short(found.cross_lingual, _CROSS_LINGUAL))


def _show_curves(found: "Curves", to: Destination, out: Path | None) -> None:
    diagnostics.note(f"curves on {counted(found.facts, 'fact')}")
    if found.unequal:
        diagnostics.note(
            f"in {found.unequal:,} pairs of fact and language some scorer stored fewer neurons than the largest count; "
            "there all are cut at the fewest"
        )
    if out is not None:
        _write_curves(found, out)
    if not to.for_eyes:
        to.write(found.points)
        return
    STDOUT.write(_joined(found.points, _POINTS, ("own", "others")))
    print()
    STDOUT.write(_joined(found.areas, _AREAS, _AREA_MEASURES))


def _write_curves(found: "Curves", out: Path) -> None:
    from atlas.evaluation.figure import figure

    with own_folder(out, "--out") as part:
        for name, table, keys, measures in (
            ("curves", found.points, _POINTS, ("own", "others")),
            ("areas", found.areas, _AREAS, _AREA_MEASURES),
        ):
            Destination(Format.csv, part / f"{name}.csv").write(table)
            Destination(Format.markdown, part / f"{name}.md").write(_joined(table, keys, measures))
        (part / "curves.svg").write_text(figure(found.points), "utf-8")


def _joined(table: "pa.Table", keys: tuple[str, ...], measures: tuple[str, ...]) -> "pa.Table":
    """Return the rows with each measure as one text: the mean and its 95 % interval."""
    import pyarrow as pa

    rows = table.to_pylist()
    columns: dict[str, list[object]] = {key: [_key(row.get(key)) for row in rows] for key in keys}
    return pa.table(columns | {name: [_interval(row, name) for row in rows] for name in measures})


def short(table: "pa.Table", keys: tuple[str, ...]) -> "pa.Table":
    """Return the rows sorted by `keys`, each measure as one text: the mean and its 95 % interval."""
    import pyarrow as pa

    rows = sorted(table.to_pylist(), key=lambda row: [str(row[key]) for key in keys[:4]])
    columns: dict[str, list[object]] = {key: [_key(row[key]) for row in rows] for key in keys}
    for name, title in _MEASURES.items():
        columns[title] = [_interval(row, name) for row in rows]
    return pa.table(columns)


def _key(value: object) -> object:
    if isinstance(value, list):
        return "+".join(value)
    return round(value, 1) if isinstance(value, float) else value


def _interval(row: dict[str, float | None], name: str) -> str:
    values = [row.get(f"{name}{end}") for end in ("", "_low", "_high")]
    mean, low, high = ("-" if value is None else f"{value:.2f}" for value in values)
    return f"{mean} [{low}, {high}]"


def _write(found: "Evaluated", out: Path) -> None:
    tables = {
        "localisation": (found.localisation, _LOCALISATION),
        "cross_lingual": (found.cross_lingual, _CROSS_LINGUAL),
    }
    with own_folder(out, "--out") as part:
        for name, (table, keys) in tables.items():
            Destination(Format.csv, part / f"{name}.csv").write(table)
            Destination(Format.markdown, part / f"{name}.md").write(short(table, keys))
