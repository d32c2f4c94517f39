"""What an edit did: the same prompts before and after (METHOD 5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from atlas.engine.answers import Case, Measured, divergence, measure
from atlas.facts import Prompt
from atlas.models import LanguageModel

MEASURES = ("efficacy", "paraphrase", "transfer", "locality", "neighbour")


@dataclass(frozen=True, slots=True)
class Probe:
    """A prompt of one measure, and the same prompt with the answer that is looked for."""

    measure: str
    prompt: Prompt
    asked: Prompt


@dataclass(frozen=True, slots=True)
class Before:
    """The probes as the unedited model answered them: the answer looked for, and whether the old one led."""

    probes: tuple[Probe, ...]
    asked: tuple[Measured, ...]
    known: tuple[bool, ...]


def look_before(model: LanguageModel, probes: Sequence[Probe]) -> Before:
    """Measure the probes on the unedited model."""
    found = measure(model, [Case(p.asked) for p in probes] + [Case(p.prompt) for p in probes])
    asked, old = found[: len(probes)], found[len(probes) :]
    return Before(tuple(probes), tuple(asked), tuple(m.argmax for m in old))


def look_after(model: LanguageModel, before: Before) -> list[dict[str, Any]]:
    """Measure the probes again and return the columns of `edit_outcome`, all but `edit`."""
    after = measure(model, [Case(probe.asked) for probe in before.probes])
    rows = zip(before.probes, before.asked, after, before.known, strict=True)
    return [_row(model, *row) for row in rows]


def _row(model: LanguageModel, probe: Probe, before: Measured, after: Measured, known: bool) -> dict[str, Any]:
    return {
        "measure": probe.measure,
        "prompt": probe.prompt.id,
        "answer": probe.asked.answer,
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
