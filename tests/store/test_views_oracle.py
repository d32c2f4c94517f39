"""Every view against what the method says, worked out by brute force."""

from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store.world import LAYERS, NEURONS, knowledge, likn, mean_score, tail, worlds

THRESHOLDS = st.fixed_dictionaries(
    {
        "tau": st.sampled_from([0.05, 0.1, 0.2, 0.4, 0.6, 1.0]),
        "share": st.sampled_from([0.0, 0.3, 0.5, 0.7]),
        "normalization": st.sampled_from(["none", "layer"]),
    }
)
few = settings(settings.get_profile("store"), max_examples=12)


def rows(atlas, query, **params):
    return atlas.sql(query, params).to_pylist()


def ids(world):
    return {world.fact(n).id: n for n in range(len(world.relations))}


@few
@given(worlds(), THRESHOLDS)
def test_knowledge_neurons(holding, world, thresholds):
    expected = {
        (world.fact(fact).id, language, layer, neuron)
        for fact in range(len(world.relations))
        for language in world.languages(fact)
        for layer, neuron in knowledge(world, fact, language, **thresholds)
    }
    query = "FROM knowledge_neuron_at(tau := $tau, share := $share, normalization := $normalization)"
    with holding(world) as (atlas, run):
        found = rows(atlas, query, **thresholds)
    assert {(r["fact"], r["language"], r["layer"], r["neuron"]) for r in found} == expected
    assert len(found) == len(expected)
    assert {r["run"] for r in found} <= {run}


@few
@given(worlds(), st.sampled_from([None, 1, 2, 3]), THRESHOLDS)
def test_likn(holding, world, min_languages, thresholds):
    facts = {world.fact(n).id: likn(world, n, min_languages, **thresholds) for n in range(len(world.relations))}
    query = (
        "FROM likn_at(tau := $tau, share := $share, normalization := $normalization, min_languages := $min_languages)"
    )
    with holding(world) as (atlas, _):
        found = rows(atlas, query, min_languages=min_languages, **thresholds)
    assert {(r["fact"], r["layer"], r["neuron"]) for r in found} == {
        (fact, *neuron) for fact, neurons in facts.items() for neuron in neurons
    }
    for row in found:
        number = ids(world)[row["fact"]]
        languages = [
            language
            for language in world.languages(number)
            if (row["layer"], row["neuron"]) in knowledge(world, number, language, **thresholds)
        ]
        assert row["languages"] == languages
        assert row["n_languages"] == len(languages)
        assert row["of_languages"] == len(world.languages(number))
        probed = {p.language for p in world.probes if p.fact == number}
        assert row["missing_languages"] == sorted(probed - set(world.languages(number)))


@few
@given(worlds())
def test_scores_are_means_over_the_prompts_that_pass(holding, world):
    with holding(world) as (atlas, _):
        found = rows(atlas, "FROM knowledge_neuron WHERE definition = 'default'")
    for row in found:
        expected = mean_score(world, ids(world)[row["fact"]], row["language"], (row["layer"], row["neuron"]))
        assert row["score"] == pytest.approx(expected, rel=1e-6)


@few
@given(worlds(), st.sampled_from([None, 2]))
def test_specificity(holding, world, min_languages):
    sets = [likn(world, n, min_languages) for n in range(len(world.relations))]
    with holding(world) as (atlas, _):
        found = atlas.likn(min_languages=min_languages, tau=0.2).to_pylist()
        one = atlas.likn(fact=world.fact(0).id, min_languages=min_languages, tau=0.2).to_pylist()
    assert one == [row for row in found if row["fact"] == world.fact(0).id]
    for row in found:
        number, neuron = ids(world)[row["fact"]], (row["layer"], row["neuron"])
        others = [n for n in range(len(sets)) if n != number and neuron in sets[n]]
        relation = world.relations[number]
        assert row["same_relation"] == sum(world.relations[n] == relation for n in others)
        assert row["other_relations"] == sum(world.relations[n] != relation for n in others)


@few
@given(worlds(), st.sampled_from([None, 1, 2]))
def test_chance(holding, world, min_languages):
    query = "FROM likn_control_at(min_languages := $min_languages)"
    with holding(world) as (atlas, _):
        found = {row["fact"]: row for row in rows(atlas, query, min_languages=min_languages)}
    for number in range(len(world.relations)):
        languages = world.languages(number)
        assert (world.fact(number).id in found) == bool(languages)
        if not languages:
            continue
        row = found[world.fact(number).id]
        sizes = [len(knowledge(world, number, language)) for language in languages]
        least = min_languages or len(languages)
        observed = len(likn(world, number, min_languages))
        expected = sum(tail(LAYERS * NEURONS, sizes, n, least) for n in range(1, LAYERS * NEURONS + 1))
        assert row["sizes"] == sizes
        assert row["observed"] == observed
        assert row["expected"] == pytest.approx(float(expected), abs=1e-9)
        if least == len(languages):
            exact = tail(LAYERS * NEURONS, sizes, observed)
            assert row["p_value"] == pytest.approx(float(exact), abs=1e-9)
        assert 0 <= row["p_value"] <= 1 + 1e-9


@few
@given(worlds())
def test_layer_distribution(holding, world):
    counts = Counter(
        (language, layer)
        for fact in range(len(world.relations))
        for language in world.languages(fact)
        for layer, _ in knowledge(world, fact, language)
    )
    with holding(world) as (atlas, _):
        found = rows(atlas, "FROM layer_distribution WHERE definition = 'default' AND kind = 'knowledge neuron'")
        shared = rows(atlas, "FROM layer_distribution WHERE definition = 'default' AND kind = 'likn'")
    assert {(r["language"], r["layer"]): r["pairs"] for r in found} == counts
    for language in {r["language"] for r in found}:
        assert sum(r["share"] for r in found if r["language"] == language) == pytest.approx(1)
    assert {r["layer"]: r["pairs"] for r in shared} == Counter(
        layer for fact in range(len(world.relations)) for layer, _ in likn(world, fact)
    )


@few
@given(worlds())
def test_language_overlap(holding, world):
    with holding(world) as (atlas, _):
        found = rows(atlas, "FROM language_overlap WHERE definition = 'default'")
    expected = {}
    for a, b in combinations(("en", "fr", "zh"), 2):
        facts = [n for n in range(len(world.relations)) if {a, b} <= set(world.languages(n))]
        if facts:
            pairs = [(knowledge(world, n, a), knowledge(world, n, b)) for n in facts]
            expected[a, b] = len(facts), sum(len(x & y) for x, y in pairs) / len(facts)
    assert {(r["language_a"], r["language_b"]): (r["facts"], pytest.approx(r["overlap"])) for r in found} == expected


@few
@given(worlds())
def test_neuron_summary_and_specific_neurons(holding, world):
    serves = {}
    for fact in range(len(world.relations)):
        for language in world.languages(fact):
            for neuron in knowledge(world, fact, language):
                serves.setdefault(neuron, set()).add((fact, language))
    with holding(world) as (atlas, _):
        summary = atlas.neurons().to_pylist()
        specific = rows(atlas, "FROM language_specific_neuron WHERE definition = 'default'")
    assert {
        (r["layer"], r["neuron"]): (r["facts"], r["languages"], r["relations"], r["likn_facts"]) for r in summary
    } == {
        neuron: (
            len({fact for fact, _ in where}),
            len({language for _, language in where}),
            len({world.relations[fact] for fact, _ in where}),
            sum(neuron in likn(world, fact) for fact in range(len(world.relations))),
        )
        for neuron, where in serves.items()
    }
    assert {(r["layer"], r["neuron"]): (r["language"], r["facts"]) for r in specific} == {
        neuron: (next(iter(where))[1], len(where))
        for neuron, where in serves.items()
        if len({language for _, language in where}) == 1
    }


@few
@given(worlds())
def test_usage_warnings(holding, world):
    expected = {(None, None, "model revision not pinned")}
    for fact in range(len(world.relations)):
        for language in world.languages(fact):
            usable, key = world.usable(fact, language), (world.fact(fact).id, language)
            expected |= {(*key, "single template")} if len(usable) == 1 else set()
            expected |= {(*key, "not converged")} if any(p.status == "not_converged" for p in usable) else set()
            expected |= {(*key, "model does not know the answer")} if all(p.rank > 1 for p in usable) else set()
    with holding(world) as (atlas, _):
        found = rows(atlas, "FROM usage_warning")
    assert {(r["fact"], r["language"], r["warning"]) for r in found} == expected
