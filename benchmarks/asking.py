"""How a causal model is best asked for an object that its sentence does not end in: when it is the model's own choice.

    python -m benchmarks.asking MODEL DATASET --languages en,fr,zh [--facts 1]

`FACTS` facts of every relation, one template a language, each put in every way: the sentence up to its object where it
ends in it (`plain`), or stated with its place open and then asked for (`asked`), after so many other facts of the
relation that are asked and answered in the same way. Facts of one relation share their examples, of other objects.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from atlas.engine.answers import Case, measure, usable
from atlas.facts import Fact, FactSet, Prompt, Template, read
from atlas.facts.selection import in_turn
from atlas.facts.wording import after_examples, question
from atlas.models import load_model
from benchmarks.tables import Cell, Table

SHOWN = (0, 1, 2, 3)
Way = tuple[str, int]
Group = tuple[str, bool, Way]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("dataset")
    parser.add_argument("--languages", default="en")
    parser.add_argument("--facts", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(table(given.model, read(given.dataset, languages=given.languages.split(",")), given.facts).text())


def table(name: str, facts: FactSet, count: int) -> Table:
    """Return the share of prompts whose answer's first token is the model's own choice, by language and way."""
    model = load_model(name, device="cpu")
    put = [(group, prompt) for group, prompt in _prompts(facts, count) if usable(model, [prompt])]
    chosen: dict[Group, list[bool]] = defaultdict(list)
    for (group, _), found in zip(put, measure(model, [Case(prompt) for _, prompt in put]), strict=True):
        chosen[group].append(found.rank == 1)
    ways: list[Way] = [(way, shown) for way in ("plain", "asked") for shown in SHOWN]
    rows: list[list[Cell]] = []
    for language, ends in sorted({group[:2] for group in chosen}):
        own = [chosen.get((language, ends, way), []) for way in ways]
        shares = [sum(each) / len(each) if each else None for each in own]
        rows.append([language, "yes" if ends else "no", max(map(len, own)), *shares])
    heads = ("language", "ends in object", "prompts", *(f"{way} {shown}" for way, shown in ways))
    return Table(f"First token is the model's own choice, {model.info.name}, by examples shown", heads, rows)


def _prompts(facts: FactSet, count: int) -> Iterator[tuple[Group, Prompt]]:
    """Yield prompts in every way, with language, whether the template ends in the object, way and examples."""
    members: dict[str, list[Fact]] = defaultdict(list)
    for fact in in_turn(facts):
        members[fact.relation].append(fact)
    first = {(t.relation, t.language): t for t in reversed(facts.templates) if not t.held_out}
    for template in first.values():
        own = [fact for fact in members[template.relation] if template.language in fact.labels]
        for fact in own[:count]:
            yield from _ways(template, fact, own[count:])


def _ways(template: Template, fact: Fact, others: Sequence[Fact]) -> Iterator[tuple[Group, Prompt]]:
    language, ends = template.language, template.ends_in_object
    other = {o.labels[language].object: o.labels[language] for o in reversed(others) if o.object != fact.object}
    for way, text in (("plain", template.text.strip()), ("asked", question(template.text))):
        for shown in SHOWN if ends or way == "asked" else ():
            filled = after_examples(text, list(other.values())[-shown:] if shown else [])
            yield (language, ends, (way, shown)), Prompt(fact, replace(template, text=filled))


if __name__ == "__main__":
    main()
