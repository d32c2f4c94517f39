"""Running a plan on this machine: compute batch by batch, load several in one transaction."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Generic, TypeVar

from atlas.facts import Prompt
from atlas.jobs.plan import Batch
from atlas.jobs.progress import Progress
from atlas.jobs.stopping import Stop

LOAD_PROMPTS = 256
"""Once so many prompts wait, they are loaded in one transaction."""
LOAD_SECONDS = 5.0
"""Results older than this are loaded too: what a crash costs at most, beside the batch at hand."""

R = TypeVar("R")
Compute = Callable[[Sequence[Prompt]], Sequence[R]]
Load = Callable[[Sequence[R]], None]


@dataclass
class _Basket(Generic[R]):
    """Results of whole batches that wait to be loaded together."""

    load: Load[R]
    results: list[R] = field(default_factory=list)
    since: float = field(default_factory=monotonic)

    def add(self, results: Sequence[R]) -> None:
        self.results.extend(results)
        if len(self.results) >= LOAD_PROMPTS or monotonic() - self.since >= LOAD_SECONDS:
            self.empty()

    def empty(self) -> None:
        # Taken out first: what could not be loaded must not be tried again on the way out.
        results, self.results, self.since = self.results, [], monotonic()
        if results:
            self.load(results)


def work(batches: Iterable[Batch], compute: Compute[R], load: Load[R], progress: Progress, stop: Stop) -> None:
    """Compute `batches` in order and load what comes out, until all are done or `stop` is requested.

    A batch is loaded whole or not at all, and what was computed before an error is loaded before it rises;
    the error gains a note that names the fact and language.
    """
    basket = _Basket(load)
    try:
        for batch in batches:
            if stop.requested:
                break
            basket.add(_computed(batch, compute))
            progress.advance(len(batch))
    finally:
        basket.empty()


def _computed(batch: Batch, compute: Compute[R]) -> Sequence[R]:
    try:
        return compute(batch)
    except Exception as error:
        fact = batch[0].fact
        name = f"<{fact.subject}, {fact.relation}, {fact.object}> in {batch[0].language}"
        error.add_note(f"while computing {len(batch)} prompts, the first of them {name}")
        raise
