"""Ctrl-C and SIGTERM end every command: queries are stopped, and a process that goes on for too long is ended.

Python runs signal handlers between its own instructions, which a query or a computation may keep it from. The number of
a signal is written into a pipe at once, and a thread reads it there.
"""

import os
import signal
import sys
import threading
from contextlib import suppress
from time import monotonic, sleep

from . import diagnostics

SECONDS = 8.0
"""How long a command has to end by itself."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SETTLED = threading.Event()


def watch() -> None:
    """Make both signals raise KeyboardInterrupt, stop what queries run, and end the process if it does not end."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    threading.Thread(target=_wait, args=(read,), daemon=True).start()


def settle() -> None:
    """Let the process go on after a Ctrl-C that was answered."""
    _SETTLED.set()


def _wait(read: int) -> None:
    while not _ends(_signal(read)):
        _SETTLED.clear()
    remove_spill()
    diagnostics.give_up("interrupted; what was computed and not stored is lost, the same command goes on where it was")


def _signal(read: int) -> int:
    """Return the next signal that asks for the end."""
    while (number := os.read(read, 1)[0]) not in _SIGNALS:
        pass
    return number


def _ends(number: int) -> bool:
    """Stop what queries run until the time is up; return False for a Ctrl-C that was answered before."""
    end = monotonic() + SECONDS
    while monotonic() < end:
        if number == signal.SIGINT and _SETTLED.is_set():
            return False
        _interrupt()
        sleep(0.1)
    return True


def _interrupt() -> None:
    # Looked up, not imported: the main thread may be within an import.
    stopping, reader = sys.modules.get("atlas.running.stopping"), sys.modules.get("atlas.store.reader")
    if reader is not None and not (stopping is not None and stopping.is_orderly()):
        with suppress(Exception):  # of an atlas that is opened or closed meanwhile; it comes again
            reader.interrupt_all()


def remove_spill() -> None:
    """Remove what queries have spilled, if any ran."""
    connection = sys.modules.get("atlas.store.connection")
    if connection is not None:
        connection.remove_spill()
