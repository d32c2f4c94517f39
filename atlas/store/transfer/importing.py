"""Reading an export back: the rows of its Parquet files go into an atlas as those of a merged one do."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from atlas import schema
from atlas.errors import StoreError
from atlas.store.connection import Limits
from atlas.store.migrate import quoted
from atlas.store.transfer import manifest
from atlas.store.transfer.manifest import Manifest
from atlas.store.transfer.uniting import Union, United
from atlas.store.writer import Writer


def import_parquet(folder: Path, into: Path) -> United:
    """Add to the atlas `into`, made if missing, the rows of the export in `folder` that it does not hold.

    Raises StoreError for a folder that is no Parquet export of this schema, a file that is not what the export wrote,
    and rows that disagree with those of the atlas; nothing is added then.
    """
    found = manifest.read(folder)
    _check(found, folder)
    with Writer.at(into, Limits(files=True)) as writer, _attached(writer, found, folder) as catalog:
        return Union(writer, catalog, str(folder)).run()


def _check(found: Manifest, folder: Path) -> None:
    if found.format != "parquet":
        raise StoreError(f"{folder} is an export as {found.format}, which loses types; export it as parquet to import.")
    version = found.atlas.get("schema")
    if version != f"{schema.VERSION:04d}":
        raise StoreError(
            f"{folder} was exported from schema {version} and this version has {schema.VERSION}; "
            "run `atlas upgrade` on its atlas and export it again."
        )
    if any(char in str(folder.resolve()) for char in "*?["):
        raise StoreError(f"{folder} has one of * ? [ in its path, which DuckDB takes for a pattern; rename the folder.")
    for file in found.files:
        path = folder / file.path
        if not path.is_file() or manifest.checksum(path) != file.sha256:
            raise StoreError(f"{path} is missing or not what was exported; export it again.")


@contextmanager
def _attached(writer: Writer, found: Manifest, folder: Path) -> Iterator[str]:
    """Let SQL see the export's tables under the name that is yielded; tables without a file are empty."""
    catalog = f"source_{uuid.uuid4().hex}"
    writer.scratch(f"ATTACH ':memory:' AS {catalog}")
    try:
        for name in schema.TABLES:
            paths = [quoted(str((folder / file.path).resolve())) for file in found.files if file.table == name]
            rows = f"read_parquet([{', '.join(paths)}])" if paths else f"{name} WHERE false"
            kind = "VIEW" if paths else "TABLE"
            writer.sql(f"CREATE {kind} {catalog}.{name} AS FROM {rows}")
        yield catalog
    finally:
        writer.scratch(f"DETACH {catalog}")
