"""The Python interface to an atlas: what can be asked of one that `atlas.open` has opened."""

from __future__ import annotations

import os
from collections.abc import Mapping
from html import escape
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

import duckdb

from atlas.errors import LimitError, StoreError, UsageError
from atlas.store import comparison, queries
from atlas.store.comparison import Comparison
from atlas.store.connection import first_line, is_damage, translate
from atlas.store.queries import Filter
from atlas.store.result import Params, Result

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Atlas", "Comparison", "Params", "Result"]

_BATCH = 100_000
_OUT_OF_MEMORY = "Out of Memory Error"
_FILES_ARE_SHUT = "disabled by configuration"
_FEW = 1000
"""Neurons up to which `likn` looks at these alone for their specificity, in place of all."""


class Atlas:
    """An atlas opened for reading. Queries bind their parameters; all text in it is untrusted.

    A `fact` argument is a fact's id (text of digits alike), or the subject's key or its label in any language.
    A `run` argument narrows to one run. Where thresholds such as `tau` are given, they stand in for those of
    `definition`, and the column `definition` says `at`.
    """

    def __init__(self, path: Path, connection: duckdb.DuckDBPyConnection) -> None:
        self.path = path
        self._open: duckdb.DuckDBPyConnection | None = connection
        self._process = os.getpid()

    def __enter__(self) -> Self:
        """Return the atlas itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def __repr__(self) -> str:
        """Return the class and the path."""
        return f"{type(self).__name__}({str(self.path)!r})"

    def _repr_html_(self) -> str:
        """Return what the atlas holds as HTML, for notebooks."""
        name = escape(str(self.path))
        if self._open is None:
            return f"<p>{name} (closed)</p>"
        holds, runs = self.query(queries.HOLDS), self.query(queries.RUNS_IN_SHORT)
        return f"<p>{name}</p>{holds._repr_html_()}{runs._repr_html_()}"

    def close(self) -> None:
        """Close the file; may be called twice."""
        if self._open is not None and self._process == os.getpid():
            self._open.close()
        self._open = None

    def beside(self) -> Atlas:
        """Return the same atlas on a connection of its own, to be closed: its temporary tables are not seen here."""
        return Atlas(self.path, self._connection.cursor())

    def interrupt(self) -> None:
        """Stop the query that runs now, from another thread; it raises StoreError."""
        self._connection.interrupt()

    def sql(self, query: str, params: Params = (), *, most_bytes: int | None = None) -> pa.Table:
        """Return the rows of `query`, with `?` or `$name` bound to `params`.

        Raises StoreError for a query that fails and for a result of more than `most_bytes` bytes.
        """
        try:
            rows = _relation(self._connection, query, params)
            if rows is None:
                return _empty()
            return rows.to_arrow_table() if most_bytes is None else self._gathered(rows, most_bytes)
        except duckdb.Error as error:
            raise self._failed(error) from error

    def stream(self, query: str, params: Params = (), *, rows: int = 100_000) -> pa.RecordBatchReader:
        """Return the rows of `query` in batches of `rows`, for results that outgrow memory; raises StoreError."""
        try:
            # A cursor of its own, so that other queries may run before the last batch is read.
            found = _relation(self._connection.cursor(), query, params)
            return _empty().to_reader() if found is None else found.to_arrow_reader(rows)
        except duckdb.Error as error:
            raise self._failed(error) from error

    def query(self, query: str, params: Params = ()) -> Result:
        """Return the rows of `query` as a Result; raises StoreError."""
        return Result(self.sql(query, params), query, params)

    def info(self) -> dict[str, str]:
        """Return what the file says of itself: format, schema, storage_version, created_by, views."""
        rows = self.sql("FROM atlas_info UNION ALL SELECT 'schema', version_num FROM schema_version").to_pylist()
        return {row["key"]: row["value"] for row in rows}

    def runs(self) -> Result:
        """Return runs with their model and how many prompts they hold."""
        return self.query(queries.RUNS)

    def definitions(self) -> Result:
        """Return the named thresholds."""
        return self.query("FROM definition ORDER BY definition")

    def facts(
        self,
        text: str | None = None,
        *,
        relation: str | None = None,
        language: str | None = None,
        limit: int | None = None,
    ) -> Result:
        """Return facts with their labels, those with `text` in a name or key if given, in upper or lower case."""
        params = {"text": text, "relation": relation, "language": language, "limit": limit}
        return self.query(queries.FACTS, params)

    def fact_ids(self, fact: int | str) -> list[int]:
        """Return the ids that `fact` (id, subject key or subject label) stands for; raises UsageError if none."""
        text = str(fact)
        number = int(text) if text.isascii() and text.isdigit() and len(text) <= 19 else None
        found = self.sql(queries.FACT_IDS, {"text": text, "number": number})
        if not found.num_rows:
            raise UsageError(f"No fact of {self.path} has the subject or id {fact!r}; `atlas facts` lists them.")
        ids: list[int] = found["fact"].to_pylist()
        return ids

    def neurons(
        self,
        *,
        layer: int | None = None,
        neuron: int | None = None,
        run: int | None = None,
        definition: str = "default",
        limit: int | None = None,
    ) -> Result:
        """Return the view `neuron_summary`: in how many facts and languages each neuron is a knowledge neuron."""
        wanted = Filter()
        for column, value in (("layer", layer), ("neuron", neuron), ("run", run)):
            wanted.equal(column, value)
        return self._select("neuron_summary", definition, {}, wanted, "facts DESC, run, layer, neuron", limit)

    def knowledge_neurons(
        self,
        *,
        fact: int | str | None = None,
        relation: str | None = None,
        language: str | None = None,
        run: int | None = None,
        definition: str = "default",
        tau: float | None = None,
        share: float | None = None,
        normalization: Literal["none", "layer"] | None = None,
        limit: int | None = None,
    ) -> Result:
        """Return knowledge neurons of facts in languages (METHOD 3, Eq. 6-7)."""
        given = {"tau": tau, "share": share, "normalization": normalization}
        wanted = self._facts(fact, relation, language=language, run=run)
        order = "run, fact, language, score DESC, layer, neuron"
        return self._select("knowledge_neuron", definition, given, wanted, order, limit)

    def likn(
        self,
        *,
        fact: int | str | None = None,
        relation: str | None = None,
        run: int | None = None,
        definition: str = "default",
        tau: float | None = None,
        share: float | None = None,
        min_languages: int | None = None,
        normalization: Literal["none", "layer"] | None = None,
        specificity: bool = True,
        limit: int | None = None,
    ) -> Result:
        """Return language-independent knowledge neurons (METHOD 3, Eq. 8).

        With `specificity`, `same_relation` and `other_relations` say in how many other facts of its relation and
        of other relations the neuron is one too. It has to look at all facts: leave it out where speed counts.
        """
        given = {"tau": tau, "share": share, "min_languages": min_languages, "normalization": normalization}
        wanted = self._facts(fact, relation, run=run)
        order = "run, fact, score DESC, layer, neuron"
        found = self._select("likn", definition, given, wanted, order, limit)
        if not specificity:
            return found
        return self._with_specificity(found, definition, given, order)

    def dkn(
        self,
        *,
        fact: int | str | None = None,
        relation: str | None = None,
        language: str | None = None,
        run: int | None = None,
        definition: str = "default",
        limit: int | None = None,
    ) -> Result:
        """Return sets of degenerate knowledge neurons (METHOD 3, Eq. 9-10)."""
        wanted = self._facts(fact, relation, language=language, run=run)
        return self._select("dkn", definition, {}, wanted, "run, fact, language, cost DESC, layers, neurons", limit)

    def compare(self, a: str, b: str, *, method: str = "amig", definition: str = "default") -> Comparison:
        """Compare two models, each by its newest run of `method`, on the facts and languages that both probed.

        Models go by name or digest. Raises UsageError for unknown ones, for models without such a run, for one model
        given twice, and where no prompt is usable in both.
        """
        self._thresholds(definition, {})
        return comparison.compare(self, a, b, method=method, definition=definition)

    @property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        """The open connection; raises StoreError if closed, or opened in another process."""
        if self._open is None:
            raise StoreError(f"{self.path} is closed; open it again with atlas.open.")
        if self._process != os.getpid():
            raise StoreError(f"{self.path} was opened by process {self._process}; open it again in this one.")
        return self._open

    def _gathered(self, rows: duckdb.DuckDBPyRelation, most_bytes: int) -> pa.Table:
        """Return all rows, read batch by batch; raises StoreError once they outgrow `most_bytes`."""
        import pyarrow as pa

        batches, size = [], 0
        reader = rows.to_arrow_reader(_BATCH)
        try:
            for batch in reader:
                size += batch.nbytes
                if size > most_bytes:
                    raise LimitError(
                        f"The result of the query of {self.path} is larger than {most_bytes >> 20} MB; "
                        "add a LIMIT, aggregate, or raise the memory limit."
                    )
                batches.append(batch)
        except (pa.ArrowException, OSError) as error:  # how DuckDB's errors come out of an Arrow reader
            raise self._failed(error) from error
        return pa.Table.from_batches(batches, reader.schema)

    def _failed(self, error: Exception) -> StoreError:
        """Return DuckDB's complaint about a query as one sentence."""
        if isinstance(error, duckdb.InterruptException) or "INTERRUPT Error" in str(error):
            return StoreError(f"The query of {self.path} was stopped.")
        if isinstance(error, duckdb.OutOfMemoryException) or _OUT_OF_MEMORY in str(error):
            return LimitError(
                f"The query of {self.path} needs more memory than its limit ({first_line(str(error))}); "
                "ask for less, or raise the memory limit."
            )
        if is_damage(error) and isinstance(error, duckdb.Error):
            return translate(error, self.path)
        if _FILES_ARE_SHUT in str(error):
            return LimitError(
                f"The query of {self.path} may not touch other files ({first_line(str(error))}); allow it to only if "
                "you trust it."
            )
        return StoreError(f"The query of {self.path} failed: {first_line(str(error))}.")

    def _facts(self, fact: int | str | None, relation: str | None, **equal: object) -> Filter:
        """Return the filter for `fact`, `relation` and columns with one value; raises UsageError for unknown ones."""
        wanted = Filter()
        if fact is not None:
            wanted.one_of("fact", self.fact_ids(fact))
        for table, value in (("relation", relation), ("language", equal.get("language"))):
            if value is not None and not self.sql(f"FROM {table} WHERE {table} = ?", [value]).num_rows:
                raise UsageError(f"{self.path} has no {table} {value!r}; `atlas facts` shows what it has.")
        wanted.of_relation(relation)
        for column, value in equal.items():
            wanted.equal(column, value)
        return wanted

    def _thresholds(self, definition: str, given: Mapping[str, object]) -> dict[str, object]:
        """Return the thresholds of `definition` with the `given` ones in their place, none if none are given."""
        row = self.sql("FROM definition WHERE definition = ?", [definition]).to_pylist()
        if not row:
            names = self.sql("SELECT string_agg(definition, ', ' ORDER BY definition) AS names FROM definition")
            raise UsageError(f"{self.path} has no definition {definition!r}; it has {names['names'][0]}.")
        changed = {name: value for name, value in given.items() if value is not None}
        if "tau" in changed:
            changed["tau_by_language"] = []
        return {**row[0], **changed} if changed else {}

    def _select(
        self, view: str, definition: str, given: Mapping[str, object], wanted: Filter, order: str, limit: int | None
    ) -> Result:
        rows, params = queries.source(view, definition, self._thresholds(definition, given))
        parts = [f"SELECT * FROM {rows}", wanted.clause(), f"ORDER BY {order}"]
        if limit is not None:
            parts.append("LIMIT $limit")
            params["limit"] = limit
        return self.query("\n".join(part for part in parts if part), params | wanted.params)

    def _with_specificity(self, found: Result, definition: str, given: Mapping[str, object], order: str) -> Result:
        neurons = sorted(set(found.table["neuron"].to_pylist()))
        only = f"WHERE neuron IN ({', '.join(map(str, neurons))})" if 0 < len(neurons) <= _FEW else ""
        rows, params = queries.source("likn_specificity", definition, self._thresholds(definition, given))
        query = (
            f"SELECT likn.*, other.same_relation, other.other_relations\nFROM ({found.sql}) AS likn\n"
            f"JOIN (SELECT * EXCLUDE (relation) FROM {rows} {only}) AS other\n"
            f"USING (definition, run, fact, layer, neuron)\nORDER BY {order}"
        )
        return self.query(query, {**dict(found.params), **params})  # type: ignore[arg-type]


def _relation(connection: duckdb.DuckDBPyConnection, query: str, params: Params) -> duckdb.DuckDBPyRelation | None:
    """Return what `query` yields, None for a text without a statement."""
    bound = dict(params) if isinstance(params, Mapping) else list(params)
    return connection.sql(query, params=bound) if bound else connection.sql(query)


def _empty() -> pa.Table:
    import pyarrow as pa

    return pa.table({})
