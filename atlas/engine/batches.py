"""Prompts as batches: their steps, what becomes of those without, what runs together, in how much memory.

And where long work may be broken off: between batches and between parts of one, if whoever called it says so.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from atlas.errors import TokenError
from atlas.facts import Prompt
from atlas.models import LanguageModel, NoSubjectError, NotFinalError, Position, Step, TooLongError

log = logging.getLogger("atlas")

UNUSABLE: dict[type[Exception], str] = {
    TokenError: "unspellable",
    NotFinalError: "not_final",
    TooLongError: "too_long",
    NoSubjectError: "no_subject",
}
"""What makes a prompt unusable (METHOD 1), and the status that says so."""
LEAST_BYTES, MOST_BYTES = 384 << 20, 2 << 30
"""What small and what large models are given where memory is not a GPU's; a process that takes too much is killed."""
ROWS = 128
"""Sequences that run together at most."""
R = TypeVar("R")
T = TypeVar("T")

_check: ContextVar[Callable[[], None] | None] = ContextVar("check", default=None)


class BrokenOffError(Exception):
    """Raised at a pause to leave a batch unfinished."""


@contextmanager
def pausing(check: Callable[[], None]) -> Iterator[None]:
    """Call `check` at every pause inside the block; what it raises ends the work."""
    token = _check.set(check)
    try:
        yield
    finally:
        _check.reset(token)


def pause() -> None:
    """Let whoever called the work break it off here; called between parts of some seconds each."""
    if check := _check.get():
        check()


def steps_of(
    model: LanguageModel, prompts: Iterable[Prompt], at: Position = "query"
) -> tuple[list[list[Step]], dict[int, str]]:
    """Return each prompt's steps, neurons `at` a position, and by place in the list the status of those without."""
    steps: list[list[Step]] = []
    unusable = {}
    for place, prompt in enumerate(prompts):
        try:
            steps.append(model.steps(prompt, at))
        except tuple(UNUSABLE) as error:
            unusable[place] = UNUSABLE[type(error)]
            steps.append([])
    return steps, unusable


def by_shape(items: Iterable[T], step: Callable[[T], Step]) -> Iterator[list[T]]:
    """Yield the items whose steps have one shape, in their order; shortest first, as a prompt's later steps are longer.

    So the results of each prompt's steps come in the order of its steps.
    """
    groups: dict[tuple[int, int], list[T]] = {}
    for item in items:
        groups.setdefault(step(item).shape, []).append(item)
    for shape in sorted(groups):
        yield groups[shape]


def alike(model: LanguageModel, items: Iterable[T], step: Callable[[T], Step]) -> Iterator[list[T]]:
    """Yield the items whose steps can run together, shortest first: of one shape or, in a causal model, of any length
    that are as many tokens from their neurons to the query.
    """
    groups: dict[tuple[int, ...], list[T]] = {}
    for item in sorted(items, key=lambda item: step(item).shape):
        one = step(item)
        groups.setdefault((one.query - one.at,) if model.kind == "causal" else one.shape, []).append(item)
    yield from groups.values()


def fitting(model: LanguageModel, steps: Sequence[Step], budget: int) -> int:
    """Return how many of `steps`, all of one shape, can run forward together in `budget` bytes: one at least."""
    size = budget * model.info.layers // sequence_bytes(model, len(steps[0].ids))
    return min(ROWS, max(1, size), len(steps))


@dataclass(frozen=True, slots=True)
class StepBatch:
    """Steps that run together: `ids` `[step, token]`, `query`, `at` and `target` [step], and the steps they come from.

    They are of one shape but in a causal model, where what follows the query changes nothing, and in a masked one with
    a token for it: there shorter ones are filled up at their end.
    """

    steps: tuple[Step, ...]
    ids: Tensor
    query: Tensor
    at: Tensor
    target: Tensor

    @classmethod
    def of(cls, model: LanguageModel, steps: Sequence[Step]) -> "StepBatch":
        """Put `steps` on the model's device: of any shapes in a causal model or with padding, else of one.

        In a causal model a step goes on as a longer one does that begins with it, as all steps of a prompt do.
        """
        length = max(len(step.ids) for step in steps)
        rows = _continued(steps) if model.kind == "causal" else [step.ids for step in steps]
        fill = [row[-1] if model.padding is None else model.padding for row in rows]
        ids = [[*row, *[token] * (length - len(row))] for row, token in zip(rows, fill, strict=True)]
        columns = (ids, *([getattr(step, name) for step in steps] for name in ("query", "at", "target")))
        return cls(tuple(steps), *(torch.tensor(column, device=model.device) for column in columns))

    def select(self, rows: Tensor) -> "StepBatch":
        """Return the steps at `rows` alone."""
        return StepBatch(
            tuple(self.steps[i] for i in rows.tolist()),
            *(column[rows] for column in (self.ids, self.query, self.at, self.target)),
        )


def _continued(steps: Sequence[Step]) -> list[tuple[int, ...]]:
    """Return the ids of each of `steps`, or of the longest of them that begins with those."""
    longest: dict[tuple[int, ...], tuple[int, ...]] = {}
    lengths = {len(step.ids) for step in steps}
    for step in sorted(steps, key=lambda step: -len(step.ids)):
        for length in lengths:
            longest.setdefault(step.ids[:length], step.ids)
    return [longest[step.ids] for step in steps]


@dataclass
class Budget:
    """Memory for activations in bytes, for a whole job: halved whenever memory is refused, with one warning."""

    bytes: int
    warned: bool = False

    @classmethod
    def of(cls, model: LanguageModel, size: "Budget | int | None" = None) -> "Budget":
        """Return a budget of `size` bytes; by default half of a GPU's memory, elsewhere what the weights take,
        384 MiB at least and 2 GiB at most.

        The larger the weights, the more copies it takes until their products are worth reading them.
        """
        if isinstance(size, Budget):
            return size
        if size is None and model.device.type == "cuda":
            size = torch.cuda.get_device_properties(model.device).total_memory // 2
        weights = sum(parameter.numel() * parameter.itemsize for parameter in model.model.parameters())
        return cls(size or min(max(LEAST_BYTES, weights), MOST_BYTES))

    def through(self, rest: Sequence[T], work: Callable[[Sequence[T], int], Sequence[R]]) -> Iterator[tuple[T, R]]:
        """Yield each of `rest` with its result: `work(rest, bytes)` returns those of as many of the first as fit.

        It is tried again with half of the bytes as long as memory is refused, down to 1/1024 of them.
        """
        least = self.bytes >> 10
        while rest:
            pause()
            try:
                results = work(rest, self.bytes)
            except (torch.OutOfMemoryError, RuntimeError) as error:
                if not _is_memory(error) or self.bytes <= least:
                    raise
                self._halve()
                continue
            yield from zip(rest, results, strict=False)
            rest, least = rest[len(results) :], self.bytes >> 10

    def _halve(self) -> None:
        self.bytes //= 2
        if not self.warned:
            log.warning("Memory was refused; going on with %d MiB of activations, or less.", self.bytes >> 20)
        self.warned = True
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _is_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def sequence_bytes(model: LanguageModel, tokens: int) -> int:
    """Return about how many bytes one sequence keeps for a backward pass through the whole model."""
    info = model.info
    return int(info.layers * tokens * (16 * info.hidden + 5 * info.neurons) * model.dtype.itemsize)


def trace_bytes(model: LanguageModel, tokens: int) -> int:
    """Return about how many bytes a sequence's trace, 6 hidden a token and block, and the scores of ten paths take."""
    info = model.info
    return int(info.layers * (6 * tokens * info.hidden + 24 * info.neurons) * model.dtype.itemsize)
