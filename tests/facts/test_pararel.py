import pytest

from atlas.facts import read


@pytest.mark.parametrize("folder", ["", "data/"])
def test_facts_are_known_by_their_english_names(plant, told, folder):
    data = plant(
        {
            f"{folder}trex_lms_vocab/P36.jsonl": [{"sub_label": "France", "obj_label": "Paris", "uuid": "a"}],
            f"{folder}pattern_data/graphs_json/P36.jsonl": [{"pattern": "[X],  with its capital [Y].", "lemma": "x"}],
        }
    )
    facts, templates = told(read(data))
    assert facts == {("P36", "France", "Paris"): {"en": ("France", "Paris")}}
    assert templates == {("P36", "en", "[X], with its capital [Y].")}
