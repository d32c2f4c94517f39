"""The neurons that a relation's claims are judged by, against the views that they come from."""

import shutil

import pytest

import atlas
from atlas.checking.neurons import _derived, read_world, relation_neurons

pytestmark = pytest.mark.slow

LAYERS, WIDTH = 3, 1000


@pytest.fixture(scope="module")
def found(options):
    with atlas.open(options.db) as opened:
        run = opened.one("SELECT run FROM run WHERE method = 'amig'")
        return relation_neurons(opened, run, "default", LAYERS, WIDTH, 0)


@pytest.mark.parametrize(("evidence", "view"), [("dkn", "relation_dkn_all"), ("kn", "relation_kn_all")])
def test_dkn_and_knowledge_neurons_are_those_of_the_views(options, found, evidence, view):
    with atlas.open(options.db) as opened:
        rows = opened.sql(f"SELECT DISTINCT relation, language, layer, neuron FROM {view} WHERE definition = 'default'")
    wanted = {tuple(row.values()) for row in rows.to_pylist()}
    assert wanted == {
        (relation, language, *neuron)
        for relation, sets in found.items()
        for (name, language), neurons in sets.items()
        for neuron in neurons
        if name == evidence
    }
    assert wanted


def test_likn_are_those_of_more_than_a_share_of_the_most_training_facts_in_every_language(options, tmp_path):
    """Neurons of one to four training facts and of all facts of the test: two are not more than half of four."""
    shutil.copy(options.db, tmp_path / "a.duckdb")
    with atlas.open(tmp_path / "a.duckdb", "a") as writer:
        writer.define("half", relation_share=0.5)
        run = writer.one("SELECT run FROM run WHERE method = 'amig'")
        split = writer.sql("SELECT fact, split FROM fact_split WHERE relation = 'R0' ORDER BY fact").to_pylist()
        train = [row["fact"] for row in split if row["split"] == "train"]
        test = [row["fact"] for row in split if row["split"] == "test"]
        assert len(train) >= 4
        assert test
        for neuron in range(1, 5):
            writer.sql(
                "INSERT INTO attribution (place, run, prompt, layer, neuron, score) "
                "SELECT DISTINCT place, run, prompt, 0, ?, 10 FROM attribution JOIN prompt USING (prompt) "
                "WHERE list_contains(?::BIGINT[], fact)",
                [900 + neuron, [*train[:neuron], *test]],
            )
        found = relation_neurons(writer, run, "half", LAYERS, WIDTH, 0)
    for language in ("en", "de"):
        assert found["R0"]["likn", language] == ((0, 903), (0, 904))


def test_what_is_made_of_dkn_and_knowledge_neurons():
    """English has both, German knowledge neurons alone; random ones are as many, others in each language and seed."""
    sets = {
        ("dkn", "en"): ((0, 1), (1, 2)), ("kn", "en"): ((0, 5), (0, 6), (0, 7)), ("kn", "de"): ((0, 1), (2, 9), (1, 0)),
    }  # fmt: skip
    derived = _derived(sets, "R", LAYERS, WIDTH, 0)
    assert derived["dkn-or-kn", "en"] == sets["dkn", "en"]
    assert derived["dkn-or-kn", "de"] == sets["kn", "de"]
    every = ((0, 1), (1, 0), (1, 2), (2, 9))
    assert derived["dkn-languages", "en"] == derived["dkn-languages", "de"] == every
    assert [len({*derived["random", code]}) for code in ("en", "de")] == [2, 3]
    others = [derived["random", "en"], derived["random", "de"][:2]]
    others += [_derived(sets, name, LAYERS, WIDTH, seed)["random", "en"] for name, seed in (("Q", 0), ("R", 1))]
    assert len({*others}) == 4
    small = _derived(sets, "R", 1, 2, 0)
    assert sorted(small["random", "de"]) == [(0, 0), (0, 1)], "no more than there are"


def test_the_world_has_its_facts_by_relation_and_their_split(options, facts):
    with atlas.open(options.db) as opened:
        world = read_world(opened)
    relations = [fact.relation for fact in world.facts]
    assert relations == sorted(relations)
    assert {(fact.id, world.split[fact.id]) for fact in world.facts} == {(row["fact"], row["split"]) for row in facts}
