"""What a causal model goes on to write, one most probable token after the other."""

from collections.abc import Iterator, Sequence
from operator import itemgetter

import torch

from atlas.engine.batches import by_shape
from atlas.errors import UsageError
from atlas.facts import Prompt
from atlas.models import LanguageModel, Step

TOGETHER = 32
"""Prompts of one length that are written on together."""


def check_writes(model: LanguageModel) -> None:
    """Raise UsageError for a model that does not write from left to right."""
    if model.kind != "causal":
        raise UsageError(
            f"Model {model.info.name!r} is of kind {model.kind}, and --generate needs a causal one; leave it out."
        )


def write(model: LanguageModel, prompts: Sequence[Prompt], tokens: int) -> list[str]:
    """Return the text of the `tokens` that a causal model writes in the object's place, greedily, for every prompt."""
    steps = [(place, model.steps(prompt)[0]) for place, prompt in enumerate(prompts)]
    texts = {
        place: text
        for group in by_shape(steps, itemgetter(1))
        for start in range(0, len(group), TOGETHER)
        for place, text in _written(model, group[start : start + TOGETHER], tokens)
    }
    return [texts[place] for place in range(len(prompts))]


def _written(model: LanguageModel, group: Sequence[tuple[int, Step]], tokens: int) -> Iterator[tuple[int, str]]:
    ids = torch.tensor([step.ids for _, step in group], device=model.device)
    with torch.no_grad():
        found = model.model.generate(  # type: ignore[operator]
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, do_sample=False, num_beams=1,
            pad_token_id=model.tokenizer.eos_token_id,
        )  # fmt: skip
    for (place, _), row in zip(group, found[:, ids.shape[1] :], strict=True):
        yield place, model.tokenizer.decode(row, skip_special_tokens=True)
