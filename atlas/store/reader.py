"""Reading an atlas with SQL: rows as Arrow, in batches or as a Result; DuckDB's complaints become one sentence."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import duckdb

from atlas.errors import LimitError, StoreError, lacks_memory
from atlas.store import statements
from atlas.store.clock import Clock, within
from atlas.store.connection import first_line, is_damage, translate, whole_message
from atlas.store.result import Params, Result, names_apart

if TYPE_CHECKING:
    import pyarrow as pa

_OPEN: weakref.WeakSet[Reader] = weakref.WeakSet()
_OF_OTHERS: list[duckdb.DuckDBPyConnection] = []
"""Connections of the process that this one was forked of: they last, as DuckDB crashes where it ends them here."""
_BATCH = 100_000
_NOT_WRITTEN = ("Could not write", "Could not flush", "Could not sync", "No space left", "File too large")
_SIGNALLED = "Query interrupted"
"""What DuckDB says in place of the KeyboardInterrupt of a signal that it saw while a query ran."""
_FILES_ARE_SHUT = "disabled by configuration"
_NO_TEXT = "cannot encode str as UTF-8"


class Reader:
    """An open atlas that answers SQL, of such statements as `allowed`, and with `files` those that touch others."""

    allowed = statements.READING

    def __init__(
        self,
        path: Path,
        connection: duckdb.DuckDBPyConnection,
        *,
        files: bool = False,
        seconds: float | None = None,
    ) -> None:
        self.path = path
        self.files = files
        self.seconds = seconds
        self._streams: list[duckdb.DuckDBPyConnection] = []
        self._open: duckdb.DuckDBPyConnection | None = connection
        self._process = os.getpid()
        self._turn = threading.RLock()
        _OPEN.add(self)

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

    def close(self) -> None:
        """Close the file; may be called twice."""
        connections = [] if self._open is None else [*self._streams, self._open]
        if self._process != os.getpid():
            _OF_OTHERS.extend(connections)
        else:
            for connection in connections:
                connection.close()
        self._streams.clear()
        self._open = None

    def beside(self) -> Self:
        """Return the same atlas on a connection of its own, to be closed: its temporary tables are not seen here."""
        return type(self)(self.path, self._connection.cursor(), files=self.files, seconds=self.seconds)

    def interrupt(self) -> None:
        """Stop the queries that run now, from another thread; they raise StoreError."""
        for connection in (self._open, *self._streams):
            if connection is not None:
                connection.interrupt()

    def sql(self, query: str, params: Params = (), *, most_bytes: int | None = None) -> pa.Table:
        """Return the rows of `query`, with `?` or `$name` bound to `params`.

        Columns of one name get names of their own, so that what goes by names loses none: `n`, `n_1`. Raises StoreError
        for a query that fails, that holds a statement which may not be run, and for a result of more than `most_bytes`
        bytes.
        """
        self._check(query, params)
        return self._answer(query, params, most_bytes)

    def one(self, query: str, params: Params = ()) -> Any:
        """Return the first value of the first row of `query`; raises StoreError."""
        return self.sql(query, params)[0][0].as_py()

    def scratch(self, statement: str, params: Params = ()) -> None:
        """Run a statement of our own, never one from outside, that leaves the file as it is; raises StoreError."""
        self._answer(statement, params)

    def _check(self, query: str, params: Params) -> None:
        bound = params.values() if isinstance(params, Mapping) else params
        statements.check(query, self.path, self.allowed | statements.FILES if self.files else self.allowed, bound)

    def _answer(self, query: str, params: Params, most_bytes: int | None = None) -> pa.Table:
        connection, clock = self._connection, Clock(self.seconds, self.interrupt)
        try:
            with self._turn, clock.running():  # a connection refuses a query while another one runs
                return self._rows(connection, query, params, most_bytes)
        except StoreError as error:
            if clock.rang:
                raise self._late() from error
            raise

    def _rows(
        self, connection: duckdb.DuckDBPyConnection, query: str, params: Params, most_bytes: int | None
    ) -> pa.Table:
        try:
            rows = _relation(connection, query, params)
            if rows is None:
                return _empty()
            table = rows.to_arrow_table() if most_bytes is None else self._gathered(rows, most_bytes)
            return table.rename_columns(names_apart(table.column_names))
        except duckdb.Error as error:
            raise self._failed(error) from error
        except RuntimeError as error:
            if str(error) == _SIGNALLED:
                raise KeyboardInterrupt from error
            raise

    def stream(
        self, query: str, params: Params = (), *, rows: int = 100_000, first: str | None = None
    ) -> pa.RecordBatchReader:
        """Return the rows of `query` in batches of `rows`, for results that outgrow memory; raises StoreError.

        `first` is a statement of our own as for `scratch`, whose temporary things this query alone sees. The
        time that DuckDB takes for all of them counts for the atlas's limit: past it the next batch is a LimitError.
        """
        import pyarrow as pa

        self._check(query, params)
        try:
            # A cursor of its own, so that other queries may run before the last batch is read.
            cursor = self._connection.cursor()
            self._streams.append(cursor)
            if first is not None:
                cursor.execute(first)
            made = self._told(_batches(cursor, query, params, rows))
            batches = within(self.seconds, cursor.interrupt, made, self._late)
            return _apart(pa.RecordBatchReader.from_batches(next(batches), batches))
        except duckdb.Error as error:
            raise self._failed(error) from error

    def _told(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Yield batches; what DuckDB complains of on the way comes out of Arrow and becomes StoreError."""
        import pyarrow as pa

        try:
            yield from batches
        except (pa.ArrowException, OSError, duckdb.Error) as error:
            raise self._failed(error) from error

    def _late(self) -> LimitError:
        return LimitError(f"The query of {self.path} was stopped after {self.seconds:g} s, its limit.")

    def query(self, query: str, params: Params = ()) -> Result:
        """Return the rows of `query` as a Result; raises StoreError."""
        return Result(self.sql(query, params), query, params)

    def info(self) -> dict[str, str]:
        """Return what the file says of itself: format, schema, storage_version, created_by, views."""
        rows = self.sql("FROM atlas_info UNION ALL SELECT 'schema', version_num FROM schema_version").to_pylist()
        return {row["key"]: row["value"] for row in rows}

    @property
    def catalog(self) -> str:
        """The name by which SQL knows the file."""
        return str(self.one("SELECT current_catalog()"))

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
        if lacks_memory(error):
            return LimitError(
                f"The query of {self.path} needs more memory than its limit ({first_line(str(error))}); "
                "ask for less, or raise the memory limit."
            )
        if is_damage(error) and isinstance(error, duckdb.Error):
            return translate(error, self.path)
        return self._refused(error) or StoreError(f"The query of {self.path} failed: {whole_message(str(error))}")

    def _refused(self, error: Exception) -> StoreError | None:
        """Return what to say where the disk, or a limit that was set, refused a query."""
        if any(words in str(error) for words in _NOT_WRITTEN):  # the file, or what was spilled
            return StoreError(
                f"{self.path} cannot be written: {first_line(str(error))}; make room, what was committed before stays."
            )
        if _NO_TEXT in str(error):
            return StoreError(f"What {self.path} is asked for holds bytes that are no text; write it in UTF-8.")
        if _FILES_ARE_SHUT in str(error):
            return LimitError(
                f"The query of {self.path} may not touch other files ({first_line(str(error))}); allow it to only if "
                "you trust it."
            )
        return None


def _batches(cursor: duckdb.DuckDBPyConnection, query: str, params: Params, rows: int) -> Iterator[Any]:
    """Yield the schema of a query's rows, then these in batches of `rows`."""
    found = _relation(cursor, query, params)
    reader = _empty().to_reader() if found is None else found.to_arrow_reader(rows)
    yield reader.schema
    yield from reader


def _apart(reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """Return `reader` with a name of its own for every column."""
    import pyarrow as pa

    names = names_apart(reader.schema.names)
    if names == reader.schema.names:
        return reader
    target = pa.schema([field.with_name(name) for field, name in zip(reader.schema, names, strict=True)])
    return pa.RecordBatchReader.from_batches(target, (batch.rename_columns(names) for batch in reader))


def interrupt_all() -> None:
    """Stop the queries of every open atlas of this process, from another thread."""
    for opened in list(_OPEN):
        opened.interrupt()


def _relation(connection: duckdb.DuckDBPyConnection, query: str, params: Params) -> duckdb.DuckDBPyRelation | None:
    """Return what `query` yields, None for a text without a statement."""
    bound = (
        {name: _plain(value) for name, value in params.items()}
        if isinstance(params, Mapping)
        else [_plain(value) for value in params]
    )
    return connection.sql(query, params=bound) if bound else connection.sql(query)


def _plain(value: Any) -> object:
    """Return what Python has of a value of numpy or pandas, alone or in a list: DuckDB takes none of their numbers."""
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.tolist() if hasattr(value, "tolist") else value


def _empty() -> pa.Table:
    import pyarrow as pa

    return pa.table({})
