"""What evidence views say where there is next to nothing: no p where nothing can be exchanged, and the reason."""

from dataclasses import replace
from itertools import product

import pyarrow as pa
import pytest
from store.world import FLOOR, MODEL, Probed, World, add_facts, batch

import atlas
from atlas import schema
from atlas.errors import StoreError
from atlas.ids import stable_id

TOO_FEW = "too few facts to exchange"
SCORES = (1.0, 0.6, *(0.0,) * 9, 0.3)


def _world(relations, codes, unusable=()):
    """One prompt of every fact in each language, all with the same neurons."""
    status = {code: "unspellable" if code in unusable else "ok" for code in codes}
    return World(
        relations,
        tuple(Probed(fact, code, 0, status[code], SCORES) for fact in range(len(relations)) for code in codes),
    )


def _rows(writer, view, run):
    return writer.sql(f"FROM {view}() WHERE run = $run ORDER BY ALL", {"run": run}).to_pylist()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("relations", "languages", "too_few"),
    [
        (("P1",), ("en", "fr"), {"same relation", "other relations"}),
        (("P1", "P1", "P1"), ("en", "fr"), {"other relations"}),
        (("P1", "P1", "P2", "P2"), ("en", "fr", "zh"), {"same relation", "other relations"}),
        (("P1", "P2", "P2", "P2"), ("en", "fr"), {"same relation"}),
    ],
)
def test_facts_that_cannot_be_exchanged_have_no_p_and_a_reason(relations, languages, too_few, holding):
    with holding(_world(relations, languages)) as (writer, run):
        found = [row for row in _rows(writer, "likn_exchange_at", run) if row["relation"] == "P1"]
        (control, *_) = [row for row in _rows(writer, "likn_control_at", run) if row["relation"] == "P1"]
    assert {row["control"] for row in found if row["p_exchange"] is None} == too_few
    for row in found:
        lacks = row["control"] in too_few
        assert (row["reason"], row["q"] is None, row["draws"] == 0) == (TOO_FEW if lacks else None, lacks, lacks)
    assert (control["p_exchange"] is None) == (control["q"] is None) == ("same relation" in too_few)
    assert (control["p_exchange_other"] is None) == ("other relations" in too_few)


@pytest.mark.slow
@pytest.mark.parametrize("unusable", [(), ("fr",)])
def test_one_language_has_no_likn_and_nothing_to_compare(unusable, holding):
    with holding(_world(("P1",) * 4, ("en", *unusable), unusable)) as (writer, run):
        for view in ("likn_at", "likn_exchange_at", "likn_control_at", "language_overlap_at"):
            assert _rows(writer, view, run) == [], view
        warned = writer.sql("SELECT DISTINCT warning FROM usage_warning WHERE run = $run", {"run": run})["warning"]
        assert "single language" in warned.to_pylist()
        assert len(_rows(writer, "knowledge_neuron_at", run)) == 4 * 3


@pytest.mark.slow
def test_a_language_without_usable_prompts_changes_nothing_of_the_others(holding):
    rows = []
    for codes in (("en", "fr"), ("en", "fr", "zh")):
        with holding(_world(("P1",) * 4, codes, ("zh",))) as (writer, run):
            views = ("likn_exchange_at", "likn_control_at", "language_overlap_at")
            rows.append([{**row, "run": 0} for view in views for row in _rows(writer, view, run)])
    assert rows[0] == rows[1] != []


def test_a_share_of_the_prompts_is_not_more_than_that_share(holding):
    # 0.58 * 50 is less than 29 in floating point.
    found = tuple(Probed(0, "en", n, "ok", SCORES if n < 29 else SCORES[::-1]) for n in range(50))
    with holding(World(("P1",), found)) as (writer, _):
        of = "SELECT neuron FROM knowledge_neuron_at(share := {}) WHERE layer = 0 ORDER BY neuron"
        rows = [writer.sql(of.format(share))["neuron"].to_pylist() for share in (0.57, 0.58)]
        with pytest.raises(StoreError, match=r"share ''.* are no thresholds"):
            writer.sql(of.format("NULL"))
    assert rows == [[0, 1], [0]]


def test_a_twin_counts_where_its_original_knows_the_fact(holding):
    world = _world(("P1",) * 2, ("en", "fr", "zh"))
    known = World(world.relations, tuple(replace(p, rank=1 + (p.language == "zh")) for p in world.probes))
    less = tuple(replace(p, rank=2, scores=SCORES[:: 1 - 2 * (p.language == "zh")]) for p in world.probes)
    with holding(known) as (writer, run):
        model = writer.add_model({**MODEL, "digest": "twin"})
        about = {"method": "amig", "settings": {"floor": FLOOR}, "seed": 0, "versions": {}}
        twin = writer.start_run(model=model, **about, twin_of=run, twin_seed=0)
        writer.load_batch(batch(World(world.relations, less), twin))
        shared = writer.sql("FROM twin_likn_of(thresholds(known := true))").to_pylist()
    assert [(row["run"], row["twin_likn"]) for row in shared] == [(run, 3)] * 2


def test_a_twin_shares_between_languages_what_it_was_asked_in_both(holding):
    world = _world(("P1",) * 2, ("en", "fr"))
    less = tuple(replace(p, status="nan") if (p.fact, p.language) == (1, "fr") else p for p in world.probes)
    with holding(world) as (writer, run):
        model = writer.add_model({**MODEL, "digest": "twin"})
        about = {"method": "amig", "settings": {"floor": FLOOR}, "seed": 0, "versions": {}}
        writer.load_batch(
            batch(World(world.relations, less), writer.start_run(model=model, **about, twin_of=run, twin_seed=0))
        )
        (row,) = _rows(writer, "language_overlap_at", run)
    assert (row["overlap"], row["twin_overlap"]) == (3, 3)


def test_a_fact_without_scores_lends_nothing_and_the_own_set_is_cut_to_that(holding):
    world = _world(("P1",) * 3, ("en", "fr"))
    nothing = tuple(replace(p, rank=2, scores=(0.0,) * 12) if p.fact == 2 else p for p in world.probes)
    with holding(World(world.relations, nothing)) as (writer, _):
        (row,) = writer.sql("FROM language_overlap_at(known := true)").to_pylist()
    assert [row[name] for name in ("in_exchanged_facts", "p_exchange", "short_draws")] == [1.5, 1, 2]


@pytest.mark.slow
def test_a_least_below_what_is_stored_asks_for_nothing_more(holding):
    with holding(_world(("P1",) * 2, ("en", "fr"))) as (writer, _):
        of = "SELECT fact, language, layer, neuron FROM knowledge_neuron_at(least := {}) ORDER BY ALL"
        found = [writer.sql(of.format(least)).to_pylist() for least in (0, 1e-30, -1)]
        assert found[0] == found[1] == found[2] != []
        with pytest.raises(StoreError, match=f"below {FLOOR}, the floor of run"):
            writer.sql(f"FROM knowledge_neuron_at(tau := {FLOOR / 2}, least := 0)")


@pytest.mark.slow
@pytest.mark.parametrize("normalization", ["none", "layer"])
def test_what_is_far_below_the_score_against_the_answer_is_noise_of_amig(normalization, path):
    # 0.01 speaks for the answer; against it 0.1, of which 0.05 is less, or 0.3, of which it is more.
    worlds = {c: World(("P1",), (Probed(0, "en", 0, "ok", (0.01, *(0.0,) * 10, -c)),)) for c in (0.1, 0.3)}
    with atlas.open(path, "a") as writer:
        add_facts(writer, worlds.values())
        for (against, world), method in product(worlds.items(), ("amig", "kn")):
            about = {"settings": {"floor": FLOOR}, "seed": int(10 * against), "versions": {}}
            run = writer.start_run(model=stable_id("model", "made"), method=method, **about)
            writer.load_batch(batch(world, run))
            for least, noise in ((None, method == "amig" and against == 0.3), (0.00006, False)):
                rows = writer.sql(
                    "FROM knowledge_neuron_at(least := $least, normalization := $by) WHERE run = $run",
                    {"least": least, "by": normalization, "run": run},
                ).to_pylist()
                assert [(row["layer"], row["neuron"]) for row in rows] == ([] if noise else [(0, 0)])


@pytest.mark.slow
def test_a_success_rate_of_both_actions_is_of_two(holding):
    """Cutting leaves the unrelated prompt as it was, so that it has no rate."""
    world, after = _world(("P1", "P2"), ("en",)), {"suppress": (0.1, 0.5), "enhance": (0.75, 0.6)}
    same = {"evaluation": 1, "purpose": "localisation", "fact": world.fact(0).id, "languages": ["en"], "source": "top",
            "scope": "query", "layers": [0], "neurons": [0], "probability_before": 0.5, "rank_before": 1,
            "rank_after": 1, "argmax_before": True, "argmax_after": True, "replace": "zero"}  # fmt: skip
    with holding(world) as (writer, run):
        rows = [
            same | {"intervention": n, "run": run, "action": action, "prompt": world.prompt(probe).id,
                    "related": probe.fact == 0, "probability_after": found}
            for n, action in enumerate(after)
            for probe, found in zip(world.probes, after[action], strict=True)
        ]  # fmt: skip
        writer.load("intervention", pa.Table.from_pylist(rows, schema=schema.arrow("intervention")))
        found = writer.sql(
            "SELECT success_rate, success_rate_both FROM intervention_summary ORDER BY action"
        ).to_pylist()
    assert [row["success_rate"] for row in found] == [pytest.approx(0.5 / 0.2), None]
    assert [row["success_rate_both"] for row in found] == [None, None]
