"""Stopping a query when its time is up."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

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
