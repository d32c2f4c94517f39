"""The prompt of `atlas sql`: statements typed on a terminal, with their history."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from . import diagnostics, interrupts

WELCOME = (
    "Statements end in `;`, Ctrl-D leaves; `select * from likn limit 5;` is a start, `atlas schema` lists the views."
)
_REMEMBERED = 2000
_LEAVING = ("exit", "quit", "\\q", ".exit", ".quit")


def on_terminal() -> bool:
    """True where someone types and reads."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def ask_on(answer: Callable[[str], None]) -> None:
    """Hand each statement that is typed to `answer`, until the end; an error is told and does not end it."""
    diagnostics.talk(WELCOME)
    with _history():
        for statement in statements():
            try:
                answer(statement)
                sys.stdout.flush()
            except Exception as problem:
                diagnostics.explain(problem)


def statements() -> Iterator[str]:
    """Yield what is typed, line by line up to one that ends in `;`."""
    lines: list[str] = []
    while True:
        try:
            line = input("atlas> " if not lines else "   ... ")
        except EOFError:
            print()
            return
        except KeyboardInterrupt:  # forget what was typed
            lines = []
            interrupts.settle()
            print()
            continue
        if not lines and line.strip().rstrip(";").lower() in _LEAVING:
            return
        lines.append(line)
        text = "\n".join(lines).strip()
        if not text or text.endswith(";"):
            lines = []
            if text.strip(";").strip():
                yield text


@contextmanager
def _history() -> Iterator[None]:
    """Let the arrow keys bring back what was typed, in this and in earlier sessions."""
    try:
        import readline

        state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    except (ImportError, RuntimeError):  # not built into every Python, and not every user has a home
        yield
        return
    path = state / "neuron-atlas" / "sql-history"
    with suppress(OSError):
        readline.read_history_file(path)
    readline.set_history_length(_REMEMBERED)
    try:
        yield
    finally:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            readline.write_history_file(path)
