"""What a job tells while it runs; the command line shows it, a notebook may, the library never prints."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger("atlas")


class Progress:
    """Receiver of a job's progress, which this one lets pass; `start` says what is counted."""

    def step(self, text: str) -> None:
        """A step has begun, such as loading the model."""

    def chose(self, what: str) -> None:
        """What nobody named was chosen, such as a run."""

    def start(self, total: int, done: int, things: str) -> None:
        """Work begins: `total` things (such as prompts) in all, of which `done` were there before."""

    def advance(self, count: int) -> None:
        """So many more were done."""

    @contextmanager
    def counting(self, total: int, things: str, done: int = 0) -> Iterator[None]:
        """Let work on `total` things, of which `done` were there before, begin and, well or not, end."""
        self.start(total, done, things)
        try:
            yield
        finally:
            self.finish()

    def warn(self, text: str) -> None:
        """Something speaks against what the job stands on; `text` is a sentence with the remedy."""

    def stopping(self) -> None:
        """The user asked to stop; called inside a signal handler."""

    def finish(self) -> None:
        """Work has ended, well or not."""


class LoggedProgress(Progress):
    """Tells the log `atlas` of steps and choices as information, and of doubts as warnings."""

    def step(self, text: str) -> None:
        """A step has begun."""
        log.info(text)

    def chose(self, what: str) -> None:
        """What nobody named was chosen."""
        log.info(what)

    def warn(self, text: str) -> None:
        """Something speaks against what the job stands on."""
        log.warning(text)
