"""What an edit did: the same prompts before and after (METHOD 5)."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from atlas.engine.answers import Case, Measured, divergence, measure
from atlas.engine.batches import Budget
from atlas.facts import Prompt
from atlas.models import LanguageModel

MEASURES = ("efficacy", "paraphrase", "transfer", "locality", "neighbour")


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt of one measure, and the same prompt with the answer that is looked for."""

    measure: str
    prompt: Prompt
    asked: Prompt


def outcomes(
    model: LanguageModel, questions: Sequence[Question], change: AbstractContextManager[Any], budget: Budget
) -> list[dict[str, Any]]:
    """Measure the questions as the model is and within `change`; return the columns of `edit_outcome` but `edit`."""
    asked = [Case(question.asked) for question in questions]
    found = measure(model, asked + [Case(question.prompt) for question in questions], budget=budget)
    before, old = found[: len(asked)], found[len(asked) :]
    with change:
        after = measure(model, asked, budget=budget)
        rows = zip(questions, before, after, old, strict=True)
        return [_row(model, question, then, now, one.argmax) for question, then, now, one in rows]


def _row(model: LanguageModel, question: Question, before: Measured, after: Measured, known: bool) -> dict[str, Any]:
    return {
        "measure": question.measure,
        "prompt": question.prompt.id,
        "answer": question.asked.answer,
        "known": known,
        **before.beside(after),
        "same_argmax": before.best == after.best,
        "kl": max(0.0, divergence(model, before.features, after.features)),
    }
