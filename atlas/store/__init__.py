"""The atlas file: opening and locking, tables and migrations, bulk load, views, checks. Never imports torch."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atlas.store.writer import Writer

__all__ = ["Writer"]


def __getattr__(name: str) -> object:
    """Import the writer only when it is asked for."""
    if name == "Writer":
        from atlas.store.writer import Writer

        return Writer
    raise AttributeError(f"module 'atlas.store' has no attribute {name!r}")
