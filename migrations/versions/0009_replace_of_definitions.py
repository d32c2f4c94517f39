"""Definitions say which knock-outs they read."""

from alembic import op

revision = "0009"
down_revision = "0008"

STATEMENTS = (
    "ALTER TABLE definition ADD COLUMN replace VARCHAR DEFAULT 'zero'",
    "ALTER TABLE definition ALTER COLUMN replace SET NOT NULL",
    "ALTER TABLE definition ALTER COLUMN replace DROP DEFAULT",
)


def upgrade() -> None:
    """Add the column; what was there reads what was set to zero."""
    for statement in STATEMENTS:
        op.execute(statement)
