"""Facts and prompts as Arrow tables of the dictionary's schemas."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import pyarrow as pa

from atlas import schema
from atlas.facts import Fact, FactSet, Prompt, Template
from atlas.ids import stable_id
from atlas.matching import language_name

Named = TypeVar("Named", Fact, Template, Prompt)

_RIGHT_TO_LEFT = {"ar", "arc", "ckb", "dv", "fa", "he", "ku", "ps", "sd", "ug", "ur", "yi"}


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
    codes = {t.language for t in facts.templates}.union(*(f.labels for f in facts.facts))
    rows = ((code, language_name(code), code.partition("-")[0] in _RIGHT_TO_LEFT) for code in sorted(codes))
    return table("language", rows)


def _spellings(facts: FactSet) -> list[tuple[str, str]]:
    return [(code, spelling) for code, found in facts.spellings.items() for spelling in found]


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


def model_row(info: Mapping[str, object], identity: int) -> pa.Table:
    """Return the table model with the one row that `info` gives by column."""
    target = schema.arrow("model")
    return pa.Table.from_pylist([{**info, "model": identity}], schema=target)
