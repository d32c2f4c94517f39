"""SQLAlchemy Core metadata made from the column dictionary; what the migrations must arrive at."""

from sqlalchemy import Column, MetaData, Table
from sqlalchemy.types import UserDefinedType

from atlas import schema

VERSION_TABLE = "schema_version"


class SqlType(UserDefinedType[object]):
    """A column type spelled as DuckDB spells it."""

    cache_ok = True

    def __init__(self, spelling: str) -> None:
        self.spelling = spelling

    def get_col_spec(self, **_: object) -> str:
        """Return the type's spelling in DDL."""
        return self.spelling


def _table(table: schema.Table, metadata: MetaData) -> Table:
    columns = [Column(c.name, SqlType(c.type), nullable=c.nullable, comment=c.meaning) for c in table.columns]
    return Table(table.name, metadata, *columns, comment=table.meaning)


metadata = MetaData()
"""Every table of the atlas, with the dictionary's meanings as comments."""

for _each in schema.TABLES.values():
    _table(_each, metadata)
