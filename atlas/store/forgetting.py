"""Taking a run out of an atlas, or what it holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from atlas import schema
from atlas.errors import UsageError
from atlas.store.runs import check_run

if TYPE_CHECKING:
    from atlas.store.writer import Writer

_OF_RUNS = {
    table.name: column.nullable for table in schema.TABLES.values() for column in table.columns if column.name == "run"
}
"""Tables with a run, and whether their rows can do without."""
_SPELLED = ("label_token", "neuron_token", "neuron_activation")
"""What builds store of a model's tokens and neurons, by the tokenizer and the configuration of the last run."""


def forget(writer: Writer, run: int) -> Mapping[str, int]:
    """Remove a run with everything of it in one transaction; return how many rows of which table were removed.

    Edits stay: they say no more where their neurons come from. Facts, prompts and the model stay too, and what is
    stored of its tokens and neurons, unless this run alone is of the tokenizer and configuration that made it. Raises
    UsageError for a run that is not there, and for one that other runs are made of: its untrained twins and unions.
    """
    _check(writer, run)
    with writer.transaction():
        removed = {**clear(writer, run), **_unspelled(writer, run)}
        for table, nullable in _OF_RUNS.items():
            if nullable:
                writer.sql(f"UPDATE {table} SET run = NULL WHERE run = ?", [run])
        writer.sql("DELETE FROM run WHERE run = ?", [run])
    return {"run": 1, **removed}


def begin_again(writer: Writer, run: int, versions: Mapping[str, str]) -> None:
    """Clear a run, and write down the versions of what makes its rows from now on."""
    with writer.transaction():
        clear(writer, run)
        noted = json.dumps(dict(versions), ensure_ascii=False, sort_keys=True)
        writer.sql("UPDATE run SET versions = ? WHERE run = ?", [noted, run])


def clear(writer: Writer, run: int) -> Mapping[str, int]:
    """Remove what a run measured, and what was measured of its neurons, in one transaction; the run itself stays."""
    with writer.transaction():
        removed = {
            table: int(writer.one(f"DELETE FROM {table} WHERE run = ?", [run]))
            for table, nullable in _OF_RUNS.items()
            if table != "run" and not nullable
        }
    return {table: rows for table, rows in removed.items() if rows}


def forget_spelling(writer: Writer, model: int) -> Mapping[str, int]:
    """Take out what is stored of a model's tokens and neurons, which the next runs store again."""
    return {table: int(writer.one(f"DELETE FROM {table} WHERE model = ?", [model])) for table in _SPELLED}


def _unspelled(writer: Writer, run: int) -> Mapping[str, int]:
    """Take out what a run about to go alone says of its model's tokens and neurons, if it was the last to say it."""
    alone = writer.sql(_ALONE, {"run": run})["model"].to_pylist()
    removed = forget_spelling(writer, alone[0]) if alone else {}
    return {table: rows for table, rows in removed.items() if rows}


def _check(writer: Writer, run: int) -> None:
    check_run(writer, run)
    query = """
        SELECT run.run FROM run WHERE run.twin_of = $run
        UNION
        SELECT knockout_source.run FROM knockout_source WHERE source = $run AND knockout_source.run <> $run
    """
    others = [str(other) for other in writer.sql(query, {"run": run})["run"].to_pylist()]
    if others:
        raise UsageError(f"Run {run} is what run {' and run '.join(others)} is made of; forget that one first.")


_ALONE = """
SELECT model FROM run AS own
WHERE run = $run AND method <> 'union' AND NOT EXISTS (
    FROM run AS other
    WHERE other.model = own.model AND other.run <> own.run AND other.method <> 'union' AND (
        (other.settings ->> 'tokenizer', other.settings ->> 'config')
            IS NOT DISTINCT FROM (own.settings ->> 'tokenizer', own.settings ->> 'config')
        OR coalesce(other.finished, other.started) > coalesce(own.finished, own.started)
    )
)
"""
