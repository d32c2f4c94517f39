"""A digest of what an atlas holds, equal for equal content in whatever order it was loaded."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from atlas import schema
from atlas.store.connection import named

if TYPE_CHECKING:
    from atlas.store.reader import Reader


def digest(atlas: Reader) -> str:
    """Return the digest of all tables but those of the file itself, without timestamps and columns local to the file.

    Nor is `dataset` in it: equal facts are equal wherever they were read from. Rows are hashed by DuckDB and the
    hashes added up, so neither order nor place matter, but copies do. Comparable between atlases read with the same
    version of DuckDB.
    """
    left_out = (*schema.OF_THE_FILE, "dataset")
    lines = [_line(atlas, table) for table in schema.TABLES.values() if table.name not in left_out]
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=16).hexdigest()


def _line(atlas: Reader, table: schema.Table) -> str:
    columns = named(*(c.name for c in table.content if c.type != "TIMESTAMP"))
    query = f"SELECT count(*) AS n, coalesce(sum(hash({columns})::HUGEINT), 0)::VARCHAR AS total FROM {table.name}"
    row = atlas.sql(query).to_pylist()[0]
    return f"{table.name} {row['n']} {row['total']}"
