"""`atlas doctor`: is everything in order?"""

from ..options import DEFAULT_DB, Db


def doctor(db: Db = DEFAULT_DB) -> None:
    """Check the installation and the atlas."""
    raise NotImplementedError
