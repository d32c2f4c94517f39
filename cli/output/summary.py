"""The last lines of `atlas build` and `atlas import`."""

import json as json_module
import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from atlas.errors import counted
from atlas.ids import neuron_name
from atlas.schema import USABLE_STATUSES

from .. import diagnostics

if TYPE_CHECKING:
    from atlas.building.found import Found
    from atlas.building.summary import Summary
    from atlas.facts import Skip

_SHOWN = 6
"""Neurons of a fact that are shown."""


def show(summary: "Summary", *, json: bool, more: Mapping[str, object] | None = None) -> None:
    """Print what a build did, and where the rows are; `more` are further values of the JSON object."""
    if json:
        print(json_module.dumps(_values(summary) | dict(more or {}), ensure_ascii=False, indent=2))
        return
    for line in _lines(summary):
        print(diagnostics.visible(line))


def show_skips(skips: Iterable["Skip"]) -> None:
    """Print what reading the facts left out, by reason."""
    for line in _skip_lines(skips):
        print(diagnostics.visible(line))


def united_line(number: int) -> str:
    """Say how many facts were there under other keys."""
    return f"United {counted(number, 'fact')} with those of the atlas that are called the same in several languages."


def marked_line(number: int) -> str:
    """Say how many templates the atlas marks otherwise."""
    return (
        f"Kept {counted(number, 'template')} held out or not as the atlas has them; the data set marks them otherwise."
    )


def renamed_line(number: int) -> str:
    """Say how many labels the atlas has otherwise."""
    return f"Kept {counted(number, 'label')} of the atlas where the data set has another; prompts take them."


def _lines(summary: "Summary") -> Iterator[str]:
    db = shlex.quote(str(summary.atlas))
    part = f" of shard {summary.shard}" if summary.shard.of > 1 else ""
    yield (
        f"Attributed {summary.attributed:,} of {counted(summary.total, 'prompt')}{part} with {summary.model} "
        f"({summary.method}) in {summary.seconds:.1f} s; {summary.before:,} were there already."
    )
    if summary.statuses["not_converged"]:
        yield f"  {summary.statuses['not_converged']:,} of them did not converge to the tolerance."
    yield f"Skipped {counted(sum(summary.skipped.values()), 'prompt')}{':' if summary.skipped else '.'}"
    for reason, count in summary.skipped.items():
        yield f"  {count:,}: {reason}"
    yield f"Held out {counted(summary.held_out, 'prompt')} of templates kept for paraphrase tests."
    if summary.united:
        yield united_line(summary.united)
    if summary.renamed:
        yield renamed_line(summary.renamed)
    if summary.marked:
        yield marked_line(summary.marked)
    yield from _skip_lines(summary.skips)
    yield from _found_lines(summary.found, whole=not summary.interrupted and summary.shard.of == 1)
    if summary.twin:
        yield _twin_line(summary.twin)
    yield f"The atlas is {summary.atlas} (run {summary.run}). Next:"
    if summary.shard.of > 1:
        yield f"  atlas merge {db} ... --into all.duckdb"
        return
    yield " ".join(["  atlas neurons", *_example(summary), f"--db {db}"])
    yield f"  atlas report --db {db} --out site"


def _twin_line(twin: "Summary") -> str:
    """Say what the untrained twin's languages share, or that it was asked where there is nothing to share."""
    found, made = twin.found, f"(run {twin.run}, {twin.seconds:.1f} s)"
    if not found.shareable:
        return f"Its untrained twin was asked the same {made}."
    return (
        f"In its untrained twin {counted(found.likn, 'such neuron')} in {found.facts_with_likn:,} of "
        f"{counted(found.shareable, 'fact')} {made}."
    )


def _chance(found: "Found") -> str:
    """Say how much of what is shared is left where each language has another fact."""
    if not found.exchangeable:
        return "What chance would give is not known: relations have too few facts to exchange them."
    return (
        f"  {counted(found.observed, 'neuron')} shared in {counted(found.exchangeable, 'fact')}; "
        f"{found.exchanged:,.1f} where every language has another fact of the relation."
    )


def _example(summary: "Summary") -> list[str]:
    """Return the object of a fact with shared neurons, as a shell takes it; nothing if there is none."""
    return [shlex.quote(each.name[2]) for each in summary.found.examples[:1]]


def _found_lines(found: "Found", *, whole: bool) -> Iterator[str]:
    """Say what the model knows, what its languages share, how much of that is chance, and show some of it."""
    if found.known:
        shares = ", ".join(f"{language} {share:.0%}" for language, share in found.known.items())
        yield f"The answer is the model's own choice in this share of the prompts: {shares}."
    if not found.shareable:
        if whole:
            yield "No fact has usable prompts in two languages, so there is nothing that languages could share."
        return
    yield (
        f"Found {counted(found.likn, 'language-independent neuron')} (LIKN) in {found.facts_with_likn:,} of "
        f"{counted(found.shareable, 'fact')}."
    )
    yield f"  {found.likn_across_scripts:,} of them in languages that share no token of the fact's names."
    if found.exchanged is not None:
        yield _chance(found)
    for example in found.examples:
        neurons = " ".join(neuron_name(*neuron) for neuron in example.neurons[:_SHOWN])
        more = f" and {len(example.neurons) - _SHOWN:,} more" if len(example.neurons) > _SHOWN else ""
        yield f"  <{', '.join(example.name)}> in {example.languages} languages: {neurons}{more}"


def _skip_lines(skips: Iterable["Skip"]) -> Iterator[str]:
    from atlas.facts.leftover import by_reason

    reasons = by_reason(skips)
    if reasons:
        yield f"Left out {counted(sum(count for _, count, _ in reasons), 'thing')} while reading the facts:"
    for reason, count, place in reasons:
        yield f"  {count:,}: {reason} (first: {place})"


def _values(summary: "Summary") -> dict[str, object]:
    return {
        "atlas": str(summary.atlas),
        "run": str(summary.run),
        "model": summary.model,
        "method": summary.method,
        "shard": str(summary.shard),
        "prompts": summary.total,
        "already_done": summary.before,
        "attributed": summary.attributed,
        "not_converged": summary.statuses["not_converged"],
        "skipped": {name: count for name, count in summary.statuses.items() if name not in USABLE_STATUSES},
        "left": summary.left,
        "held_out": summary.held_out,
        "united_facts": summary.united,
        "kept_labels": summary.renamed,
        "kept_templates": summary.marked,
        "left_out": [{"where": s.where, "reason": s.reason, "count": s.count} for s in summary.skips],
        "facts": summary.found.facts,
        "facts_in_several_languages": summary.found.shareable,
        "facts_with_likn": summary.found.facts_with_likn,
        "likn": summary.found.likn,
        "likn_across_scripts": summary.found.likn_across_scripts,
        "exchangeable_facts": summary.found.exchangeable,
        "likn_of_exchangeable_facts": summary.found.observed,
        "likn_of_exchanged_facts": summary.found.exchanged,
        "known": summary.found.known,
        "interrupted": summary.interrupted,
        "seconds": round(summary.seconds, 3),
        "twin": _values(summary.twin) if summary.twin else None,
    }
