"""Where facts come from, how sources spell languages, and which templates are asked for."""

from alembic import op

revision = "0011"
down_revision = "0010"

STEPS = (
    "CREATE TABLE language_spelling (language VARCHAR NOT NULL, spelling VARCHAR NOT NULL)",
    "CREATE TABLE dataset (dataset BIGINT NOT NULL, name VARCHAR NOT NULL, source VARCHAR NOT NULL, revision VARCHAR)",
    "ALTER TABLE template ADD COLUMN kind VARCHAR DEFAULT 'stated'",
    "ALTER TABLE template ALTER COLUMN kind SET NOT NULL",
    "ALTER TABLE template ALTER COLUMN kind DROP DEFAULT",
)


def upgrade() -> None:
    """Make the tables and the column; all templates so far are sentences of their source."""
    for step in STEPS:
        op.execute(step)
