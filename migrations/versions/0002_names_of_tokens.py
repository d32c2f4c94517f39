"""Tokens have their names beside their text, and those that the vocabulary does not know are counted."""

from alembic import op

revision = "0002"
down_revision = "0001"

COLUMNS = ("probe.prediction_text VARCHAR", "probe.unknown_tokens INTEGER", "neuron_token.text VARCHAR")


def upgrade() -> None:
    """Add the columns; what was stored before has none of their values."""
    for column in COLUMNS:
        table, _, rest = column.partition(".")
        op.execute(f"ALTER TABLE {table} ADD COLUMN {rest}")
