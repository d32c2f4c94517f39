"""Laws that the views obey whatever the rows are."""

import random
import shutil
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store.world import (
    MODEL,
    Probed,
    World,
    add_facts,
    add_run,
    batch,
    partners,
    random_world,
    worlds,
)

import atlas
from atlas.errors import StoreError

few = settings(settings.get_profile("store"), max_examples=10)
VIEWS = {
    "knowledge_neuron": "",
    "likn": ", min_languages := 2",
    "likn_specificity": ", min_languages := 2",
    "likn_control": ", min_languages := 2",
    "layer_distribution": ", min_languages := 2",
    "language_overlap": "",
    "language_specific_neuron": "",
    "neuron_summary": ", min_languages := 2",
}


def rows(atlas, query, **params):
    return atlas.sql(query, params).to_pylist()


def neurons(atlas, query, *keys):
    return {tuple(row[key] for key in (*keys, "fact", "layer", "neuron")) for row in rows(atlas, query)}


@pytest.mark.slow
@few
@given(worlds(), st.sampled_from([0.05, 0.1, 0.2]), st.sampled_from([0.3, 0.6, 1.0]))
def test_sets_shrink_as_tau_grows(holding, world, low, high):
    with holding(world) as (atlas, _):
        many, few_ = (neurons(atlas, f"FROM knowledge_neuron_at(tau := {tau})", "language") for tau in (low, high))
        many_likn, few_likn = (neurons(atlas, f"FROM likn_at(tau := {tau})") for tau in (low, high))
    assert few_ <= many
    assert few_likn <= many_likn


@pytest.mark.slow
@few
@given(worlds())
def test_sets_shrink_as_share_and_min_languages_grow(holding, world):
    with holding(world) as (atlas, _):
        shares = [neurons(atlas, f"FROM knowledge_neuron_at(share := {s})", "language") for s in (0, 0.4, 0.9)]
        languages = [neurons(atlas, f"FROM likn_at(min_languages := {n})") for n in (1, 2, 3)]
    assert shares[2] <= shares[1] <= shares[0]
    assert languages[2] <= languages[1] <= languages[0]


@pytest.mark.slow
@few
@given(worlds())
def test_likn_lies_inside_each_languages_set(holding, world):
    with holding(world) as (atlas, _):
        shared = neurons(atlas, "FROM likn_all WHERE definition = 'default'")
        single = neurons(atlas, "FROM knowledge_neuron_all WHERE definition = 'default'", "language")
    for fact, layer, neuron in shared:
        number = next(n for n in range(len(world.relations)) if world.fact(n).id == fact)
        assert {(language, fact, layer, neuron) for language in world.languages(number)} <= single


@pytest.fixture(scope="module")
def many(empty, tmp_path_factory):
    """Makes an open atlas of many random worlds, a run each; the rows of each in the order that `ordered` gives."""
    made = [random_world(seed) for seed in range(12)]

    @contextmanager
    def opened(ordered=list):
        path = shutil.copy(empty, tmp_path_factory.mktemp("many") / "many.duckdb")
        with atlas.open(path, "a") as writer:
            add_facts(writer, made)
            for seed, world in ordered(enumerate(made)):
                add_run(writer, world, ordered(range(len(world.probes))), seed=seed, floor=0)
            yield writer

    return opened


@pytest.mark.slow
def test_row_order_is_nothing(many):
    def shuffled(values):
        return random.Random(0).sample(found := list(values), len(found))

    with many() as one, many(shuffled) as other:
        for view in VIEWS:
            query = f"SELECT * FROM {view}_all ORDER BY ALL"
            assert rows(one, query) == rows(other, query), view


@pytest.mark.slow
@pytest.mark.parametrize(("tau", "normalization"), [(0.1, "layer"), (0.3, "none")])
def test_a_view_is_its_macro_at_the_same_thresholds(many, tau, normalization):
    with many() as writer:
        writer.define("mine", tau=tau, share=0.4, min_languages=2, normalization=normalization)
        for view, extra in VIEWS.items():
            macro = f"{view}_at(tau := {tau}, share := 0.4, normalization := '{normalization}'{extra})"
            by_macro, by_view = (
                rows(writer, f"SELECT * EXCLUDE (definition) FROM {source} ORDER BY ALL")
                for source in (macro, f"(FROM {view}_all WHERE definition = 'mine')")
            )
            assert by_macro == by_view, view
            assert by_view, view


@pytest.mark.slow
def test_macros_without_arguments_are_the_default_definition(many):
    with many() as writer:
        for view in VIEWS:
            by_macro, by_view = (
                rows(writer, f"SELECT * EXCLUDE (definition) FROM {source} ORDER BY ALL")
                for source in (f"{view}_at()", f"(FROM {view}_all WHERE definition = 'default')")
            )
            assert by_macro == by_view, view
            assert by_view, view


@pytest.mark.slow
@few
@given(worlds())
def test_tau_of_a_language_stands_in_for_tau(holding, world):
    with holding(world) as (atlas, _):
        atlas.define("mine", tau=0.1, tau_by_language={"en": 0.6})
        mixed = neurons(atlas, "FROM knowledge_neuron_all WHERE definition = 'mine'", "language")
        low = neurons(atlas, "FROM knowledge_neuron_at(tau := 0.1)", "language")
        high = neurons(atlas, "FROM knowledge_neuron_at(tau := 0.6)", "language")
    assert mixed == {n for n in low if n[0] != "en"} | {n for n in high if n[0] == "en"}


@pytest.mark.slow
@few
@given(worlds())
def test_control_sets_are_no_larger_than_the_facts_own(holding, world):
    query = """
WITH own AS (SELECT run, fact, language, count(*) AS size FROM knowledge_neuron_at() GROUP BY ALL)
SELECT borrowed.control, coalesce(any_value(own.size), 0) AS size, count(*) AS borrowed
FROM borrowed_neuron_of(thresholds(), true) AS borrowed LEFT JOIN own USING (run, fact, language)
GROUP BY borrowed.control, borrowed.run, borrowed.fact, borrowed.language
"""
    with holding(world) as (atlas, _):
        found = rows(atlas, query)
        partners = rows(
            atlas, "SELECT p.*, o.slot FROM partner_of(true) p JOIN fact_order o USING (run, fact, language)"
        )
    assert all(row["borrowed"] <= row["size"] for row in found)
    relation = {world.fact(n).id: world.relations[n] for n in range(len(world.relations))}
    for row in partners:
        if row["slot"] == 0:
            assert row["partner"] == row["fact"]
        else:
            assert row["partner"] != row["fact"]
            same = relation[row["partner"]] == relation[row["fact"]]
            assert same == (row["control"] == "same relation")


@pytest.mark.slow
@few
@given(worlds(facts=2))
def test_tau_below_the_floor_is_an_error(holding, world):
    with holding(world) as (atlas, run):
        if not any(probe.usable for probe in world.probes):
            return
        with pytest.raises(StoreError, match=f"tau 0.01 is below 0.05, the floor of run {run}"):
            atlas.sql("FROM knowledge_neuron_at(tau := 0.01)")
        with pytest.raises(StoreError, match="the floor of run"):
            atlas.likn(tau=0.04)


@pytest.mark.slow
def test_a_run_with_a_high_floor_does_not_spoil_the_others(holding):
    world = World(("P1",), (Probed(0, "en", 0, "ok", (1.0, 0.3) + (0.0,) * 10),))
    with holding(world) as (atlas, run):
        model = atlas.add_model(MODEL)
        other = atlas.start_run(model=model, method="kn", settings={"floor": 0.5}, seed=0, versions={})
        atlas.load_batch(batch(world, other))
        assert len(atlas.knowledge_neurons(run=run)) == 2
        with pytest.raises(StoreError, match=f"floor of run {other}"):
            atlas.knowledge_neurons(run=other)


def test_rounds_are_those_of_usable_prompts(holding):
    """What another prompt is cut after, whose scores count nowhere, says nothing of the neuron."""
    scores, statuses = (1.0,) + (0.0,) * 11, ("ok", "unresolved", "not_converged")
    world = World(("P1",), tuple(Probed(0, "en", n, status, scores) for n, status in enumerate(statuses)))
    with holding(world) as (atlas, run):
        for probe, cut in zip(world.probes, (2, 1, 3), strict=True):
            atlas.sql("UPDATE attribution SET round = ? WHERE prompt = ?", [cut, world.prompt(probe).id])
        (row,) = rows(atlas, "FROM neuron_round WHERE definition = 'default' AND run = $run", run=run)
    assert (row["first_round"], row["last_round"]) == (2, 3)


def test_wordings_that_agree_as_those_of_different_facts_are_not_stable(holding):
    """Each two wordings, of one fact or of two, share a fifth: means of three and of six differ in the last digit.

    A score of tau's share is none that passes, but for a definition of a lower tau, whose sets are other ones.
    """
    sets = [(0, 1, 2), (0, 3, 4), (0, 5, 6)], [(0, 7, 8), (0, 9, 10)]
    probes = [
        Probed(fact, "en", number, "ok", tuple(1.0 if n in found else 0.5 for n in range(12)))
        for fact, wordings in enumerate(sets)
        for number, found in enumerate(wordings)
    ]
    with holding(World(("P1", "P1"), tuple(probes))) as (atlas, _):
        atlas.define("mine", tau=0.5)
        found = rows(atlas, "FROM stability_all WHERE definition = 'mine'")
    assert [row["stable"] for row in found] == [False, False]
    assert {round(row[key], 9) for row in found for key in ("jaccard", "different_facts")} == {0.2}


def test_a_wording_without_a_neuron_agrees_with_none_that_has_one(holding):
    some, none = (1.0,) + (0.0,) * 11, (-1.0,) + (0.0,) * 11
    wordings = (some, some, none), (none, none)
    probes = [Probed(fact, "en", n, "ok", scores) for fact, own in enumerate(wordings) for n, scores in enumerate(own)]
    with holding(World(("P1", "P1"), tuple(probes))) as (atlas, _):
        found = {
            row["wordings"]: (row["jaccard"], row["different_facts"]) for row in rows(atlas, "FROM stability_at()")
        }
    assert found == {3: (pytest.approx(1 / 3), 0), 2: (None, 0)}


def test_stability_of_what_the_model_knows_is_of_the_facts_that_count(holding):
    """The fact that is not known is still what the other's wordings are compared with."""
    wordings = (1.0,) + (0.0,) * 11, (1.0,) * 2 + (0.0,) * 10
    probes = [Probed(n, "en", t, "ok", s, argmax=n == 0) for n in range(2) for t, s in enumerate(wordings)]
    world = World(("P1", "P1"), tuple(probes))
    with holding(world) as (atlas, _):
        every, known = (rows(atlas, f"FROM stability_at(known := {asked})") for asked in (False, True))
    assert {row["fact"] for row in every} == {world.fact(0).id, world.fact(1).id}
    assert known == [row for row in every if row["fact"] == world.fact(0).id]
    assert known[0]["different_facts"] == pytest.approx(0.75)


def test_the_partners_of_facts_whose_languages_have_fewer_relations(holding):
    """Of two runs, one without a relation; no prompt of the last fact is usable in Chinese."""
    relations = ("P1",) * 4 + ("P2", "P2", "P3")
    spoken = (("en", "fr", "zh"),) * 3 + (("fr", "zh"), ("en", "zh"), ("en",), ("en", "fr", "zh"))
    probes = [
        Probed(fact, code, 0, "unspellable" if (fact, code) == (6, "zh") else "ok", (1.0,) + (0.0,) * 11)
        for fact, codes in enumerate(spoken)
        for code in codes
    ]
    worlds = World(relations, tuple(probes)), World(relations, tuple(p for p in probes if relations[p.fact] != "P2"))
    with holding(worlds[0]) as (writer, run):
        runs = {run: worlds[0], add_run(writer, worlds[1], seed=1): worlds[1]}
        for by_slot in (True, False):
            expected = [
                (run, world.fact(n).id, code, control, world.fact(other).id)
                for run, world in runs.items()
                for n in range(len(relations))
                for slot, code in enumerate(world.languages(n))
                for control, same in (("same relation", True), ("other relations", False))
                if (other := partners(world, n, slot if by_slot else 1, code, same)) is not None
            ]
            found = rows(writer, f"SELECT run, fact, language, control, partner FROM partner_of({by_slot})")
            assert sorted(tuple(row.values()) for row in found) == sorted(expected)
