"""The measures themselves, on few facts: laws that hold for any model."""

import pytest

from atlas.demo.measure import Localisation, measure_knowledge, measure_localisation
from atlas.facts import FactSet
from atlas.models import LanguageModel


@pytest.fixture(scope="module")
def found(demo: LanguageModel, few_facts: FactSet) -> Localisation:
    return measure_localisation(demo, few_facts, "kn")


@pytest.mark.slow
def test_measures_of_few_facts_are_shares(found: Localisation) -> None:
    for share in (found.likn_all, found.likn_all_but_one, found.shuffled_all, found.completeness):
        assert 0 <= share <= 1
    assert found.likn_all <= found.likn_all_but_one
    assert found.own > found.other
    assert abs(sum(found.neurons_by_layer) - 1) < 1e-9


@pytest.mark.slow
def test_measuring_is_repeatable(demo: LanguageModel, few_facts: FactSet, found: Localisation) -> None:
    assert measure_localisation(demo, few_facts, "kn") == found
    assert measure_knowledge(demo, few_facts, held_out=False).fact_languages >= 0.95
