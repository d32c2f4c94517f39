"""All checks of one model, in order."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from atlas.doctor import scores, weights
from atlas.doctor.outcome import Outcome
from atlas.doctor.throughout import unrounded
from atlas.errors import DataError, ModelError, TokenError
from atlas.facts import Prompt
from atlas.models import LanguageModel, Position, Step

FEW = 6
"""A model of more layers is checked in its first, middle and last."""


def conformance(model: LanguageModel, prompts: Sequence[Prompt], *, save: bool = True) -> Iterator[Outcome]:
    """Yield what each check found; the model is left as it was.

    Of `prompts` the first with a one-token answer and the first with a longer one are used, with baselines of two of
    their words; at the subject's last token, too, where the model sees it. `save` writes the model to a temporary
    folder and reads it back. Raises DataError if no prompt can be used.
    """
    single, several = _steps(model, prompts)
    if not single and not several:
        raise DataError(f"None of {len(prompts)} prompts can be used with {model.info.name!r}; give others.")
    steps, layers = [*single, *several], _layers(model)
    checks: list[Callable[[], Outcome]] = [
        partial(weights.written, model, layers),
        partial(scores.logits, model, steps[-1]),
        *_engine(model, single, several, layers),
        partial(weights.intervened, model, steps[0], layers),
    ]
    for check in checks:
        with unrounded(model):
            outcome = check()
        yield outcome
    for check in _engine(model, *_steps(model, prompts, "subject"), layers):
        with unrounded(model):
            outcome = check()
        yield replace(outcome, check=f"{outcome.check}, at the subject")
    yield weights.edited_and_undone(model, steps[0], layers)
    if save:
        yield weights.saved(model)


def _engine(
    model: LanguageModel, single: Sequence[Step], several: Sequence[Step], layers: Sequence[int]
) -> list[Callable[[], Outcome]]:
    """Return the checks of what the engine computes for steps of one-token and longer answers."""
    steps, kinds = [*single, *several], (("one-token", single), ("multi-token", several))
    if not steps:
        return []
    return [
        partial(scores.replayed, model, steps[-1], layers),
        *(
            partial(scores.scored, model, own, layers, kind, method)
            for kind, own in kinds
            for method in ("kn", "amig")
            if own
        ),
        partial(scores.scored_without, model, steps[-1], layers),
        partial(scores.complete, model, steps[0], layers),
        partial(scores.cut, model, steps[0], layers),
    ]


def _layers(model: LanguageModel) -> list[int]:
    count = model.info.layers
    return list(range(count)) if count <= FEW else [0, count // 2, count - 1]


def _steps(model: LanguageModel, prompts: Sequence[Prompt], at: Position = "query") -> tuple[list[Step], list[Step]]:
    """Return the step of the first prompt of one token and two of the first of more, with two words each."""
    single: list[Step] = []
    several: list[Step] = []
    for prompt in prompts:
        try:
            steps = [replace(step, words=step.words[:2]) for step in model.steps(prompt, at)]
        except (ModelError, TokenError):
            continue
        if len(steps) == 1:
            single = single or steps
        else:
            several = several or steps[:2]
        if single and several:
            break
    return single, several
