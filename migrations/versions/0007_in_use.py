"""Which run and which definition are meant where none is named."""

from alembic import op

revision = "0007"
down_revision = "0006"

STATEMENTS = (
    "CREATE TABLE in_use (run BIGINT, definition VARCHAR NOT NULL)",
    "INSERT INTO in_use VALUES (NULL, 'default')",
)


def upgrade() -> None:
    """Add the table with its one row: the newest run, the definition `default`."""
    for statement in STATEMENTS:
        op.execute(statement)
