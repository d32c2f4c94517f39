"""Queries that anyone may have written: an answer within a time and a size, or an error that names the limit."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from atlas.errors import LimitError, StoreError
from atlas.store.clock import Clock

if TYPE_CHECKING:
    import pyarrow as pa

    from atlas.store.reader import Reader

_SPARE = 512 << 20
_SPARE_THREAD = 16 << 20
"""Bytes beside the query's own, for the interpreter and for each thread."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one query may take: seconds (None for no end) and megabytes, those of the atlas' own memory limit."""

    seconds: float | None
    megabytes: int


def ask(atlas: Reader, query: str, bounds: Bounds, give_up: Callable[[str], None]) -> pa.Table:
    """Return the rows of `query`; raises StoreError where it fails, LimitError past a bound.

    A query that does not stop when it is told to is reported to `give_up`, from another thread: it has to end the
    process. The size bounds the result; DuckDB bounds what it works with, and the operating system the two together.
    """
    late = f"The query of {atlas.path} was stopped after {bounds.seconds or 0:g} s, its time limit; ask for less."
    clock = Clock(bounds.seconds, atlas.interrupt, lambda: give_up(late))
    try:
        with clock.running(), _ceiling(bounds.megabytes << 20):
            return atlas.sql(query, most_bytes=bounds.megabytes << 20)
    except MemoryError:
        raise LimitError(f"The query of {atlas.path} needs more than {bounds.megabytes} MB; ask for less.") from None
    except StoreError as error:
        if clock.rang:
            raise LimitError(late) from error
        raise


@contextmanager
def _ceiling(limit: int) -> Iterator[None]:
    """Let the process grow by twice `limit` bytes (what DuckDB works with, and the result) and what threads need.

    Some functions of SQL allocate past DuckDB's own limit. Linux alone: elsewhere nothing is bounded here.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    import resource

    before, hard = resource.getrlimit(resource.RLIMIT_DATA)
    room = _data_size() + 2 * limit + _SPARE + _SPARE_THREAD * (os.cpu_count() or 1)
    wanted = min([room, *(each for each in (before, hard) if each != resource.RLIM_INFINITY)])
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (before, hard))


def _data_size() -> int:
    """Return the bytes of this process that RLIMIT_DATA counts."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[5]) * os.sysconf("SC_PAGE_SIZE")
