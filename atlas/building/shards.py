"""Rows of a batch as Parquet files in a folder that all machines see, whole or not there at all.

A shard is a folder of three files under `run-<run>`, named by its prompts: the same batch always has the same place.
`probe.parquet` is written last and says how many rows the others hold; pages carry checksums.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from atlas.building.computing import Tables
from atlas.errors import StoreError, UsageError
from atlas.ids import stable_id

if TYPE_CHECKING:
    import pyarrow as pa

_LAST = "probe"
_OTHERS = ("attribution", "probe_layer")


class DamagedShardError(StoreError):
    """A shard that was cut off or changed after it was written."""


@dataclass(frozen=True)
class Store:
    """The shards of one run under `url`, as fsspec spells folders: a path, s3://bucket/folder, ..."""

    url: str
    run: int

    def write(self, tables: Tables) -> str:
        """Write a batch's rows and return the shard's name; raises StoreError."""
        import pyarrow.parquet as pq

        name = f"{stable_id('shard', sorted(tables[_LAST]['prompt'].to_pylist())):019d}"
        rows = {f"rows.{other}": str(tables[other].num_rows) for other in _OTHERS}
        last = tables[_LAST].replace_schema_metadata(rows)
        files, root = self._files()
        try:
            files.makedirs(f"{root}/{name}", exist_ok=True)
            for each, table in (*((other, tables[other]) for other in _OTHERS), (_LAST, last)):
                with files.open(f"{root}/{name}/{each}.parquet", "wb") as file:
                    pq.write_table(table, file, compression="zstd", write_page_checksum=True)
        except OSError as error:
            raise StoreError(
                f"A shard cannot be written to {self.url}: {error}; choose another --shards-to."
            ) from error
        return name

    def read(self, name: str) -> Tables:
        """Return the rows of a shard; raises DamagedShardError."""
        files, root = self._files()
        last = self._table(files, f"{root}/{name}/{_LAST}.parquet")
        tables = {_LAST: last} | {other: self._table(files, f"{root}/{name}/{other}.parquet") for other in _OTHERS}
        counts = last.schema.metadata or {}
        for other in _OTHERS:
            if counts.get(f"rows.{other}".encode()) != str(tables[other].num_rows).encode():
                raise DamagedShardError(f"Shard {self.url}/{name} is damaged: its files are not of one batch.")
        return tables

    def names(self) -> Iterator[str]:
        """Yield the names of the shards that are there and complete."""
        files, root = self._files()
        files.invalidate_cache()
        for path in sorted(files.glob(f"{root}/*/{_LAST}.parquet")):
            yield str(path).split("/")[-2]

    def prompts(self, name: str) -> set[int]:
        """Return the prompts of a shard; raises DamagedShardError."""
        files, root = self._files()
        return set(self._table(files, f"{root}/{name}/{_LAST}.parquet")["prompt"].to_pylist())

    def _table(self, files: Any, path: str) -> "pa.Table":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with files.open(path, "rb") as file:
                table = pq.read_table(file, page_checksum_verification=True)
        except (OSError, EOFError, pa.ArrowException) as error:
            raise DamagedShardError(f"Shard file {path} is damaged: {str(error).splitlines()[0]}.") from error
        if set(table["run"].to_pylist()) - {self.run}:
            raise DamagedShardError(f"Shard file {path} is damaged: it holds another run's rows.")
        return table

    def _files(self) -> tuple[Any, str]:
        """Return the file system of the URL and the run's folder on it; raises UsageError for one that is unknown."""
        from fsspec.core import url_to_fs

        try:
            files, root = url_to_fs(self.url)
        except (ValueError, ImportError) as error:
            raise UsageError(f"--shards-to cannot be {self.url!r}: {error}.") from error
        return files, f"{root.rstrip('/')}/run-{self.run}"
