"""How much a benchmark measures, and on what."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from atlas.attribution import Settings, attribute
from atlas.facts import Prompt
from atlas.models import LanguageModel
from benchmarks.clock import timed
from benchmarks.models import mbert_size, real_prompts, word_tokenizer

Scores = NDArray[np.floating]
Side = Callable[[Sequence[Prompt]], list[Scores]]


@dataclass(frozen=True)
class Job:
    """Where to measure; prompts of a batch, prompts given to every side of a comparison; the ratios alone or all."""

    device: torch.device
    prompts: int
    shared_prompts: int
    quick: bool

    @classmethod
    def of(cls, *, quick: bool) -> "Job":
        """Return the job for this machine."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return cls(device, 10 if quick else 100, 2 if quick else 10, quick)


def mbert(
    job: Job, count: int, *, single: bool = False, dtype: torch.dtype = torch.float32
) -> tuple[LanguageModel, list[Prompt]]:
    """Return a model of mBERT's size and `count` prompts; `single` keeps those whose answer is one token."""
    prompts = real_prompts(400, ("en", "es", "fr", "ru"))
    model = mbert_size(word_tokenizer([p.before + p.answer + p.after for p in prompts]), dtype=dtype)
    model.model.to(job.device)
    fitting = [p for p in prompts if not single or len(model.steps(p)) == 1]
    return model, fitting[:: max(1, len(fitting) // count)][:count]


def atlas_side(model: LanguageModel, settings: Settings) -> Side:
    """Return the atlas as a side of a comparison."""
    return lambda prompts: [scores(result.scores) for result in attribute(model, prompts, settings)]


def each(run: Callable[[LanguageModel, Prompt], Scores], model: LanguageModel) -> Side:
    """Return a side that knows one prompt at a time."""
    return lambda prompts: [run(model, prompt) for prompt in prompts]


def alternate(
    sides: Mapping[str, Side], groups: Sequence[Sequence[Prompt]], together: Collection[str] = ()
) -> dict[str, tuple[float, list[Scores]]]:
    """Give every group of prompts to each side in turn, to those `together` all groups' each time.

    Returns each side's seconds a prompt, the mean over all turns, and its scores.
    """
    whole = [prompt for group in groups for prompt in group]
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    found: dict[str, list[Scores]] = {name: [] for name in sides}
    for group in groups:
        for name, side in sides.items():
            spent, answers = timed(partial(side, whole if name in together else group), repeats=1)
            seconds[name].append(spent)
            found[name] += answers
    return {name: (sum(seconds[name]) / len(found[name]), found[name]) for name in sides}


def error(found: Sequence[Scores], exact: Sequence[Scores]) -> float:
    """Return the largest difference of a score over the largest score, the mean over prompts."""
    return float(np.mean([np.abs(a - b).max() / np.abs(b).max() for a, b in zip(found, exact, strict=True)]))


def scores(found: Scores | None) -> Scores:
    """Return the scores of a prompt that has some."""
    assert found is not None
    return found
