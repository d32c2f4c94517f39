"""Orderly stops: the first Ctrl-C (or SIGTERM) asks, the second one ends the process at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from types import FrameType

from atlas.engine.batches import BrokenOffError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


_ORDERLY: list["Stop"] = []
_TAKEN: list["Stop"] = []


GRACE = 2.0
"""Seconds that a batch at hand has to end by itself; after them it is broken off at its next pause."""


@dataclass
class Stop:
    """Whether the user has asked the job to stop after the batch at hand, and when (`time.monotonic`)."""

    requested: bool = False
    since: float = 0.0

    def request(self) -> None:
        """Ask the job to stop."""
        self.requested, self.since = True, monotonic()

    @property
    def overdue(self) -> bool:
        """True if the batch at hand has had its time."""
        return self.requested and monotonic() - self.since >= GRACE

    def check(self) -> None:
        """Raise BrokenOffError if the batch at hand has had its time."""
        if self.overdue:
            raise BrokenOffError


def is_orderly() -> bool:
    """Return whether a job will stop by itself after the batch at hand, so that its queries are better left alone.

    So are those that come after it, which say what was done, if it was the job that the last signal asked.
    """
    return bool(_ORDERLY or _TAKEN)


def go_on() -> None:
    """Raise KeyboardInterrupt where the job before was asked to stop and had nothing left: no other begins then."""
    if _TAKEN:
        raise KeyboardInterrupt


@contextmanager
def orderly_stop(announce: Callable[[], None]) -> Iterator[Stop]:
    """Yield a Stop that the first signal sets, calling `announce`; the second raises KeyboardInterrupt.

    `announce` runs inside the signal handler and must not write to a buffered stream. Outside the main
    thread, where no handler can be set, the Stop stays as it is.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handle(_signal: int, _frame: FrameType | None) -> None:
        if stop.requested:
            _TAKEN.clear()
            raise KeyboardInterrupt
        stop.request()
        _TAKEN[:] = [stop]
        announce()

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    _ORDERLY.append(stop)
    _TAKEN.clear()
    try:
        yield stop
    finally:
        _ORDERLY.remove(stop)
        for number, handler in before.items():
            signal.signal(number, handler)
