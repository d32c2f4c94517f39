"""Stopping a query when its time is up."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")

_GRACE = 5.0
"""Seconds that a query has to notice an interrupt; some functions never look."""


@dataclass
class Clock:
    """Calls `interrupt` once `seconds` (None for no end) have passed, and `give_up` if that did not help."""

    seconds: float | None
    interrupt: Callable[[], None]
    give_up: Callable[[], None] | None = None
    rang: bool = False
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the time run while the block does."""
        if self.seconds is not None:
            threading.Thread(target=self._watch, daemon=True).start()
        try:
            yield
        finally:
            self._over.set()

    def _watch(self) -> None:
        if self._over.wait(self.seconds):
            return
        self.rang = True
        for _ in range(int(_GRACE * 10)):
            # More than once: one that comes between two statements is forgotten.
            self.interrupt()
            if self._over.wait(0.1):
                return
        if self.give_up is not None:
            self.give_up()


def within(
    seconds: float | None, interrupt: Callable[[], None], made: Iterator[T], late: Callable[[], Exception]
) -> Iterator[T]:
    """Yield what is `made`; raises `late()` once making it took more than `seconds` (None for no end) all together."""
    left, clock = seconds, Clock(None, interrupt)
    try:
        while True:
            clock, began = Clock(left, interrupt), time.monotonic()
            with clock.running():
                each = next(made)
            left = None if left is None else max(left - (time.monotonic() - began), 0)
            yield each
    except StopIteration:
        return
    except Exception as error:
        if clock.rang:
            raise late() from error
        raise
