"""`atlas.open`, in a module that refers to nothing of DuckDB's.

`typing` keeps overloaded functions for ever, and with them all that their module refers to; DuckDB would report
itself leaked at exit.
"""

from __future__ import annotations

import os
import threading
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from atlas.errors import UsageError
from atlas.matching import check_whole

if TYPE_CHECKING:
    from atlas.store.atlas import Atlas
    from atlas.store.writer import Writer

TIMEOUT = 600.0
"""Seconds after which a query of an atlas opened for reading is stopped."""
_MOST_THREADS = 1024


@overload
def open(
    path: str | os.PathLike[str],
    mode: Literal["r"] = "r",
    *,
    memory_limit: str | None = None,
    threads: int | None = None,
    allow_files: bool = False,
    timeout: float | None = TIMEOUT,
) -> Atlas: ...


@overload
def open(
    path: str | os.PathLike[str],
    mode: Literal["w", "a"],
    *,
    memory_limit: str | None = None,
    threads: int | None = None,
    allow_files: bool = False,
    timeout: float | None = TIMEOUT,
) -> Writer: ...


def open(
    path: str | os.PathLike[str],
    mode: Literal["r", "w", "a"] = "r",
    *,
    memory_limit: str | None = None,
    threads: int | None = None,
    allow_files: bool = False,
    timeout: float | None = TIMEOUT,
) -> Atlas:
    """Open the atlas at `path`.

    Mode `r` reads one that exists, `a` writes and makes it if missing, `w` makes a new one and refuses
    a path that exists. `memory_limit` is spelled as DuckDB does (`4GB`; 2GB unless given). SQL may touch no
    other file unless `allow_files`. With mode `r` a query is stopped after `timeout` seconds, None for
    never. Raises UsageError for a mode or limits that cannot be, StoreError for a file that is no atlas or an older
    one, VersionError for a newer one, LockedError if another process holds it.
    """
    if mode not in ("r", "w", "a"):
        raise UsageError(f"An atlas is opened with mode 'r', 'w' or 'a', not {mode!r}.")
    check_whole("threads", threads, 1, _MOST_THREADS)
    if timeout is not None and not (isinstance(timeout, Real) and timeout > 0):
        raise UsageError(f"timeout cannot be {timeout!r}: give seconds above 0, or None for never.")
    from atlas.store.connection import Limits, connect

    place = Path(path)
    limits = Limits(memory=memory_limit or Limits().memory, threads=threads, files=allow_files)
    if mode == "r":
        from atlas.store.atlas import Atlas

        seconds = None if timeout is None or timeout > threading.TIMEOUT_MAX else timeout
        return Atlas(place, connect(place, read_only=True, limits=limits), files=allow_files, seconds=seconds)
    from atlas.store.writer import Writer

    return Writer.at(place, limits, new=mode == "w")
