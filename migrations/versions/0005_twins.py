"""Runs of an untrained twin name the run that they stand beside."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns; no run of before is a twin's."""
    op.execute("ALTER TABLE run ADD COLUMN twin_of BIGINT")
    op.execute("ALTER TABLE run ADD COLUMN twin_seed BIGINT")
