"""What a cut neuron becomes, and what stored neurons are in a language's prompts."""

from alembic import op

revision = "0006"
down_revision = "0005"

STATEMENTS = (
    """
    CREATE TABLE neuron_activation (
        model BIGINT NOT NULL,
        language VARCHAR NOT NULL,
        position VARCHAR NOT NULL,
        layer USMALLINT NOT NULL,
        neuron UINTEGER NOT NULL,
        prompts INTEGER NOT NULL,
        mean FLOAT NOT NULL,
        deviation FLOAT NOT NULL,
        q05 FLOAT NOT NULL,
        q25 FLOAT NOT NULL,
        q50 FLOAT NOT NULL,
        q75 FLOAT NOT NULL,
        q95 FLOAT NOT NULL
    )
    """,
    "ALTER TABLE knockout ADD COLUMN replace VARCHAR DEFAULT 'zero'",
    "ALTER TABLE knockout ALTER COLUMN replace SET NOT NULL",
    "ALTER TABLE knockout ALTER COLUMN replace DROP DEFAULT",
    "ALTER TABLE knockout ADD COLUMN other BIGINT",
    "ALTER TABLE intervention ADD COLUMN replace VARCHAR DEFAULT 'zero'",
    "ALTER TABLE intervention ALTER COLUMN replace SET NOT NULL",
    "ALTER TABLE intervention ALTER COLUMN replace DROP DEFAULT",
)


def upgrade() -> None:
    """Add table and columns; what was cut before became zero."""
    for statement in STATEMENTS:
        op.execute(statement)
