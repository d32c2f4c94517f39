"""The only module that writes to stderr: errors, warnings, notes and plain talk.

Every text is treated as untrusted: characters that could steer a terminal are shown as escapes.
"""

import errno
import logging
import os
import sys
import traceback
import unicodedata
import warnings
from contextlib import suppress

from atlas.errors import AtlasError, UsageError, lacks_memory

from .exits import ExitCode

_LOG = logging.getLogger("atlas")
_BIDI = {0x200E, 0x200F, 0x061C, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}


def visible(text: str, keep: str = "") -> str:
    """Return `text` with control characters, those that end lines or change direction too, as escapes, save `keep`."""
    return "".join(char if char in keep or not _steers(char) else _escape(char) for char in text)


def error(message: str, *notes: str) -> None:
    """Write an error line, then a `note:` line for each of `notes`."""
    _write("error", message)
    for text in notes:
        note(text)


def warning(message: str) -> None:
    """Write a warning line."""
    _write("warning", message)


def note(message: str) -> None:
    """Write a `note:` line, which names a remedy or a circumstance."""
    _write("note", message)


def talk(message: str) -> None:
    """Write a plain line, such as a step that begins."""
    _write("", message)


def urgent(message: str) -> None:
    """Write a plain line past Python's buffers: safe inside a signal handler."""
    os.write(2, f"\n{message}\n".encode())


def give_up(message: str) -> None:
    """Write an error line and end the process at once, from whatever thread; the atlas file stays whole."""
    error(message)
    sys.stderr.flush()
    os._exit(ExitCode.FAILED)


def explain(problem: BaseException, *, debug: bool = False) -> ExitCode:
    """Tell what went wrong, with the traceback if `debug`, and return the exit code that fits."""
    if debug:
        _line("".join(traceback.format_exception(problem)).rstrip())
    notes = tuple(getattr(problem, "__notes__", ()))
    if isinstance(problem, AtlasError):
        error(str(problem), *notes)
        return ExitCode.USAGE if isinstance(problem, UsageError) else ExitCode.FAILED
    if isinstance(problem, OSError):
        error(_cause_of(problem), *notes)
        return ExitCode.FAILED
    if lacks_memory(problem):
        error("there is not enough memory; free some, ask for less, or give a smaller --memory", *notes)
        return ExitCode.FAILED
    error(f"unexpected {type(problem).__name__}: {problem}", *notes)
    if not debug:
        note("run again with --debug to see where it happened")
    return ExitCode.FAILED


def show_warnings() -> None:
    """Show warnings of Python, of libraries and of the atlas's log as warning lines, without their source lines."""
    warnings.showwarning = lambda message, *_, **__: warning(str(message))
    if not _LOG.handlers:
        _LOG.addHandler(_Lines(logging.WARNING))


class _Lines(logging.Handler):
    """Shows what is logged as warning lines."""

    def emit(self, record: logging.LogRecord) -> None:
        """Show one."""
        warning(record.getMessage())


def _cause_of(problem: OSError) -> str:
    reason = problem.strerror or str(problem)
    if problem.errno in (errno.EBADF, errno.ENOSPC, errno.EIO) and not problem.filename:
        return f"the output cannot be written: {reason}"
    return f"{problem.filename}: {reason}" if problem.filename else reason


def _write(label: str, message: str) -> None:
    first, *more = visible(message.strip(), keep="\r\n\t").splitlines() or [""]
    _line(f"{label}: {first}" if label else first)
    for text in more:
        _line(f"  {text}")


def _line(text: str) -> None:
    with suppress(OSError):  # a stderr that cannot be written has nowhere to say so
        print(visible(text, keep="\n\t"), file=sys.stderr, flush=True)


def _steers(char: str) -> bool:
    return unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} or ord(char) in _BIDI


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
