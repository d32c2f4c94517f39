"""A made data set, and its fixtures."""

import pytest

from atlas.facts import Fact, FactSet, Label, Template

LANGUAGES = ("en", "fr", "zh")


def _make_facts(count=3, languages=LANGUAGES, relations=("P36", "P37")):
    """Facts numbered from 0; per relation and language two templates and one held out."""
    facts = [
        Fact(relation, f"s{number}", f"o{number}", {code: Label(f"s{number}-{code}", "o") for code in languages})
        for relation in relations
        for number in range(count)
    ]
    templates = [
        Template(relation, code, f"{text} [X] {code} [Y]", held_out=text == "c")
        for relation in relations
        for code in languages
        for text in "abc"
    ]
    return FactSet("made", facts, templates)


@pytest.fixture(scope="session")
def make_facts():
    return _make_facts


@pytest.fixture
def facts():
    return _make_facts()
