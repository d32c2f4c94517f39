"""`atlas upgrade`: bring an older atlas to this version's schema."""

from ..options import DEFAULT_DB, Db


def upgrade(db: Db = DEFAULT_DB) -> None:
    """Bring an older atlas to this version's schema."""
    raise NotImplementedError
