"""Few facts, and the bundled models loaded once."""

import pytest
from quick import first_quick

from atlas.facts import FactSet
from atlas.facts.bundled import load
from atlas.models import LanguageModel, load_model

NAMES = ("demo-mbert", "demo-mgpt")


@pytest.fixture(scope="session")
def few_facts() -> FactSet:
    """The facts of Sweden and Norway: five relations, ten facts, some answers of two words."""
    facts = load()
    return FactSet(facts.source, facts.facts[35:45], facts.templates, facts.relation_names)


@pytest.fixture(scope="session", params=first_quick(*NAMES))
def demo(request: pytest.FixtureRequest) -> LanguageModel:
    return load_model(request.param, device="cpu")
