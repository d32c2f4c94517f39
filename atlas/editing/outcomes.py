"""What an edit did: the same prompts before and after (METHOD 5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from atlas.engine.answers import Case, Measured, divergence, measure
from atlas.facts import Prompt
from atlas.models import LanguageModel

MEASURES = ("efficacy", "paraphrase", "transfer", "locality", "neighbour")


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt of one measure, and the same prompt with the answer that is looked for."""

    measure: str
    prompt: Prompt
    asked: Prompt


@dataclass(frozen=True, slots=True)
class Before:
    """The prompts as the unedited model answered them: the answer looked for, and whether the old one led."""

    questions: tuple[Question, ...]
    asked: tuple[Measured, ...]
    known: tuple[bool, ...]


def look_before(model: LanguageModel, questions: Sequence[Question]) -> Before:
    """Measure the prompts on the unedited model."""
    found = measure(model, [Case(p.asked) for p in questions] + [Case(p.prompt) for p in questions])
    asked, old = found[: len(questions)], found[len(questions) :]
    return Before(tuple(questions), tuple(asked), tuple(m.argmax for m in old))


def look_after(model: LanguageModel, before: Before) -> list[dict[str, Any]]:
    """Measure the prompts again and return the columns of `edit_outcome`, all but `edit`."""
    after = measure(model, [Case(question.asked) for question in before.questions])
    rows = zip(before.questions, before.asked, after, before.known, strict=True)
    return [_row(model, *row) for row in rows]


def _row(model: LanguageModel, question: Question, before: Measured, after: Measured, known: bool) -> dict[str, Any]:
    return {
        "measure": question.measure,
        "prompt": question.prompt.id,
        "answer": question.asked.answer,
        "known": known,
        "probability_before": before.probability,
        "probability_after": after.probability,
        "rank_before": before.rank,
        "rank_after": after.rank,
        "argmax_before": before.argmax,
        "argmax_after": after.argmax,
        "same_argmax": before.best == after.best,
        "kl": max(0.0, divergence(model, before.features, after.features)),
    }
