"""An estimate of the error of single scores, beside that of their sum; unknown for layers of before."""

from alembic import op

revision = "0003"
down_revision = "0002"

COMMENT = "estimate of the largest error of one score, by how the gradient''s Legendre coefficients fall along the path"


def upgrade() -> None:
    """Add the column."""
    op.execute("ALTER TABLE probe_layer ADD COLUMN score_error DOUBLE")
    op.execute(f"COMMENT ON COLUMN probe_layer.score_error IS '{COMMENT}'")
