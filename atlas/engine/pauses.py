"""Where long work may be broken off: between parts of a batch, if whoever called it says so. Imports no torch."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class BrokenOffError(Exception):
    """Raised at a pause to leave a batch unfinished."""


def _nothing() -> None:
    return None


_check: ContextVar[Callable[[], None]] = ContextVar("check", default=_nothing)


@contextmanager
def pausing(check: Callable[[], None]) -> Iterator[None]:
    """Call `check` at every pause inside the block; what it raises ends the work."""
    token = _check.set(check)
    try:
        yield
    finally:
        _check.reset(token)


def pause() -> None:
    """Let whoever called the work break it off here; called between parts of some seconds each."""
    _check.get()()
