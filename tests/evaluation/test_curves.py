"""The curves of `atlas evaluate --curve`: costs worked out by hooks, the ranking read by hand, and planted neurons."""

import math
import shutil
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import atlas
from atlas.engine.answers import Case, measure
from atlas.engine.batches import Budget
from atlas.engine.replacing import values_of
from atlas.errors import UsageError
from atlas.evaluation.curves import (
    COUNTS,
    LACKING,
    TIMED,
    _areas,
    _cost,
    _costs,
    _log_odds,
    _milliseconds,
    _points,
    _rises,
    _unequal,
    curves,
)
from atlas.evaluation.figure import figure
from atlas.evaluation.interventions import ranking, shared_facts
from atlas.evaluation.job import NO_NEURONS, EvaluateOptions
from atlas.facts import Fact, Label, Prompt
from atlas.models import load_model
from atlas.models.readout import features_of_ids, token_probability
from atlas.models.scaling import suppress
from atlas.planted import Circuit, PlantConfig, plant
from atlas.running.progress import Progress
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


def test_a_scorer_alone_is_compared_with_none():
    (row,) = _areas("swap", {"kn": 8.0}, np.ones((6, 1, len(COUNTS))), 0)
    assert row.keys() & {"best_other", "ahead"} == set()
    assert [row[name] for name in ("replace", "method", "facts", "milliseconds")] == ["swap", "kn", 6, 8.0]
    assert [row[name] for name in ("area", "area_low", "area_high", "in_least_time")] == pytest.approx([1] * 4)


def test_a_point_is_the_mean_of_each_side_at_its_count():
    own, others = (np.random.default_rng(seed).uniform(size=(6, 2, len(COUNTS))) for seed in (0, 1))
    rows = list(_points("swap", ["kn", "random"], own, others, 0))
    places = [(method, count) for method in ("kn", "random") for count in COUNTS]
    assert [(row["method"], row["neurons"]) for row in rows] == places
    for row, *means in zip(rows, own.mean(0).ravel(), others.mean(0).ravel(), strict=True):
        assert (row["replace"], row["facts"]) == ("swap", 6)
        assert [row["own"], row["others"]] == pytest.approx(means)
        assert row["own_low"] < row["own"] < row["own_high"]


def test_one_fact_has_no_interval():
    costs = np.random.default_rng(0).uniform(size=(1, 2, len(COUNTS)))
    for row in _areas("zero", {"kn": 8.0, "amig": 20.0}, costs, 0):
        assert row["area"] > 0
        assert {row[f"{name}{end}"] for name in ("area", "ahead") for end in ("_low", "_high")} == {None}


class Given:
    """Values of neurons by prompt, in place of those of another fact; a prompt without has no partner."""

    def __init__(self, values):
        self._values = values

    def reason(self, prompt):
        return None if prompt.id in self._values else "no_partner"

    def values(self, prompts):
        return [self._values[prompt.id] for prompt in prompts]


FIRST = {"en": [(0, 3), (1, 5), (0, 1)], "fr": [(1, 4), (0, 7), (1, 1)]}
"""Neurons of a fact by language, best first."""


def job_of(tiny, at="query", languages=tuple(FIRST)):
    return SimpleNamespace(model=tiny, languages=languages, budget=Budget.of(tiny), options=SimpleNamespace(at=at))


def lost(tiny, prompts, count, at="query", values=None):
    """What cutting the first neurons costs, in each language the share that its prompts lose, then their mean."""
    shares = []
    for code in sorted({prompt.language for prompt in prompts}):
        own, cut = [p for p in prompts if p.language == code], tuple(sorted(FIRST[code][:count]))
        places = [[n[i] for n in cut] for i in (0, 1)]
        become = [None if values is None else values[p.id][:, places[0], places[1]] for p in own]
        cases = [Case(p, cut, 0.0, given) for p, given in zip(own, become, strict=True)]
        before, after = (
            sum(one.probability for one in measure(tiny, asked, at=at)) for asked in ([Case(p) for p in own], cases)
        )
        shares.append(1 - after / before)
    return np.mean(shares)


def rankings_of(fact, *counts):
    return {f"m{n}": {(fact, code): first[:count] for code, first in FIRST.items()} for n, count in enumerate(counts)}


@pytest.mark.parametrize("at", ["query", "subject"])
def test_neurons_are_cut_at_the_position_of_the_scores(tiny, facts, at):
    fact = facts.facts[0].id
    prompts = [prompt for prompt in facts.prompts() if prompt.fact.id == fact]
    found = _cost(job_of(tiny, at), None, rankings_of(fact, 2), fact, prompts)
    assert found[0, 1:] == pytest.approx(lost(tiny, prompts, 2, at), rel=1e-6)


def test_of_every_scorer_as_many_neurons_are_cut_as_the_shortest_list_has(tiny, facts):
    fact = facts.facts[0].id
    prompts = [prompt for prompt in facts.prompts() if prompt.fact.id == fact]
    found = _cost(job_of(tiny), None, rankings_of(fact, 3, 1), fact, prompts)
    assert found == pytest.approx(np.full((2, len(COUNTS)), lost(tiny, prompts, 1)), rel=1e-6)


def test_cut_neurons_become_the_values_given_in_prompts_that_have_some(tiny, facts):
    """Another fact's prompts, cut at the first one's neurons; a language that is not asked for counts for nothing."""
    fact, other = (one.id for one in facts.facts[:2])
    prompts = [prompt for prompt in facts.prompts() if prompt.fact.id == other]
    generator, shape = torch.Generator().manual_seed(0), (1, tiny.info.layers, tiny.info.neurons)
    values = {p.id: torch.randn(shape, generator=generator).to(tiny.dtype) for p in prompts[1:]}
    for languages in (("en", "fr"), ("fr",)):
        kept = [p for p in prompts[1:] if p.language in languages]
        found = _cost(job_of(tiny, languages=languages), Given(values), rankings_of(fact, 3), fact, prompts)
        expected = [lost(tiny, kept, min(count, 3), values=values) for count in COUNTS]
        assert found[0] == pytest.approx(expected, rel=1e-6)
        assert expected[0] != pytest.approx(lost(tiny, kept, 1), rel=1e-3)


def test_without_a_prompt_that_can_be_measured_there_is_no_cost(tiny, facts):
    fact, prompts = facts.facts[0].id, list(facts.prompts())
    for source, languages in ((Given({}), ("en", "fr")), (None, ("de",))):
        found = _cost(job_of(tiny, languages=languages), source, rankings_of(fact, 3, 2), fact, prompts)
        assert found.shape == (2, len(COUNTS))
        assert np.isnan(found).all()


def test_facts_without_an_unrelated_one_have_no_cost_and_if_none_has_one_that_is_an_error(tiny, facts):
    one, other, lone = (fact.id for fact in facts.facts[:3])
    prompts = Prompts(facts)
    own = {fact: prompts.of(prompts.facts[fact]) for fact in (one, other, lone)}
    away = {one: {"en": own[lone][:1], "fr": own[other][-1:]}, other: {"en": own[lone][:2], "fr": []}, lone: {}}
    job = job_of(tiny)
    job.own, job.prompts, job.held, job.progress, job.unrelated = own, prompts, facts, Progress(), lambda: away
    rankings = {"kn": {place: first for fact in own for place, first in rankings_of(fact, 3)["m0"].items()}}
    found = _costs(job, "zero", rankings, list(own), 0)
    assert list(found) == [one, other]
    for fact, sides in found.items():
        others = [prompt for group in away[fact].values() for prompt in group]
        for side, asked in zip(sides, (own[fact], others), strict=True):
            assert side[0] == pytest.approx([lost(tiny, asked, min(count, 3)) for count in COUNTS], rel=1e-6)
    with pytest.raises(UsageError, match="take more facts"):
        _costs(job, "zero", rankings, [lone], 0)


def log_odds(said):
    return said.log_probability - math.log1p(-said.probability)


@pytest.mark.parametrize("kept", [("en", "fr"), ("fr",), ()])
def test_what_is_put_in_raises_the_facts_object_and_the_receivers_by_their_log_odds(tiny, facts, kept):
    """Means over the templates of a language, then over languages that have some; a fact alone in its relation has no
    receiver, and one without prompts no rise.
    """
    fact, receiver, *_, lone = facts.facts
    prompts = Prompts(facts)
    job = job_of(tiny)
    job.own = {one.id: prompts.of(one, kept) for one in (fact, lone)}
    job.prompts, job.held, job.progress = prompts, replace(facts, facts=[fact, receiver, lone]), Progress()
    tables = rankings_of(fact.id, 3)["m0"] | rankings_of(lone.id, 3)["m0"]
    found = _rises(job, {"kn": tables}, [fact.id, lone.id], 0)
    assert list(found) == [fact.id] * bool(kept)
    for place, count in enumerate(COUNTS if kept else ()):
        rises = {(side, code): [] for side in (0, 1) for code in kept}
        for prompt in job.own[fact.id]:
            code, cut = prompt.language, tuple(sorted(FIRST[prompt.language][:count]))
            places = [[n[i] for n in cut] for i in (0, 1)]
            (values,) = values_of(tiny, [prompt], lambda _, kept, places=places: kept[places[0], places[1]])
            for side, answer in enumerate((fact, receiver)):
                label = Label(receiver.labels[code].subject, answer.labels[code].object)
                asked = Prompt(Fact("P36", "s", "o", {code: label}), prompt.template)
                before, after = measure(tiny, [Case(asked), Case(asked, cut, 0.0, values)])
                rises[side, code].append(log_odds(after) - log_odds(before))
        for side in (0, 1):
            expected = np.mean([np.mean(rises[side, code]) for code in kept])
            assert found[fact.id][side][0, place] == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_log_odds_are_those_of_the_views(tmp_path):
    """At a probability of 1, too, and at one that no number tells from it."""
    with atlas.open(tmp_path / "a.duckdb", "w") as opened:
        for log in (-600.0, -1.0, -1e-3, -1e-15, -1e-17, 0.0):
            expected = opened.sql("SELECT log_odds(?) AS it", [math.exp(log)]).to_pylist()[0]["it"]
            assert _log_odds(SimpleNamespace(log_probability=log)) == pytest.approx(expected, rel=5e-3)


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


@pytest.mark.parametrize("count", [1, TIMED, TIMED + 1, 5 * TIMED + 7])
def test_scoring_is_timed_on_a_few_prompts_from_all_over(monkeypatch, count):
    asked = []
    monkeypatch.setattr("atlas.attribution.attribute", lambda _, prompts, *__: asked.append(list(prompts)))
    own = {1: range(count // 3), 2: range(count // 3, count)}
    job = SimpleNamespace(own=own, model=None, options=EvaluateOptions(), budget=None)
    _milliseconds(job, ["kn"])
    timed = asked[-1]
    assert min(count, TIMED / 2) <= len(timed) <= TIMED
    assert len({later - sooner for sooner, later in pairwise(timed)}) <= 1, "evenly spread"
    assert timed[-1] >= count - count / len(timed)


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
