"""Write the archived atlas of this version's schema: `python tests/store/make_archive.py`, once for each schema."""

import gzip
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from store.world import SAMPLE, fill

import atlas
from atlas import schema

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "archived.duckdb"
        with atlas.open(path, "w") as writer:
            fill(writer, SAMPLE)
        target = Path(__file__).parent / "archive" / f"schema-{schema.VERSION:04}.duckdb.gz"
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
