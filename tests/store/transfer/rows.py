"""Rows with awkward values for the tables that a build leaves empty."""

from datetime import datetime

import pyarrow as pa

import atlas
from atlas import schema
from atlas.store import integrity
from atlas.store.digest import digest

SCORES = {"probe", "probe_layer", "attribution"}
EXAMPLES = {
    "BIGINT": 7,
    "BOOLEAN": True,
    "DOUBLE": 0.1,
    "FLOAT": 0.1,
    "INTEGER": 3,
    "TIMESTAMP": datetime(2026, 1, 2, 3, 4, 5, 678),
    "UINTEGER": 4_000_000_000,
    "USMALLINT": 2,
    "UTINYINT": 2,
    "VARCHAR": 'a,"b"\n\\ 法国 \u202e',
    "USMALLINT[]": [0, 1],
    "UINTEGER[]": [5, 6],
    "VARCHAR[]": ["en", ""],
    "MAP(VARCHAR, DOUBLE)": {"en": 0.3},
}


def fill_others(writer):
    """Add a row to every table but those of scores, NULL where a column may be."""
    for name in set(schema.TABLES) - SCORES - set(schema.OF_THE_FILE):
        columns = schema.TABLES[name].content
        row = {column.name: None if column.nullable else EXAMPLES[column.type] for column in columns}
        if name == "run":
            row |= {"status": "done", "settings": '{"floor": 0.01}'}
        writer.load(name, pa.Table.from_pylist([row], schema=schema.arrow(name)))


def digest_of(path):
    with atlas.open(path) as opened:
        return digest(opened)


def wrong_scores(path):
    """The checks of probes and scores that find something."""
    with atlas.open(path) as opened:
        names = ("probe", "score", "layer")
        return [r.check.name for r in integrity.run(opened) if not r.ok and any(name in r.check.name for name in names)]


def change(path, *statements):
    with atlas.open(path, "a") as writer:
        for statement in statements:
            writer.sql(statement)
    return path
