"""Facts and prompts as Arrow tables of the dictionary's schemas."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

import pyarrow as pa

from atlas import schema
from atlas.facts import Fact, FactSet, Prompt, Template
from atlas.ids import stable_id
from atlas.matching import language_name

Named = TypeVar("Named", Fact, Template, Prompt)

_RIGHT_TO_LEFT = {
    "acm", "apc", "ar", "arc", "arq", "ary", "arz", "azb", "bal", "bqi", "ckb", "dv", "fa", "glk", "he", "khw", "ks",
    "lah", "lki", "lrc", "mzn", "nqo", "pnb", "prs", "ps", "sd", "sdh", "skr", "syr", "ug", "ur", "yi",
}  # fmt: skip
_SCRIPTS = {"Adlm", "Arab", "Aran", "Hebr", "Mand", "Nkoo", "Rohg", "Samr", "Syrc", "Thaa"}
"""Scripts that are written from right to left, as the second part of a code names them."""


def fact_tables(facts: FactSet) -> dict[str, pa.Table]:
    """Return the tables of `facts`: what they are, are called and are asked by, and where they come from."""
    return {
        "language": _languages(facts),
        "language_spelling": table("language_spelling", _spellings(facts)),
        "dataset": table("dataset", _dataset(facts)),
        "relation": _relations(facts),
        "fact": table("fact", ((f.id, f.relation, f.subject, f.object) for f in _unique(facts.facts))),
        "fact_label": _labels(facts.facts),
        "template": _templates(facts),
    }


def _templates(facts: FactSet) -> pa.Table:
    return table(
        "template",
        (
            (t.id, t.relation, t.language, t.text, t.held_out, t.ends_in_object, t.kind)
            for t in _unique(facts.templates)
        ),
    )


def prompt_table(prompts: Iterable[Prompt]) -> pa.Table:
    """Return the table prompt."""
    return table(
        "prompt",
        ((p.id, p.fact.id, p.language, p.template.id, p.text, p.answer) for p in _unique(prompts)),
    )


def table(name: str, rows: Iterable[Sequence[object]]) -> pa.Table:
    """Return `rows`, values in the order of the dictionary's columns, as an Arrow table."""
    target = schema.arrow(name)
    columns = list(zip(*rows, strict=True)) or [()] * len(target)
    return pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, target, strict=True)], schema=target
    )


def _unique(things: Iterable[Named]) -> Iterable[Named]:
    """Return each id's first thing."""
    first: dict[int, Named] = {}
    for thing in things:
        first.setdefault(thing.id, thing)
    return first.values()


def _languages(facts: FactSet) -> pa.Table:
    return table("language", ((code, language_name(code), _is_right_to_left(code)) for code in sorted(_codes(facts))))


def _codes(facts: FactSet) -> set[str]:
    return {t.language for t in facts.templates}.union(*(f.labels for f in facts.facts))


def _is_right_to_left(code: str) -> bool:
    """Return how a language is written: as the script says that its code names, else as the language is by itself."""
    language, *parts = code.split("-")
    scripts = [part.title() for part in parts if len(part) == 4 and part.isalpha()]
    return scripts[0] in _SCRIPTS if scripts else language in _RIGHT_TO_LEFT


def _spellings(facts: FactSet) -> list[tuple[str, str]]:
    taken = _codes(facts)
    return [(code, spelling) for code, found in facts.spellings.items() if code in taken for spelling in found]


def _dataset(facts: FactSet) -> list[tuple[object, ...]]:
    if not facts.dataset:
        return []
    named = (facts.dataset, facts.source, facts.revision)
    return [(stable_id("dataset", *named), *named)]


def _relations(facts: FactSet) -> pa.Table:
    codes = {f.relation for f in facts.facts} | {t.relation for t in facts.templates}
    return table("relation", ((code, facts.relation_names.get(code, code)) for code in sorted(codes)))


def _labels(facts: Sequence[Fact]) -> pa.Table:
    first: dict[tuple[int, str], tuple[str, str]] = {}
    for fact in facts:
        for language, label in fact.labels.items():
            first.setdefault((fact.id, language), (label.subject, label.object))
    return table("fact_label", ((*key, *label) for key, label in first.items()))
