"""Progress of a job on stderr: done/total, rate and time left; a line now and then where stderr is no terminal."""

from math import inf
from threading import Event, Thread
from time import monotonic
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.progress import TimeRemainingColumn as TimeLeftColumn
from rich.text import Text

from atlas.running.progress import Progress as JobProgress

from ..diagnostics import note, talk, urgent, visible, warning

LOG_SECONDS = 30.0
"""How often a job says how far it is where nobody watches a bar."""


def _rate(speed: float) -> str:
    """Return how many things a second, for a reader."""
    return f"{speed:,.1f}/s" if speed >= 1 else f"{speed:.2g}/s"


class _RateColumn(ProgressColumn):
    """Things a second."""

    def render(self, task: Task) -> Text:
        return Text(_rate(task.speed) if task.speed else "")


class TerminalProgress(JobProgress):
    """Shows a job's progress to whoever watches the terminal; see `atlas.running.progress`."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._watched = console.is_terminal
        self._bar = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            _RateColumn(),
            TimeLeftColumn(),
            console=console,
            disable=not self._watched,
            transient=True,
            speed_estimate_period=inf,  # a batch of a large model takes longer than the half minute that rich looks at
        )
        self._task: TaskID | None = None
        self._total = self._done = self._before = 0
        self._things = ""
        self._begun = self._told = monotonic()
        self._warned: set[str] = set()
        self._over: Event | None = None
        self._teller: Thread | None = None

    def step(self, text: str) -> None:
        """Show the step; without a terminal where nothing was told of steps for a while."""
        if self._watched:
            self._bar.console.print(f"{visible(text)} ...", style="dim", markup=False, highlight=False)
        elif monotonic() - self._told >= LOG_SECONDS:
            self._told = monotonic()
            talk(f"{text} ...")

    def chose(self, what: str) -> None:
        """Say on a line that stays what was chosen."""
        note(what)

    def start(self, total: int, done: int, things: str) -> None:
        """Show a bar, in place of the one before."""
        self._stop_telling()
        self._total, self._done, self._things = total, done, things
        self._begun = monotonic()
        self._before = done
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(things, total=total, completed=done)
        self._bar.advance(self._task, 0)  # the first batch is timed from here
        self._bar.start()
        if not self._watched:
            self._over = Event()
            self._teller = Thread(target=self._tell, args=(self._over,), daemon=True)
            self._teller.start()

    def advance(self, count: int) -> None:
        """Move the bar."""
        self._done += count
        if self._task is not None:
            self._bar.advance(self._task, count)

    def _tell(self, over: Event) -> None:
        """Say now and then how far the job is, in the midst of a batch too, until it is `over`."""
        while not over.wait(LOG_SECONDS):
            talk(self._line())

    def _stop_telling(self) -> None:
        if self._over is not None and self._teller is not None:
            self._over.set()
            self._teller.join()
        self._over = self._teller = None

    def _line(self) -> str:
        """Return how far the job is, for a log."""
        rate = (self._done - self._before) / max(monotonic() - self._begun, 1e-9)
        left = f", {(self._total - self._done) / rate / 60:,.0f} min left" if rate else ""
        return f"{self._done:,} of {self._total:,} {self._things}, {_rate(rate)}{left}"

    def warn(self, text: str) -> None:
        """Write a warning line, once for each text."""
        if text not in self._warned:
            warning(text)
        self._warned.add(text)

    def stopping(self) -> None:
        """Tell that the first Ctrl-C was heard, from inside the signal handler."""
        urgent("stopping after this batch; press Ctrl-C again to stop at once")

    def finish(self) -> None:
        """Take the bar away."""
        self._stop_telling()
        self._bar.stop()


class PageProgress:
    """Shows how many pages of a report there are so far, on a line that is taken away at the end."""

    def __init__(self) -> None:
        self._status = Console(stderr=True).status("reading the atlas ...")

    def __enter__(self) -> Self:
        """Show the line, on a terminal."""
        if self._status.console.is_terminal:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the line away."""
        self._status.stop()

    def step(self, kind: str, pages: int) -> None:
        """Tell of a page that was written."""
        self._status.update(f"writing pages of {kind}: {pages:,}")
