"""The content of an atlas, to be compared."""

import atlas
from atlas import schema

TABLES = ("fact", "fact_label", "template", "prompt", "model", "probe", "probe_layer", "attribution")


def content(path):
    """Return every row of the tables that a build fills, without what differs between files of one content."""
    with atlas.open(path) as opened:
        return {table: _rows(opened, table) for table in TABLES}


def _rows(opened, table):
    names = ", ".join(f'"{column.name}"' for column in schema.TABLES[table].content)
    return opened.sql(f"SELECT {names} FROM {table} ORDER BY ALL").to_pylist()
