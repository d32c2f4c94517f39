"""Commands run in forks of one process, which has imported what they need: torch is not loaded once a command.

The process itself computes nothing and opens no atlas, so that it has no threads that a fork would lack.
"""

import json
import os
import select
import signal
import sys
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

GOOD = ("equal", "done", "untouched", "told", "harmless")
"""What may become of a trial."""
NOT_ENDED = 999
"""In place of an exit code: had to be killed."""
_WATCHED = ("store", "building", "evaluation", "checking", "knockouts", "editing", "reports", "running", "outputs.py")
_OURS = {"atlas", "torch", "transformers", "duckdb", "pyarrow", "altair", "alembic", "sqlalchemy", "duckdb_engine"}


def asked(work: Callable[[], Any]) -> Any:
    """Return what `work` returns in a fork, carried over as JSON; raises RuntimeError if it raises."""
    read, write = os.pipe()
    process = os.fork()
    if process == 0:
        _answer(work, write)
    os.close(write)
    with os.fdopen(read) as answers:
        text = answers.read()
    os.waitpid(process, 0)
    answer = json.loads(text or '{"error": "it ended without an answer"}')
    if "error" in answer:
        raise RuntimeError(answer["error"])
    return answer["value"]


def _answer(work: Callable[[], Any], write: int) -> None:
    try:
        text = json.dumps({"value": work()})
    except BaseException:  # told by the process that asked
        text = json.dumps({"error": traceback.format_exc()})
    with os.fdopen(write, "w") as answers:
        answers.write(text)
    os._exit(0)


def started(words: str | list[str], folder: Path, before: Callable[[], None]) -> int:
    """Start a command in `folder` as the installed script does, after `before`; return its process."""
    process = os.fork()
    if process == 0:
        _into(folder)
        sys.argv = ["atlas", *(words.split() if isinstance(words, str) else words)]
        before()
        import_module("atlas.cli.main").run()
    return process


def ran(words: str, folder: Path) -> tuple[int, str]:
    """Run a command in this process, which is a fork; return its exit code and what stood on stderr."""
    _into(folder)
    code = int(import_module("atlas.cli.main").main(words.split()))
    sys.stderr.flush()
    return code, folder.with_name("err").read_text("utf-8")


def _into(folder: Path) -> None:
    """Make `folder` the working one; what is written to stdout and stderr lies beside it."""
    os.chdir(folder)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(folder.with_name(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))  # noqa: SIM115


def ended(process: int, seconds: float) -> int | None:
    """Wait so long for a process of `started`; return its exit code, minus a signal's number, None if it goes on."""
    watched = os.pidfd_open(process)
    try:
        if not select.select([watched], [], [], seconds)[0]:
            return None
    finally:
        os.close(watched)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def killed(process: int, number: signal.Signals | None, seconds: float) -> int:
    """Send a signal after so many seconds, none where `number` is None, and return the exit code."""
    code = ended(process, seconds if number else 60)
    if code is None and number:
        os.kill(process, number)
        code = ended(process, 20)
    if code is None:
        os.kill(process, signal.SIGKILL)
        ended(process, 60)
    return NOT_ENDED if code is None else code


def counted(work: Callable[[], Any]) -> tuple[Any, dict[str, int]]:
    """Return what `work` returns, and how often it came to each line of the code that stores."""
    lines: Counter[str] = Counter()
    _trace(lambda line: lines.update([line]))
    try:
        return work(), dict(lines)
    finally:
        sys.settrace(None)


def kill_at(line: str, time: int, number: signal.Signals) -> None:
    """Let this process get a signal when it comes to a line for the so-manieth time."""
    left = [time]

    def seen(at: str) -> None:
        left[0] -= at == line
        if at == line and left[0] == 0:
            os.kill(os.getpid(), number)

    _trace(seen)


def _trace(seen: Callable[[str], None]) -> None:
    root = str(Path(import_module("atlas").__file__ or "").parent)
    watched = tuple(f"{root}/{name}" for name in _WATCHED)

    def line(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            seen(f"{frame.f_code.co_filename.removeprefix(root)}:{frame.f_lineno}")
        return line

    def call(frame: FrameType, *_: Any) -> Any:
        return line if frame.f_code.co_filename.startswith(watched) else None

    sys.settrace(call)


def modules() -> list[str]:
    """Return what a fork has imported of the larger packages."""
    return [name for name in sys.modules if name.partition(".")[0] in _OURS]


def learn(names: list[str]) -> None:
    """Import what a fork has imported, for those to come."""
    for name in names:
        if name not in sys.modules:
            import_module(name)


class Recorded:
    """What became of the trials, kept in a file of JSON lines if one is named."""

    def __init__(self, path: Path | None) -> None:
        """Read what the file holds, if it is there."""
        self.path = path
        self.trials: dict[tuple[str, int, int], str] = {}
        for line in path.read_text("utf-8").splitlines() if path and path.exists() else ():
            name, seed, number, outcome = json.loads(line)
            self.trials[name, seed, number] = outcome

    def add(self, name: str, seed: int, number: int, outcome: str) -> None:
        """Keep an outcome, and print one that should not be."""
        self.trials[name, seed, number] = outcome
        if outcome not in GOOD:
            print(f"{name}, {number}: {outcome}", flush=True)
        self.keep(name, seed, number, outcome)

    def keep(self, name: str, seed: int, number: int, outcome: str) -> None:
        """Add an outcome to the file."""
        if self.path:
            with self.path.open("a", encoding="utf-8") as file:
                print(json.dumps([name, seed, number, outcome]), file=file)

    def by_command(self) -> Mapping[str, Counter[str]]:
        """Return how often each outcome came, by what was tried."""
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for (name, *_), outcome in self.trials.items():
            counts[name][outcome] += 1
        return counts
