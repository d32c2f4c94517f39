"""A tiny model of random weights, and facts enough to edit some and keep others."""

import pytest
from tiny import make_model

from atlas.facts import Fact, FactSet, Label, Template
from atlas.store.stored import Prompts

CAPITALS = {"France": "Paris", "Germany": "Berlin", "Japan": "capital", "States": "yen"}
LANGUAGES = ("en", "fr")


def make_facts() -> FactSet:
    facts = [
        Fact("P36", subject, answer, {code: Label(subject, answer) for code in LANGUAGES})
        for subject, answer in CAPITALS.items()
    ]
    facts += [
        Fact("P38", subject, answer, {code: Label(subject, answer) for code in LANGUAGES})
        for subject, answer in (("France", "currency"), ("Japan", "yen"), ("Germany", "city"), ("York", "lies"))
    ]
    texts = {"P36": ("the capital of [X] is [Y]", "[X] has the capital [Y]"), "P38": ("the currency of [X] is [Y]",)}
    templates = [
        Template(relation, code, text if code == "en" else f"la {text}", held)
        for relation, group in texts.items()
        for code in LANGUAGES
        for text in group
        for held in (False,)
    ]
    templates += [Template("P36", code, "[X] : capital : [Y]", held_out=True) for code in LANGUAGES]
    return FactSet("test", facts, templates)


@pytest.fixture
def facts():
    return make_facts()


@pytest.fixture
def prompts(facts):
    return Prompts(facts)


@pytest.fixture
def model(family):
    return make_model(family, scale=0.2)
