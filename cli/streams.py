"""The three standard streams: there from the start, so that no file is opened in their place."""

import os
import sys
from io import TextIOWrapper

_STDIN, _STDOUT, _STDERR = range(3)


def open_all() -> None:
    """Open the descriptors 0 to 2 that are closed: stdin is empty, writing to stdout fails, stderr goes nowhere."""
    for number in (_STDIN, _STDOUT, _STDERR):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is taken, which is this one.
            os.open(os.devnull, os.O_WRONLY if number == _STDERR else os.O_RDONLY)
    if sys.stdin is None:
        sys.stdin = open(_STDIN, encoding="utf-8", closefd=False)  # noqa: SIM115  # for as long as the process lasts
    if sys.stdout is None:
        sys.stdout = open(_STDOUT, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # for as long as the process lasts
    if sys.stderr is None:
        sys.stderr = open(_STDERR, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # for as long as the process lasts
    for stream in (sys.stdin, sys.stdout):  # rows are UTF-8 in any locale, and so are words beside them
        if isinstance(stream, TextIOWrapper) and not (stream is sys.stdin and stream.isatty()):
            stream.reconfigure(encoding="utf-8")
