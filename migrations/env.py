"""Alembic's environment: runs the migrations on the connection that `atlas.store.migrate` hands over."""

from alembic import context
from alembic.ddl.impl import DefaultImpl

from atlas.store.metadata import VERSION_TABLE, metadata


class DuckDBImpl(DefaultImpl):
    """Names the dialect to Alembic, which has no implementation of its own for it."""

    __dialect__ = "duckdb"


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
