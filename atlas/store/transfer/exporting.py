"""Writing tables and views of an atlas as Parquet, CSV or JSON lines, with a manifest."""

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from atlas import outputs, schema
from atlas.errors import StoreError, UsageError
from atlas.matching import one_of
from atlas.store import naming, structure
from atlas.store.connection import first_line, quoted
from atlas.store.opening import open
from atlas.store.reader import Reader
from atlas.store.runs import run_in_use, stored_run
from atlas.store.transfer.card import CARD, card
from atlas.store.transfer.manifest import NAME, File, Manifest, read, text_checksum

Format = Literal["parquet", "csv", "jsonl"]

TABLES = tuple(name for name in schema.TABLES if name not in schema.OF_THE_FILE)
"""What is exported unless names are given; what `atlas_info` says stands in the manifest."""
BY_RUN = ("probe", "probe_layer", "attribution", "knockout", "intervention", "verdict")
"""Tables that get one file a run."""
_WRITTEN = {"csv": "FORMAT csv, HEADER", "jsonl": "FORMAT json"}


def export(
    db: Path,
    folder: Path,
    format_: Format = "parquet",
    tables: Sequence[str] | None = None,
    *,
    run: int | None = None,
    definition: str = naming.IN_USE,
) -> Manifest:
    """Write `tables`, all tables if None, of the atlas at `db` into `folder`; views may be named too.

    Views answer for `run` and `definition`, or for those in use; tables hold the rows of all runs. The
    folder appears whole or stays as it was. Raises UsageError for an unknown table and for a folder with files that no
    export made, StoreError for an atlas that cannot be read or a disk that cannot be written.
    """
    _check(folder)
    with outputs.whole_folder(folder, "--out") as part:
        with open(db) as opened:
            structure.require_tables(opened, opened.catalog, str(db))
            asked = _asked(opened, run, definition)
            names = _known(opened, tables)
            files = tuple(file for name in names for file in _written(opened, name, part, format_, asked))
            text = card(opened, files)
            versions = {name: version(name) for name in ("neuron-atlas", "duckdb")}
            manifest = Manifest(format_, opened.info(), versions, files, text_checksum(text))
        manifest.write(part)
        (part / CARD).write_bytes(text.encode())
    return manifest


def _made(folder: Path) -> set[Path]:
    """Return the files of the export in a folder; its card only if nobody changed it."""
    found = read(folder)
    own = folder / CARD
    whole = own.is_file() and not own.is_symlink() and outputs.digest_of(own) == found.card
    return {folder / NAME, *(folder / file.path for file in found.files), *([own] if whole else ())}


def _check(folder: Path) -> None:
    """Raise UsageError unless `folder` is new, empty, or holds an export and nothing else."""
    if folder.is_symlink() or not folder.is_dir():
        outputs.check_empty(folder, "--out")
    there = (folder / NAME).is_file()
    made = _made(folder) if there else set()
    folders = {path.parent for path in made}
    for path in folder.rglob("*"):
        if path.is_symlink() or path not in (folders if path.is_dir() else made):
            name = path.relative_to(folder).as_posix()
            raise UsageError(f"{folder} holds {name}, which no export made; name a new or empty folder with --out.")


def _known(opened: Reader, tables: Sequence[str] | None) -> Sequence[str]:
    """Return the names to export, each once; raises UsageError for unknown ones."""
    if tables is None:
        return TABLES
    query = "SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY view_name"
    known = (*TABLES, *opened.sql(query)["view_name"].to_pylist())
    if not tables:
        raise UsageError("--tables names no table; leave it out for all.")
    return tuple(dict.fromkeys(one_of("table or view", name, known, f" in {opened.path}") for name in tables))


def _asked(opened: Reader, run: int | None, definition: str) -> str | None:
    """Return the statement that lets views answer for another run or definition than is in use, None for those."""
    meant = run_in_use(opened) if run is None else stored_run(opened, run=run)
    if meant is None or (run is None and definition == naming.IN_USE):
        return None
    chosen = quoted(naming.definition_of(opened, definition))
    columns = f"SELECT run, model, method, {chosen} AS definition"
    return f"CREATE OR REPLACE TEMP VIEW run_in_use AS {columns} FROM run WHERE run = {meant.run}"


def _written(opened: Reader, name: str, folder: Path, format_: Format, asked: str | None) -> Iterator[File]:
    """Write one table and yield its files: one a run where it is large."""
    if name not in BY_RUN:
        yield _file(opened, name, f"FROM {name}", folder, f"{name}.{format_}", format_, asked)
        return
    for run in opened.sql(f"SELECT DISTINCT run FROM {name} ORDER BY run")["run"].to_pylist():
        rows = f"FROM {name} WHERE run = {int(run)}"
        yield _file(opened, name, rows, folder, f"{name}/run-{run}.{format_}", format_)


def _file(
    opened: Reader, name: str, rows: str, folder: Path, inside: str, format_: Format, asked: str | None = None
) -> File:
    path = folder / inside
    path.parent.mkdir(exist_ok=True)
    count = _carry(opened.stream(rows, first=asked), path, format_)
    return File(inside, name, count, path.stat().st_size, outputs.digest_of(path))


def _carry(rows: pa.RecordBatchReader, path: Path, format_: Format) -> int:
    """Write rows as they come and return how many; only Arrow passes from the atlas to what may write files."""
    try:
        if format_ == "parquet":
            return _parquet(rows, path)
        with duckdb.connect() as own:
            own.register("rows", rows)
            ids = [f'"{name}"::VARCHAR AS "{name}"' for name in rows.schema.names if name in schema.IDS_OF_VIEWS]
            texts = f"REPLACE ({', '.join(ids)})" if ids and format_ == "jsonl" else ""
            done = own.execute(
                f"COPY (SELECT * {texts} FROM rows) TO {quoted(str(path))} ({_WRITTEN[format_]})"
            ).fetchall()
        return int(done[0][0])
    except (pa.ArrowException, duckdb.Error) as error:
        raise StoreError(f"{path.name} cannot be written: {first_line(str(error))}; choose another --out.") from error


def _parquet(rows: pa.RecordBatchReader, path: Path) -> int:
    count = 0
    with pq.ParquetWriter(path, rows.schema, compression="zstd") as file:
        for batch in rows:
            file.write_batch(batch)
            count += batch.num_rows
    return count
