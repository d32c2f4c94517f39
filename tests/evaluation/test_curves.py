"""The curves of `atlas evaluate --curve`: costs worked out by hooks, the ranking read by hand, and planted neurons."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import atlas
from atlas.engine.answers import Case, measure
from atlas.engine.batches import Budget
from atlas.errors import UsageError
from atlas.evaluation.curves import COUNTS, LACKING, _areas, _cost, _milliseconds, _unequal, curves
from atlas.evaluation.figure import figure
from atlas.evaluation.interventions import ranking, shared_facts
from atlas.evaluation.job import NO_NEURONS, EvaluateOptions
from atlas.facts import Fact, Label
from atlas.models import load_model
from atlas.models.readout import features_of_ids, token_probability
from atlas.models.scaling import suppress
from atlas.planted import Circuit, PlantConfig, plant
from atlas.store.stored import Prompts, stored_facts

METHODS = ("kn", "gradient", "random")
_RUNS = "SELECT method, run FROM run WHERE (settings ->> 'floor')::DOUBLE = 0.05"


TAKEN = {"kn": 8.0, "gradient": 2.0, "random": 0.0}
"""Milliseconds a prompt, as if measured."""


@pytest.fixture(scope="module")
def done(saved):
    with pytest.MonkeyPatch.context() as patch:
        taken = lambda _, methods: {name: TAKEN[name] for name in methods}  # noqa: E731
        patch.setattr("atlas.evaluation.curves._milliseconds", taken)
        return curves(EvaluateOptions(db=saved / "a.duckdb", methods=METHODS, languages=("en", "fr")))


def by_hand(saved):
    """Mean cost over facts of zeroing the first k neurons of `kn`, by k; at the fewest that a scorer has."""
    model = load_model(str(saved / "model"))
    with atlas.open(saved / "a.duckdb") as opened:
        runs = {row["method"]: row["run"] for row in opened.sql(_RUNS).to_pylist()}
        tables = {method: ranking(opened, runs[method], COUNTS[-1]) for method in METHODS}
        prompts = Prompts(stored_facts(opened))

    def probability(prompt):
        found = 1.0
        for s in model.steps(prompt):
            features = features_of_ids(model, torch.tensor([s.ids]), torch.tensor([s.query]))
            found *= float(token_probability(model, features, torch.tensor([s.target])))
        return found

    def cost(fact, code, count):
        own = prompts.of(prompts.facts[fact], [code])
        fewest = min(len(table[fact, code]) for table in tables.values())
        before = sum(map(probability, own))
        with suppress(model, tables["kn"][fact, code][: min(count, fewest)], "query"):
            return 1 - sum(map(probability, own)) / before

    facts = shared_facts(tables.values(), prompts.facts, ("en", "fr"))
    return {
        count: np.mean([np.mean([cost(fact, code, count) for code in ("en", "fr")]) for fact in facts])
        for count in COUNTS[::2]
    }


@pytest.mark.slow
def test_points_are_the_mean_costs(saved, done):
    found = {
        row["neurons"]: row["own"]
        for row in done.points.to_pylist()
        if (row["replace"], row["method"]) == ("zero", "kn")
    }
    assert sorted(found) == list(COUNTS)
    for count, wanted in by_hand(saved).items():
        assert found[count] == pytest.approx(wanted, rel=1e-3, abs=1e-5)


@pytest.mark.slow
def test_every_point_lies_in_its_interval_and_on_the_same_facts(done):
    rows = done.points.to_pylist()
    actions = ("zero", "swap", "inject")
    assert {(row["replace"], row["method"]) for row in rows} == {(r, m) for r in actions for m in METHODS}
    for row in rows:
        for side in ("own", "others"):
            assert row[f"{side}_low"] - 1e-9 <= row[side] <= row[f"{side}_high"] + 1e-9
            assert row["replace"] == "inject" or row[side] <= 1
    assert len({row["facts"] for row in rows if row["replace"] == "zero"}) == 1


@pytest.mark.slow
def test_areas_are_means_of_the_curve_and_compared_with_the_best_other(done):
    rows, areas = done.points.to_pylist(), done.areas.to_pylist()
    area = {(row["replace"], row["method"]): row["area"] for row in areas}
    for key, value in area.items():
        own = [row["own"] for row in rows if (row["replace"], row["method"]) == key]
        assert value == pytest.approx(np.mean(own))
    for row in areas:
        others = {method: area[row["replace"], method] for method in METHODS if method != row["method"]}
        assert row["best_other"] == max(others, key=others.get)
        assert row["ahead"] == pytest.approx(row["area"] - max(others.values()))
        assert row["ahead_low"] <= row["ahead"] <= row["ahead_high"]


@pytest.mark.slow
def test_facts_that_a_curve_does_without_are_named_with_the_reason(saved, facts, tmp_path, monkeypatch):
    """York has names in English alone, and of two facts nothing can be measured."""
    shutil.copy(saved / "a.duckdb", tmp_path)
    lone = replace(facts, facts=[Fact("P36", "York", "lies", {"en": Label("York", "lies")})])
    with atlas.open(tmp_path / "a.duckdb", "a") as writer:
        writer.add_facts(lone)
        writer.add_prompts(lone.prompts())
        run = writer.one("SELECT run FROM run WHERE (settings ->> 'floor')::DOUBLE = 0.01")
    monkeypatch.setattr("atlas.evaluation.job.fill_run", lambda *_: run)
    measured = lambda *asked: {fact: np.zeros((2, 1, len(COUNTS))) for fact in asked[-2][2:]}  # noqa: E731
    for name in ("_costs", "_rises"):
        monkeypatch.setattr(f"atlas.evaluation.curves.{name}", measured)
    monkeypatch.setattr("atlas.evaluation.curves._milliseconds", lambda *_: {"kn": 8.0})
    options = EvaluateOptions(db=tmp_path / "a.duckdb", methods=("kn",), languages=("en", "fr"))
    found = curves(options)
    assert {row["facts"] for row in found.areas.to_pylist()} == {found.facts - 2}
    for action, why in LACKING.items():
        assert [fact.subject for fact in found.left_out[action, NO_NEURONS]] == ["York"]
        assert len(found.left_out[action, why]) == 2
    with atlas.open(tmp_path / "a.duckdb", "a") as writer:
        writer.sql("DELETE FROM prompt WHERE fact <> ?", [lone.facts[0].id])
    with pytest.raises(UsageError, match="no neurons in one"):
        curves(replace(options, languages=("fr",)))


def test_at_equal_cost_a_scorer_has_the_share_of_its_area_that_it_has_the_time_for():
    """The least time is that of the cheapest scorer that is no control; who takes less has nothing more to gain."""
    costs = np.random.default_rng(0).uniform(size=(6, 4, len(COUNTS)))
    rows = list(_areas("zero", {"kn": 8.0, "amig": 20.0, "gradient": 16.0, "random": 0.0}, costs, 0))
    for row, share in zip(rows, (1, 0.4, 0.5, 1), strict=True):
        assert row["in_least_time"] == pytest.approx(share * row["area"])
        assert row["in_least_time_high"] == pytest.approx(share * row["area_high"])


def test_one_fact_has_no_interval():
    costs = np.random.default_rng(0).uniform(size=(1, 2, len(COUNTS)))
    for row in _areas("zero", {"kn": 8.0, "amig": 20.0}, costs, 0):
        assert row["area"] > 0
        assert {row[f"{name}{end}"] for name in ("area", "ahead") for end in ("_low", "_high")} == {None}


@pytest.mark.parametrize("at", ["query", "subject"])
def test_neurons_are_cut_at_the_position_of_the_scores(tiny, facts, at):
    """The cost of a fact's first neurons, in each language the share that its prompts lose, then their mean."""
    fact = facts.facts[0].id
    prompts = [prompt for prompt in facts.prompts() if prompt.fact.id == fact]
    first = {"en": [(0, 3), (1, 5)], "fr": [(1, 4), (0, 7)]}
    job = SimpleNamespace(model=tiny, languages=tuple(first), budget=Budget.of(tiny), options=SimpleNamespace(at=at))
    found = _cost(job, None, {"kn": {(fact, code): neurons for code, neurons in first.items()}}, fact, prompts)
    lost = []
    for code, neurons in first.items():
        own = [prompt for prompt in prompts if prompt.language == code]
        before, after = (
            sum(one.probability for one in measure(tiny, cases, at=at))
            for cases in ([Case(p) for p in own], [Case(p, tuple(sorted(neurons)), 0.0) for p in own])
        )
        lost.append(1 - after / before)
    assert found[0, 1:] == pytest.approx(np.mean(lost), rel=1e-6)


def test_unequal_are_the_facts_and_languages_in_which_some_scorer_has_too_few():
    most = COUNTS[-1]
    sizes = {(1, "en"): (most, most), (1, "fr"): (most, most + 5), (2, "en"): (most - 1, most), (2, "fr"): (most, 3)}
    tables = {
        method: {place: [(0, n) for n in range(both[side])] for place, both in sizes.items()}
        for side, method in enumerate(("kn", "amig"))
    }
    assert _unequal(tables, [1, 2], ["en", "fr"]) == 2
    assert _unequal(tables, [1], ["en", "fr"]) == 0


def test_what_a_scorer_does_once_is_not_timed(monkeypatch):
    """A clock by which a scorer's first prompt takes five seconds, and every other prompt one."""
    clock, begun = [0.0], set()

    def attribute(_, prompts, settings, *__):
        clock[0] += len(prompts) + 4 * (settings.method not in begun)
        begun.add(settings.method)

    monkeypatch.setattr("atlas.attribution.attribute", attribute)
    monkeypatch.setattr("atlas.evaluation.curves.process_time", lambda: clock[0])
    job = SimpleNamespace(own={1: [None] * 24}, model=None, options=EvaluateOptions(), budget=None)
    assert _milliseconds(job, ["kn", "amig"]) == {"kn": 1000.0, "amig": 1000.0}


@pytest.mark.slow
def test_the_time_of_a_prompt_is_the_processors(saved, monkeypatch):
    """A clock that goes on by a second whenever it is looked at: one second for all prompts of each scorer."""
    ticks = iter(range(1000))
    monkeypatch.setattr("atlas.evaluation.curves.process_time", lambda: float(next(ticks)))
    found = curves(EvaluateOptions(db=saved / "a.duckdb", methods=("kn", "random"), languages=("en",), limit=2))
    (taken,) = set(found.areas["milliseconds"].to_pylist())
    assert 1000 / 12 <= taken <= 1000


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_injecting_the_planted_neuron_raises_the_object_and_random_ones_do_not(family, tmp_path, stored):
    """One neuron for each language carries each fact: the first of `kn` is enough, and more add nothing."""
    planted = plant(PlantConfig(family=family), [Circuit("knowledge", fact) for fact in range(4)], seed=0)
    folder = stored(tmp_path, planted.model, planted.tokenizer, planted.facts)
    found = curves(EvaluateOptions(db=folder / "a.duckdb", methods=("kn", "random"), languages=("en",)))
    rises = {(r["method"], r["neurons"]): r for r in found.points.to_pylist() if r["replace"] == "inject"}
    assert rises["kn", 1]["facts"] == 4
    assert rises["kn", 1]["own_low"] > 1
    assert rises["kn", 1]["others"] < 0
    assert rises["kn", 20]["own"] == pytest.approx(rises["kn", 1]["own"], rel=0.2)
    assert abs(rises["random", 20]["own"]) < 0.1


@pytest.mark.slow
def test_nothing_is_changed_by_swapping_in_what_is_there(saved, done):
    """`swap` and `zero` are not the same measurement."""
    rows = {(r["replace"], r["method"], r["neurons"]): r["own"] for r in done.points.to_pylist()}
    assert any(rows["zero", m, k] != pytest.approx(rows["swap", m, k], rel=0.01) for m in METHODS for k in COUNTS)


@pytest.mark.slow
def test_the_picture_has_a_line_for_each_scorer(done):
    drawn = figure(done.points)
    assert drawn.startswith("<svg")
    assert all(method in drawn for method in METHODS)
