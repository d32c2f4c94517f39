"""Writing to an atlas: facts, models, runs and batches of scores."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import duckdb
import pyarrow as pa

from atlas import schema
from atlas.errors import StoreError, UsageError
from atlas.ids import stable_id
from atlas.matching import language_code
from atlas.store import docs, statements, views
from atlas.store import rows as made
from atlas.store.atlas import Atlas
from atlas.store.connection import Limits, connect, named, quoted
from atlas.store.run_rows import TABLES as BATCH
from atlas.store.run_rows import RunRows, conformed
from atlas.store.thresholds import checked

if TYPE_CHECKING:
    from atlas.facts import FactSet, Prompt


class Writer(Atlas):
    """An atlas opened for writing by this process alone.

    Loading is idempotent: rows whose key the atlas holds are left as they are, so the same input twice gives
    the same atlas.
    """

    allowed = statements.WRITING
    _stays = False
    _changing = False
    _file: tuple[int, int] | None = None

    @classmethod
    def at(cls, path: Path, limits: Limits, *, new: bool = False) -> Self:
        """Open the atlas at `path` for writing, making it if it is missing; `new` refuses one that is there."""
        if new or not path.exists():
            from atlas.store.migrate import create

            create(path)
        writer = cls(path, connect(path, read_only=False, limits=limits), files=limits.files)
        writer._file = _identity(path)
        if not views.current(writer._connection):
            with writer.transaction():
                views.install(writer._connection)
                docs.describe(writer._connection)
        return writer

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file; raises StoreError if it is not where it was opened any more, so that its rows are lost."""
        gone = self._open is not None and (self._file is None or self._file != _identity(self.path))
        super().__exit__(kind, error, trace)
        if kind is None and gone:
            raise StoreError(
                f"{self.path} was deleted or moved while it was written to; its rows are where it was moved, or lost."
            )

    def load(self, table: str, rows: pa.Table) -> int:
        """Add `rows` to `table` where their key is new, in one transaction; return how many were added.

        Raises StoreError for columns that are not the table's, for a key that `rows` holds twice, and for
        probe, probe_layer and attribution, which go in together through `load_batch`.
        """
        return self._load_all({table: rows})[table]

    def renew(self, table: str, rows: pa.Table) -> None:
        """Put `rows` in the place of those of `table` with their key, or add them, in one transaction."""
        keys = named(*schema.TABLES[table].key)
        with self.transaction():
            with self._registered(rows):
                self.sql(f"DELETE FROM {table} WHERE ({keys}) IN (SELECT ({keys}) FROM incoming)")
            self.load(table, rows)

    def add_facts(self, facts: FactSet) -> dict[str, int]:
        """Add languages, relations, facts, labels and templates; return rows added by table.

        Where two sources name a fact differently in a language, the first one's label stays.
        """
        return self._load_all(made.fact_tables(facts))

    def add_prompts(self, prompts: Iterable[Prompt]) -> int:
        """Add the prompts that a run is going to probe; return how many were new."""
        return self.load("prompt", made.prompt_table(prompts))

    def add_model(self, info: Mapping[str, object]) -> int:
        """Add a model given by the columns of table `model`; return its id, the hash of its digest."""
        model = stable_id("model", info["digest"])
        self.load("model", schema.rows_of("model", [{**info, "model": model}]))
        return model

    def start_run(
        self,
        *,
        model: int,
        method: str,
        settings: Mapping[str, object],
        seed: int,
        versions: Mapping[str, str],
        twin_of: int | None = None,
        twin_seed: int | None = None,
    ) -> int:
        """Add a run, or go on with the same one, with status `running`; return its id.

        The id is stable_id("run", weights digest, method, settings, seed). `settings` holds `floor`. A run of an
        untrained twin names its original and the seed of its weights. Raises StoreError for a model that was not added.
        """
        run = self.run_id(model, method, settings, seed)
        values = (run, model, method, _json(settings), seed, _json(versions), "running", _now(), None)
        if not self.load("run", made.table("run", [(*values, twin_of, twin_seed)])):
            self.sql("UPDATE run SET status = 'running', finished = NULL WHERE run = ?", [run])
        return run

    def run_id(self, model: int, method: str, settings: Mapping[str, object], seed: int) -> int:
        """Return what a run is called, there or not; raises StoreError for a model that was not added."""
        known = self.sql("SELECT digest FROM model WHERE model = ?", [model]).to_pylist()
        if not known:
            raise StoreError(f"{self.path} has no model {model}; add it before its run.")
        return stable_id("run", known[0]["digest"], method, dict(settings), seed)

    def finish_run(self, run: int, status: str = "done") -> None:
        """Set a run's status to `done`, `interrupted` or `failed` and the time it ended."""
        if status not in schema.RUN_STATUSES:
            raise UsageError(f"A run ends as {', '.join(schema.RUN_STATUSES[1:])}, not as {status!r}.")
        self.sql("UPDATE run SET status = ?, finished = ? WHERE run = ?", [status, _now(), run])

    def done_prompts(self, run: int) -> set[int]:
        """Return the prompts that the run has probed, usable or not."""
        return set(self.sql("SELECT prompt FROM probe WHERE run = ?", [run])["prompt"].to_pylist())

    def unfinished_runs(self) -> set[int]:
        """Return the runs that were begun and are not done."""
        return set(self.sql("SELECT run FROM run WHERE status <> 'done'")["run"].to_pylist())

    def lacks_no_prompt(self, run: int) -> bool:
        """Return whether the run has probed every prompt that some run has planned, but those that are held out."""
        query = """
            SELECT 1 FROM prompt JOIN template USING (template)
            WHERE NOT held_out AND prompt NOT IN (SELECT prompt FROM probe WHERE run = ?) LIMIT 1
        """
        return not self.sql(query, [run]).num_rows

    def load_batch(self, tables: Mapping[str, pa.Table]) -> dict[str, int]:
        """Add the tables `probe`, `probe_layer`, `attribution` of one batch in one transaction.

        Prompts that their run has probed already are left out of all three. Tables of
        `atlas.schema.arrow(...)`; a missing one counts as empty. Returns rows added by table. Raises
        StoreError, with nothing added, for scores without a probe and for a key that comes twice.
        Load a fact's prompts together where possible: its rows then lie together, and queries of it are fast.
        """
        batch = RunRows.of(tables)
        if batch is None:
            return dict.fromkeys(BATCH, 0)
        with self.transaction():
            first = self.one("SELECT coalesce(max(place) + 1, 0) FROM probe")
            numbered = batch.missing(self._probed(batch), first)
            return {name: self._insert(name, rows) for name, rows in numbered.items()}

    def define(self, name: str, **thresholds: object) -> None:
        """Add or replace a definition; thresholds not given are those of `default`. Raises UsageError."""
        columns = [column.name for column in schema.TABLES["definition"].columns[1:]]
        if unknown := set(thresholds) - set(columns):
            raise UsageError(f"A definition has no {', '.join(sorted(unknown))}; it has {', '.join(columns)}.")
        row = self.sql("FROM definition WHERE definition = 'default'").to_pylist()[0]
        values = {**row, **checked(thresholds), "definition": name}
        values["tau_by_language"] = [(self._code(code), tau) for code, tau in dict(values["tau_by_language"]).items()]
        self.renew("definition", schema.rows_of("definition", [values]))

    def _code(self, spelling: str) -> str:
        """Return a language's code as the atlas has it, the shortest where it has none."""
        known = self.sql("SELECT language FROM language")["language"].to_pylist()
        same = {language_code(code): code for code in known}
        return spelling if spelling in known else same.get(language_code(spelling), language_code(spelling))

    def keep(self, *, newest: bool = False) -> None:
        """Write down what `use` named, for every client of the file; `newest` takes the run back that was named."""
        there = self.sql("FROM in_use").to_pylist()
        kept: dict[str, object] = there[0] if there else {"run": None, "definition": "default"}
        if newest or self._run is not None:
            kept["run"] = None if self._run is None else self._run.run
        kept["definition"] = self._definition or kept["definition"]
        with self.transaction():
            self.sql("DELETE FROM in_use")
            self.sql("INSERT INTO in_use BY NAME SELECT $run::BIGINT AS run, $definition AS definition", kept)

    def _load_all(self, tables: Mapping[str, pa.Table]) -> dict[str, int]:
        """Load several keyed tables in one transaction."""
        for name in tables:
            if name not in schema.TABLES or name in BATCH:
                raise StoreError(f"Rows cannot be loaded into {name!r} by themselves; see load_batch for scores.")
        ready = {name: conformed(name, rows) for name, rows in tables.items()}
        with self.transaction():
            return {name: self._insert_new(name, rows) for name, rows in ready.items()}

    def _insert_new(self, name: str, rows: pa.Table) -> int:
        """Insert the rows whose key is new; raises StoreError for a key that comes twice."""
        keys = named(*schema.TABLES[name].key)
        with self._registered(rows):
            twice = f"SELECT 1 FROM incoming GROUP BY {keys} HAVING count(*) > 1 LIMIT 1"
            if self.sql(twice).num_rows:
                raise StoreError(f"Rows for table {name} hold the same {keys} twice; nothing was loaded.")
            return self._run_insert(name, f"SELECT * FROM incoming ANTI JOIN {name} USING ({keys})")

    def _insert(self, name: str, rows: pa.Table) -> int:
        with self._registered(rows):
            return self._run_insert(name, "SELECT * FROM incoming")

    def _run_insert(self, name: str, select: str) -> int:
        return int(self.one(f"INSERT INTO {name} BY NAME {select}"))

    def _probed(self, batch: RunRows) -> pa.Array:
        """Return the prompts of the batch that its run has probed already."""
        with self._registered(batch.probe):
            query = "SELECT prompt FROM probe SEMI JOIN incoming USING (prompt) WHERE run = ?"
            done = self.sql(query, [batch.run])
        return done["prompt"].combine_chunks()

    @contextmanager
    def _registered(self, rows: pa.Table | pa.RecordBatchReader) -> Iterator[None]:
        """Let SQL see `rows` as `incoming`."""
        self._connection.register("incoming", rows)
        try:
            yield
        except BaseException:
            with suppress(duckdb.Error):  # of a transaction that is aborted already, for the reason that is under way
                self._connection.unregister("incoming")
            raise
        self._connection.unregister("incoming")

    @contextmanager
    def attached(self, file: str = ":memory:", how: str = "") -> Iterator[str]:
        """Let SQL see a file, or a new catalog in memory, under the name that is yielded."""
        catalog = f"attached_{uuid.uuid4().hex}"
        self.scratch(f"ATTACH {quoted(file)} AS {catalog} {how}")
        try:
            yield catalog
        finally:
            self.scratch(f"DETACH {catalog}")

    def take(self, table: str, rows: pa.RecordBatchReader) -> None:
        """Add all of `rows` to a table that is not of the atlas, as they come; raises StoreError if they do not fit."""
        with self._registered(rows):
            self.scratch(f"INSERT INTO {table} BY NAME FROM incoming")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit at the end, roll back on any exception; inside another one, leave both to that one.

        DuckDB's errors become StoreError.
        """
        if self._changing:
            yield
            return
        self._connection.begin()
        self._changing = True
        try:
            yield
            self._connection.commit()
        except BaseException as error:
            with suppress(duckdb.Error):
                self._connection.rollback()
            if isinstance(error, duckdb.Error):
                raise self._failed(error) from error
            raise
        finally:
            self._changing = False


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells the file at `path` from all others, None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _json(value: Mapping[str, object]) -> str:
    return json.dumps(dict(value), ensure_ascii=False, sort_keys=True)


def _now() -> datetime:
    """Return the time in UTC, without a zone as the columns are."""
    return datetime.now(UTC).replace(tzinfo=None)
