"""Running a plan on this machine: compute batch by batch, load several in one transaction."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import takewhile
from time import monotonic
from typing import Generic, TypeVar

from atlas.engine.batches import BrokenOffError, pausing
from atlas.facts import Prompt
from atlas.running.progress import Progress
from atlas.running.stopping import Stop

LOAD_PROMPTS = 256
"""Once so many prompts wait, they are loaded in one transaction."""
LOAD_SECONDS = 5.0
"""Results older than this are loaded too: what a crash costs at most, beside the batch at hand."""

Batch = Sequence[Prompt]
"""Prompts that are computed and loaded together."""

R = TypeVar("R")
Compute = Callable[[Sequence[Prompt]], Sequence[R]]
Load = Callable[[Sequence[R]], None]


@dataclass
class Basket(Generic[R]):
    """Results of whole batches that wait to be loaded together."""

    load: Load[R]
    results: list[R] = field(default_factory=list)
    prompts: int = 0
    since: float = field(default_factory=monotonic)

    def add(self, results: Sequence[R], prompts: int) -> None:
        """Take the results of a batch of `prompts`; load what waits if it is much or old."""
        self.results.extend(results)
        self.prompts += prompts
        if self.prompts >= LOAD_PROMPTS or monotonic() - self.since >= LOAD_SECONDS:
            self.empty()

    def empty(self) -> None:
        """Load what waits."""
        # Taken out first: what could not be loaded must not be tried again on the way out.
        results, self.results, self.prompts, self.since = self.results, [], 0, monotonic()
        if results:
            self.load(results)


def work(batches: Iterable[Batch], compute: Compute[R], load: Load[R], progress: Progress, stop: Stop) -> None:
    """Compute `batches` in order and load what comes out, until all are done or `stop` is requested.

    A batch is loaded whole or not at all, and what was computed before an error is loaded before it rises;
    the error gains a note that names the fact and language. The batch at hand is left when `stop` is overdue.
    """
    basket = Basket(load)
    try:
        with suppress(BrokenOffError), pausing(stop.check):
            for batch in takewhile(lambda _: not stop.requested, batches):
                with placed(batch):
                    results = compute(batch)
                basket.add(results, len(batch))
                progress.advance(len(batch))
    finally:
        basket.empty()


def packed(groups: Iterable[Batch], size: int) -> Iterator[Batch]:
    """Yield groups of prompts put together: as few whole ones as make `size` prompts or more."""
    pack: list[Prompt] = []
    for group in groups:
        pack += group
        if len(pack) >= size:
            yield pack
            pack = []
    if pack:
        yield pack


@contextmanager
def placed(batch: Batch) -> Iterator[None]:
    """Note on an error that rises from within which batch it comes from."""
    try:
        yield
    except Exception as error:
        name = f"{batch[0].fact} in {batch[0].language}"
        error.add_note(f"while computing {len(batch)} prompts, the first of them {name}")
        raise
