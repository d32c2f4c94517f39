"""Whether each of an answer's tokens is the model's own choice, and which prompts a mean was taken over."""

from alembic import op

revision = "0013"
down_revision = "0012"

KNOWN = """
UPDATE probe SET argmax = rank = 1 WHERE rank > 1 OR json_array_length(tokens) = 1
"""
"""Of several tokens the first alone has a rank: where it is not the first choice, the answer is none."""


def upgrade() -> None:
    """Add the columns; the first is filled where what is stored says it."""
    op.execute("ALTER TABLE probe ADD COLUMN argmax BOOLEAN")
    op.execute("ALTER TABLE knockout ADD COLUMN pool BIGINT")
    op.execute(KNOWN)
