"""Reading an export back: the rows of its Parquet files go into an atlas as those of a merged one do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from atlas import outputs, schema
from atlas.errors import StoreError
from atlas.store.connection import Limits
from atlas.store.transfer import manifest
from atlas.store.transfer.manifest import File, Manifest
from atlas.store.transfer.uniting import Union, United, target
from atlas.store.writer import Writer


def import_parquet(folder: Path, into: Path) -> United:
    """Add to the atlas `into`, made if missing, the rows of the export in `folder` that it does not hold.

    Raises StoreError for a folder that is no Parquet export of this schema, a file that is not what the export wrote,
    rows that disagree with those of the atlas, and rows that an atlas cannot hold; nothing is added then.
    """
    found = manifest.read(folder)
    _check(found, folder)
    with target(into, Limits()) as writer, _attached(writer, found, folder) as catalog:
        return Union(writer, catalog, str(folder)).run()


def _check(found: Manifest, folder: Path) -> None:
    if found.format != "parquet":
        raise StoreError(f"{folder} is an export as {found.format}, which loses types; export it as parquet to import.")
    version = found.atlas.get("schema")
    if version != f"{schema.VERSION:04d}":
        raise StoreError(
            f"{folder} was exported from schema {version} and this version has {schema.VERSION}; "
            "run `atlas upgrade` on its atlas and export it again, or upgrade this package if it is the older one."
        )
    if not any(file.table in schema.TABLES for file in found.files):
        raise StoreError(f"{folder} holds no table, and views are made from tables: export these to import them.")
    for file in found.files:
        _check_file(folder / file.path, file)


def _check_file(path: Path, file: File) -> None:
    if not path.is_file() or outputs.digest_of(path) != file.sha256:
        raise StoreError(f"{path} is missing or not what was exported; export it again.")
    if file.table in schema.TABLES and _rows(path) != file.rows:
        raise StoreError(f"{path} has another number of rows than {manifest.NAME} says; export it again.")


def _rows(path: Path) -> int:
    with _readable(path):
        return int(pq.read_metadata(path).num_rows)


@contextmanager
def _attached(writer: Writer, found: Manifest, folder: Path) -> Iterator[str]:
    """Let SQL see the export's rows, carried by Arrow, under the name that is yielded."""
    with writer.attached() as catalog:
        for table in schema.TABLES.values():
            spelled = ", ".join(f'"{c.name}" {c.type}{"" if c.nullable else " NOT NULL"}' for c in table.columns)
            writer.scratch(f"CREATE TABLE {catalog}.{table.name} ({spelled})")
        for file in found.files:
            if file.table in schema.TABLES:
                _carry(writer, f"{catalog}.{file.table}", folder / file.path)
        yield catalog


def _carry(writer: Writer, table: str, path: Path) -> None:
    """Add the rows of a Parquet file to a table; raises StoreError for rows that are not the table's."""
    with _readable(path), pq.ParquetFile(path) as file:
        names = schema.TABLES[table.partition(".")[2]].columns
        if set(file.schema_arrow.names) != {column.name for column in names}:
            raise StoreError(f"{path} has other columns than table {table.partition('.')[2]}; export it again.")
        batches = pa.RecordBatchReader.from_batches(file.schema_arrow, file.iter_batches())
        writer.take(table, batches)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{path} is no Parquet file that can be read ({error}); export it again.") from error
