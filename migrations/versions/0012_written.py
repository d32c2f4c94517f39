"""What a causal model writes after an edit."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the columns; edits of before were not asked to write."""
    for column, kind in (("written", "VARCHAR"), ("says_new", "BOOLEAN")):
        op.execute(f"ALTER TABLE edit_outcome ADD COLUMN {column} {kind}")
