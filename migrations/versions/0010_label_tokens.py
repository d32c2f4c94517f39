"""The tokens of facts' names, by which languages are seen to share a spelling; builds fill in what is missing."""

from alembic import op

revision = "0010"
down_revision = "0009"

TABLE = """
CREATE TABLE label_token (
    model BIGINT NOT NULL,
    fact BIGINT NOT NULL,
    language VARCHAR NOT NULL,
    subject UINTEGER[] NOT NULL,
    object UINTEGER[] NOT NULL,
    scripts VARCHAR[] NOT NULL
)
"""


def upgrade() -> None:
    """Make the table."""
    op.execute(TABLE)
