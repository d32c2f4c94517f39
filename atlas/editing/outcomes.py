"""What an edit did: the same prompts before and after (METHOD 5)."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import torch
from transformers import GenerationConfig

from atlas.engine.answers import Case, Measured, divergence, measure
from atlas.engine.batches import Budget
from atlas.errors import UsageError
from atlas.facts import Prompt
from atlas.models import LanguageModel
from atlas.models.hooks import default_dtype

TOGETHER = 32
"""Prompts that are written on together."""
WRITTEN = ("efficacy", "locality", "neighbour")
"""Measures of whose prompts a causal model may be let go on: where the new object should appear, and where not."""


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt of one measure, the same with the answer that is looked for, and the new object's names, casefolded."""

    measure: str
    prompt: Prompt
    asked: Prompt
    new: frozenset[str] = frozenset()


def outcomes(
    model: LanguageModel,
    questions: Sequence[Question],
    change: AbstractContextManager[Any],
    budget: Budget,
    tokens: int = 0,
) -> tuple[list[dict[str, Any]], list[Measured]]:
    """Measure the questions as the model is and within `change`; with `tokens`, let it write that many more.

    Returns the columns of `edit_outcome` but `edit`, and what the model said within the change.
    """
    asked = [Case(question.asked) for question in questions]
    found = measure(model, asked + [Case(question.prompt) for question in questions], budget=budget)
    before, old = found[: len(asked)], found[len(asked) :]
    with change:
        after = measure(model, asked, budget=budget)
        texts = _texts(model, questions, tokens)
        rows = zip(questions, before, after, old, texts, strict=True)
        return [_row(model, question, then, now, one.argmax, text) for question, then, now, one, text in rows], after


def retained(
    model: LanguageModel, asked: Sequence[tuple[Question, Measured, bool]], budget: Budget
) -> list[dict[str, Any]]:
    """Ask edited prompts once more, after later edits: rows of the measure `retention`.

    `asked` are the questions with what the model said right after the edit, which is what was before, and whether it
    knew the old answer.
    """
    now = measure(model, [Case(question.asked) for question, _, _ in asked], budget=budget)
    return [
        _row(model, replace(question, measure="retention"), then, after, known)
        for (question, then, known), after in zip(asked, now, strict=True)
    ]


def _texts(model: LanguageModel, questions: Sequence[Question], tokens: int) -> list[str | None]:
    """Return what the model writes after the prompts of `WRITTEN`, None for others."""
    places = [i for i, question in enumerate(questions) if tokens and question.measure in WRITTEN]
    texts: list[str | None] = [None] * len(questions)
    for place, text in zip(places, write(model, [questions[i].prompt for i in places], tokens), strict=True):
        texts[place] = text
    return texts


def _row(
    model: LanguageModel, question: Question, before: Measured, after: Measured, known: bool, written: str | None = None
) -> dict[str, Any]:
    return {
        "measure": question.measure,
        "prompt": question.prompt.id,
        "answer": question.asked.answer,
        "known": known,
        **before.beside(after),
        "same_argmax": before.best == after.best,
        "kl": max(0.0, divergence(model, before.features, after.features)),
        "written": written,
        "says_new": None if written is None else any(name in written.casefold() for name in question.new),
    }


def check_writes(model: LanguageModel) -> None:
    """Raise UsageError for a model that does not write from left to right."""
    if model.kind != "causal":
        raise UsageError(
            f"Model {model.info.name!r} is of kind {model.kind}, and --generate needs a causal one; leave it out."
        )


def write(model: LanguageModel, prompts: Sequence[Prompt], tokens: int) -> list[str]:
    """Return the text of the `tokens` that a causal model writes in the object's place, greedily, for every prompt."""
    sequences = [model.steps(prompt)[0].ids for prompt in prompts]
    texts: dict[int, str] = {}
    # In float64 what no token sees is NaN in Bloom, whose softmax is in float32.
    for places in _together([len(own) for own in sequences], padded=model.dtype != torch.float64):
        texts |= zip(places, _written(model, [sequences[place] for place in places], tokens), strict=True)
    return [texts[place] for place in range(len(prompts))]


def _together(lengths: Sequence[int], *, padded: bool) -> Iterator[list[int]]:
    """Yield the places of sequences that are written on together, shortest first; not `padded` ones of one length."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    for _, group in groupby(order, lambda place: padded or lengths[place]):
        places = list(group)
        yield from (places[start : start + TOGETHER] for start in range(0, len(places), TOGETHER))


def _written(model: LanguageModel, sequences: Sequence[Sequence[int]], tokens: int) -> list[str]:
    """Return what follows each of `sequences` of any lengths; before the shorter ones stands what no token sees."""
    longest = max(map(len, sequences))
    ids = torch.tensor([[0] * (longest - len(own)) + list(own) for own in sequences], device=model.device)
    seen = torch.tensor([[0] * (longest - len(own)) + [1] * len(own) for own in sequences], device=model.device)
    constants = default_dtype(model.dtype) if model.family.constants else nullcontext()
    with torch.no_grad(), constants, _plainly(model.model):
        found = model.model.generate(  # type: ignore[operator]
            ids, attention_mask=seen, max_new_tokens=tokens, do_sample=False, num_beams=1,
            pad_token_id=model.tokenizer.eos_token_id,
        )  # fmt: skip
    return [model.tokenizer.decode(row, skip_special_tokens=True) for row in found[:, longest:]]


@contextmanager
def _plainly(network: Any) -> Iterator[None]:
    """Let a model write what is most probable, whatever its folder says of penalties and of tokens to leave out."""
    own = network.generation_config
    network.generation_config = GenerationConfig(eos_token_id=own.eos_token_id)
    try:
        yield
    finally:
        network.generation_config = own
