"""From an atlas to the page's values."""

from importlib.resources import files
from typing import TYPE_CHECKING

import atlas
from atlas.reports import queries
from atlas.reports.cells import shown
from atlas.reports.charts import layer_chart
from atlas.reports.context import Column, Figure, Page, Section, Table, Warning
from atlas.reports.warnings import CHECKS

if TYPE_CHECKING:
    import pyarrow as pa

SHARED = "LIKN"
_NAMES = ("layer", "neuron")  # numbers that name something are not grouped


def collect(source: "atlas.Atlas") -> Page:
    """Return the page about `source`."""
    runs = source.sql(queries.RUNS).to_pylist()
    return Page(
        atlas=source.path.name,
        version=atlas.__version__,
        style=files("atlas.templates").joinpath("style.css").read_text("utf-8"),
        thresholds=_figures(source.sql(queries.THRESHOLDS)),
        facts=shown(source.sql(queries.FACTS).to_pylist()[0]["facts"]),
        sections=tuple(_section(source, run) for run in runs),
    )


def _section(source: "atlas.Atlas", run: dict[str, object]) -> Section:
    bound = {"run": run["run"]}
    counts = _layer_counts(source.sql(queries.LAYERS.sql, bound), int(str(run["layers"])))
    tables = [_table(query, source.sql(query.sql, bound)) for query in queries.TABLES]
    return Section(
        run=str(run["run"]),
        model=str(run["model"]),
        kind=str(run["kind"]),
        method=str(run["method"]),
        status=str(run["status"]),
        started=shown(run["started"]),
        figures=_figures(source.sql(queries.FIGURES, bound)),
        warnings=_warnings(source, bound),
        layers=layer_chart(counts, SHARED) if counts else None,
        tables=(*tables, _layer_table(counts)),
    )


def _figures(row: "pa.Table") -> tuple[Figure, ...]:
    return tuple(Figure(name, shown(value)) for name, value in row.to_pylist()[0].items())


def _warnings(source: "atlas.Atlas", bound: dict[str, object]) -> tuple[Warning, ...]:
    counts = [(check, source.sql(check.sql, bound).column(0)[0].as_py()) for check in CHECKS]
    return tuple(Warning(check.name, check.meaning, shown(count)) for check, count in counts if count)


def _layer_counts(rows: "pa.Table", layers: int) -> dict[str, list[int]]:
    """Return how many neurons each language has, `[layer]`."""
    counts: dict[str, list[int]] = {}
    for row in rows.to_pylist():
        counts.setdefault(row["language"], [0] * layers)[row["layer"]] = row["neurons"]
    return counts


def _layer_table(counts: dict[str, list[int]]) -> Table:
    columns = (Column("layer", True), *(Column(language, True) for language in counts))
    rows = tuple(
        (str(layer), *(shown(count) for count in row)) for layer, row in enumerate(zip(*counts.values(), strict=True))
    )
    return Table(queries.LAYERS.name, queries.LAYERS.title, columns, rows, queries.LAYERS.sql.strip())


def _table(query: queries.Query, rows: "pa.Table") -> Table:
    columns = tuple(Column(field.name, _numeric(field.type)) for field in rows.schema)
    cells = tuple(tuple(_cell(*item) for item in row.items()) for row in rows.to_pylist())
    return Table(query.name, query.title, columns, cells, query.sql.strip())


def _cell(column: str, value: object) -> str:
    return str(value) if column in _NAMES else shown(value)


def _numeric(kind: "pa.DataType") -> bool:
    import pyarrow.types as types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))
