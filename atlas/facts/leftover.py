"""What reading facts left out, as messages tell it."""

from collections import Counter
from collections.abc import Iterable

from atlas.facts.facts import FactSet, Skip
from atlas.facts.reading import texts

MOST = 3
"""Reasons that an error names."""


def by_reason(skips: Iterable[Skip]) -> list[tuple[str, int, str]]:
    """Return each reason, how many things were left out for it, and where the first was; the commonest first."""
    reasons: Counter[str] = Counter()
    places: dict[str, str] = {}
    for skip in skips:
        reasons[skip.reason] += skip.count
        places.setdefault(skip.reason, skip.where)
    return [(reason, count, places[reason]) for reason, count in reasons.most_common()]


def left_out(facts: FactSet) -> str:
    """Return what was left out as a clause of a sentence, empty if nothing was."""
    found = by_reason(facts.skips)
    told = [f"{count:,} × {reason} (first: {place})" for reason, count, place in found[:MOST]]
    more = f", and for {len(found) - MOST:,} more reasons" if len(found) > MOST else ""
    return f"; left out: {', '.join(told)}{more}" if told else ""


def name(facts: FactSet) -> str:
    """Return what was read as it was asked for, fit to be printed."""
    return texts.printable(facts.dataset or facts.source)
