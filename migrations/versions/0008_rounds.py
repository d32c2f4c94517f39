"""Scores of a scorer of several rounds say in which round the neuron came."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column; scores of before came in one round and have none."""
    op.execute("ALTER TABLE attribution ADD COLUMN round UTINYINT")
