"""Orderly stops: the first Ctrl-C (or SIGTERM) asks, the second one ends the process at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


_ORDERLY: list["Stop"] = []


@dataclass
class Stop:
    """Whether the user has asked the job to stop after the batch at hand."""

    requested: bool = False


def is_orderly() -> bool:
    """Return whether a job will stop by itself after the batch at hand, so that its queries are better left alone."""
    return bool(_ORDERLY)


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
            raise KeyboardInterrupt
        stop.requested = True
        announce()

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    _ORDERLY.append(stop)
    try:
        yield stop
    finally:
        _ORDERLY.remove(stop)
        for number, handler in before.items():
            signal.signal(number, handler)
