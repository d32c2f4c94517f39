"""All checks of one model, in order."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from atlas.doctor import scores, weights
from atlas.doctor.outcome import Outcome
from atlas.doctor.throughout import unrounded
from atlas.errors import DataError, ModelError, TokenError
from atlas.facts import Prompt
from atlas.models import LanguageModel, Step

FEW = 6
"""A model of more layers is checked in its first, middle and last."""


def conformance(model: LanguageModel, prompts: Sequence[Prompt], *, save: bool = True) -> Iterator[Outcome]:
    """Yield what each check found; the model is left as it was.

    Of `prompts` the first with a one-token answer and the first with a longer one are used, with baselines of two of
    their words. `save` writes the model to a temporary folder and reads it back. Raises DataError if no prompt can be
    used.
    """
    single, several = _steps(model, prompts)
    steps, layers = [*single, *several], _layers(model)
    checks = [
        partial(weights.written, model, layers),
        partial(scores.logits, model, steps[-1]),
        partial(scores.replayed, model, steps[-1], layers),
        *(partial(scores.scored, model, single, layers, "one-token", method) for method in ("kn", "amig") if single),
        *(
            partial(scores.scored, model, several, layers, "multi-token", method)
            for method in ("kn", "amig")
            if several
        ),
        partial(scores.complete, model, steps[0], layers),
        partial(scores.cut, model, steps[0], layers),
        partial(weights.intervened, model, steps[0], layers),
    ]
    for check in checks:
        with unrounded(model):
            outcome = check()
        yield outcome
    yield weights.edited_and_undone(model, steps[0], layers)
    if save:
        yield weights.saved(model)


def _layers(model: LanguageModel) -> list[int]:
    count = model.info.layers
    return list(range(count)) if count <= FEW else [0, count // 2, count - 1]


def _steps(model: LanguageModel, prompts: Sequence[Prompt]) -> tuple[list[Step], list[Step]]:
    """Return the step of the first prompt of one token and two of the first of more, with two words each."""
    single: list[Step] = []
    several: list[Step] = []
    for prompt in prompts:
        try:
            steps = [replace(step, words=step.words[:2]) for step in model.steps(prompt)]
        except (ModelError, TokenError):
            continue
        if len(steps) == 1:
            single = single or steps
        else:
            several = several or steps[:2]
        if single and several:
            break
    if not single and not several:
        raise DataError(f"None of {len(prompts)} prompts can be used with {model.info.name!r}; give others.")
    return single, several
