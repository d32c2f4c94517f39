"""Definitions ask for a share of the answer's probability, and may ask for what the model knows."""

from alembic import op

revision = "0004"
down_revision = "0003"

STATEMENTS = (
    "ALTER TABLE definition ADD COLUMN least DOUBLE",
    "ALTER TABLE definition ADD COLUMN known BOOLEAN DEFAULT false",
    "ALTER TABLE definition ALTER COLUMN known SET NOT NULL",
    "ALTER TABLE definition ALTER COLUMN known DROP DEFAULT",
    "UPDATE definition SET least = 0 WHERE definition NOT IN ('default', 'strict')",
)


def upgrade() -> None:
    """Add the columns; `default` and `strict` take the scorer's own share, all others ask for none."""
    for statement in STATEMENTS:
        op.execute(statement)
