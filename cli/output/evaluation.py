"""The tables of `atlas evaluate`: short on a terminal, whole in files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atlas.errors import counted
from atlas.outputs import own_folder

from .. import diagnostics
from .emit import STDOUT, Destination
from .formats import Format

if TYPE_CHECKING:
    import pyarrow as pa

    from atlas.evaluation.curves import Curves
    from atlas.evaluation.job import Evaluated

Tables = Mapping[str, tuple["pa.Table", "pa.Table"]]
"""Tables by name, whole and in short."""
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

    tables = _tables(found) if isinstance(found, Evaluated) else _curves(found)
    if out is not None:
        _write(tables, out)
    if not to.for_eyes:
        to.write(next(iter(tables.values()))[0])
        return
    for number, (_, short) in enumerate(tables.values()):
        if number:
            print()
        STDOUT.write(short)


def _tables(found: "Evaluated") -> Tables:
    """Say what the tables stand on, and return them."""
    asked = counted(found.facts, "fact")
    diagnostics.note(f"localisation on {asked}, cross-lingual on {found.facts_with_likn:,} with LIKN")
    _tell_left_out(found, "table")
    return {
        "localisation": (found.localisation, _sorted(found.localisation, _LOCALISATION)),
        "cross_lingual": (found.cross_lingual, _sorted(found.cross_lingual, _CROSS_LINGUAL)),
    }


def _tell_left_out(found: "Evaluated | Curves", thing: str) -> None:
    for (name, reason), facts in found.left_out.items():
        names = ", ".join(f"<{fact.subject}, {fact.relation}>" for fact in facts[:NAMED])
        more = f" and {len(facts) - NAMED:,} more" if len(facts) > NAMED else ""
        diagnostics.note(f"the {name} {thing} leaves out {counted(len(facts), 'fact')}: {reason} ({names}{more})")


def _curves(found: "Curves") -> Tables:
    """Say what the curves stand on, and return their tables."""
    on = {row["replace"]: counted(row["facts"], "fact") for row in found.areas.to_pylist()}
    diagnostics.note(f"curves: {', '.join(f'{name} on {facts}' for name, facts in on.items())}")
    _tell_left_out(found, "curve")
    if found.unequal:
        diagnostics.note(
            f"in {found.unequal:,} pairs of fact and language some scorer stored fewer neurons than the largest count; "
            "there all are cut at the fewest"
        )
    return {
        "curves": (found.points, _joined(found.points.to_pylist(), _POINTS, ("own", "others"))),
        "areas": (found.areas, _joined(found.areas.to_pylist(), _AREAS, _AREA_MEASURES)),
    }


def _sorted(table: "pa.Table", keys: Sequence[str]) -> "pa.Table":
    """Return the rows sorted by `keys`, in short."""
    rows = sorted(table.to_pylist(), key=lambda row: [str(row[key]) for key in keys[:4]])
    return _joined(rows, keys, tuple(_MEASURES)).rename_columns([*keys, *_MEASURES.values()])


def _joined(rows: Sequence[dict[str, Any]], keys: Sequence[str], measures: Sequence[str]) -> "pa.Table":
    """Return the rows with each measure as one text: the mean and its 95 % interval."""
    import pyarrow as pa

    columns: dict[str, list[object]] = {key: [_key(row.get(key)) for row in rows] for key in keys}
    return pa.table(columns | {name: [_interval(row, name) for row in rows] for name in measures})


def _key(value: object) -> object:
    if isinstance(value, list):
        return "+".join(value)
    return round(value, 1) if isinstance(value, float) else value


def _interval(row: dict[str, float | None], name: str) -> str:
    values = [row.get(f"{name}{end}") for end in ("", "_low", "_high")]
    mean, low, high = ("-" if value is None else f"{value:.2f}" for value in values)
    return f"{mean} [{low}, {high}]"


def _write(tables: Tables, out: Path) -> None:
    with own_folder(out, "--out") as part:
        for name, (whole, short) in tables.items():
            Destination(Format.csv, part / f"{name}.csv").write(whole)
            Destination(Format.markdown, part / f"{name}.md").write(short)
        if "curves" in tables:
            from atlas.evaluation.figure import figure

            (part / "curves.svg").write_text(figure(tables["curves"][0]), "utf-8")
