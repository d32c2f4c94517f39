"""What a search for degenerate sets left out, against a plain list of all sets of made-up costs."""

import random
import shutil
from collections import Counter
from itertools import combinations, product

import numpy as np
import pytest
from quick import first_quick
from store.world import Probed, World, add_run, fill

import atlas
from atlas.errors import StoreError, UsageError
from atlas.knockouts.rows import Trial, to_table
from atlas.knockouts.sets import set_id

NEURONS = [(0, 0), (0, 2), (1, 1), (2, 0)]
SCORES = (1.0, 0.0, 0.6, 0.1, 0.0, 0.5, 0.0, 0.0, 0.4, 0.3, 0.0, 0.0)
WORLD = World(
    ("P1", "P1", "P1"),
    tuple(Probed(fact, "en", 0, "ok", scores) for fact, scores in enumerate([SCORES, SCORES, (0.0,) * 12])),
)


def costs(seed):
    """The cost of every set of up to three neurons; half of them small."""
    pick = random.Random(seed)
    return {s: pick.choice([0.05, 0.1, 0.3, 0.5]) for size in (1, 2, 3) for s in combinations([*NEURONS, (2, 1)], size)}


def parts(neurons):
    return [s for size in range(1, len(neurons)) for s in combinations(neurons, size)]


def searched(cost, known, low):
    """The sets that a search at `low` tries: singles, pairs, and sets of which no part costs more."""
    tried = [s for s in cost if set(s) <= set(known)]
    return [s for s in tried if len(s) < 3 or all(cost[part] <= low for part in parts(s))]


@pytest.fixture(params=first_quick(21, *range(6)))
def measured(request, path):
    """An atlas with knock-outs of two facts, searched at 0.2 among four neurons, and the costs of each fact's sets."""
    with atlas.open(path, "a") as writer:
        run = fill(writer, WORLD)
        by_fact = {}
        for number in (0, 1):
            cost = by_fact[WORLD.fact(number).id] = costs(2 * request.param + number)
            rows = [(Trial(s), 1 - cost[s]) for s in searched(cost, NEURONS, 0.2)]
            writer.load("knockout", to_table(run, WORLD.prompt(WORLD.probes[number]).id, 1.0, rows))
        yield writer, by_fact


@pytest.mark.parametrize(("tau", "low"), first_quick((0.2, 0.2), (0.2, 0.4), (0.45, 0.4), (0.2, 0.07), several=True))
def test_sets_that_were_not_tried_are_counted(measured, tau, low):
    opened, by_fact = measured
    known = [n for n, score in zip([*NEURONS, (2, 1)], (1.0, 0.6, 0.5, 0.4, 0.3), strict=True) if score > tau]
    query = f"FROM dkn_untried_of(thresholds(tau := {tau}, t_low := {low}))"
    found = {row["fact"]: row for row in opened.sql(query).to_pylist()}
    assert set(found) == set(by_fact)
    for fact, cost in by_fact.items():
        tried = searched(cost, NEURONS, 0.2)
        largest = max(len(s) for each in by_fact.values() for s in searched(each, NEURONS, 0.2))
        wanted = [s for s in searched(cost, known, low) if len(s) <= largest]
        missing = [s for s in wanted if len(s) > 1 and s not in tried and all(part in tried for part in parts(s))]
        assert found[fact]["untried_sets"] == len(missing)
        assert found[fact]["untried_neurons"] == len(set(known) - set(NEURONS))


@pytest.mark.slow
def test_the_rows_and_the_summary_say_so(measured):
    opened, _ = measured
    untried = Counter()
    for row in opened.sql("FROM dkn_untried_of(thresholds(t_low := 0.4))").to_pylist():
        untried.update(
            {"sets": row["untried_sets"], row["fact"]: row["untried_sets"], "neurons": row["untried_neurons"]}
        )
    assert all(
        row["untried_sets"] == untried[row["fact"]] for row in opened.sql("FROM dkn_at(t_low := 0.4)").to_pylist()
    )
    (summary,) = opened.sql("FROM dkn_summary_at(t_low := 0.4)").to_pylist()
    assert (summary["untried_sets"], summary["untried_neurons"]) == (untried["sets"], untried["neurons"])
    assert summary["facts"] == 3, "two facts knocked out and one without a knowledge neuron"


@pytest.mark.slow
def test_ways_of_cutting_stand_beside_each_other_as_each_does_alone(measured):
    opened, by_fact = measured
    cost = by_fact[WORLD.fact(1).id]
    rows = [(Trial(s), 1 - cost[s]) for s in searched(cost, NEURONS, 0.2)]
    (run,) = opened.sql("SELECT run FROM run").column("run").to_pylist()
    opened.load("knockout", to_table(run, WORLD.prompt(WORLD.probes[0]).id, 1.0, rows, "mean"))
    alone = [
        row
        for how in ("zero", "mean", "swap")
        for row in opened.sql(f"FROM dkn_summary_of(replaced(every_definition(), '{how}'))").to_pylist()
    ]
    beside = opened.sql("FROM dkn_by_replace_all").to_pylist()
    assert sorted(beside, key=str) == sorted(alone, key=str)
    assert {row["replace"] for row in beside} == {"zero", "mean"}


@pytest.mark.slow
def test_no_larger_sets_are_asked_for_than_the_run_tried_of_the_same_way_of_cutting(path):
    """Sets of three were zeroed, pairs at most became their mean; no cut costs anything."""
    with atlas.open(path, "a") as writer:
        run = fill(writer, WORLD)
        writer.define("averaged", replace="mean")
        for how, largest in (("zero", 3), ("mean", 2)):
            rows = [(Trial(s), 1.0) for size in range(1, 1 + largest) for s in combinations(NEURONS, size)]
            writer.load("knockout", to_table(run, WORLD.prompt(WORLD.probes[0]).id, 1.0, rows, how))
        query = "SELECT untried_neurons, untried_sets FROM {} WHERE definition IN ('default', 'averaged') ORDER BY ALL"
        found = [writer.sql(query.format(view)).to_pylist() for view in ("dkn_untried_all", "dkn_by_replace_all")]
    assert found == [[{"untried_neurons": 1, "untried_sets": 0}] * n for n in (2, 4)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("threshold", "word"),
    [
        *((name, "'foo'") for name in ("normalization", "replace")),
        *((name, "NULL") for name in ("tau", "normalization", "replace", "t_low", "t_high", "relation_share")),
    ],
)
@pytest.mark.parametrize("measured", [0], indirect=True)
def test_what_no_threshold_can_be_is_an_error_in_every_macro(measured, threshold, word):
    """However few of the macro's columns are asked for."""
    opened, _ = measured
    macros = opened.sql(
        "SELECT DISTINCT function_name AS name FROM duckdb_functions() WHERE function_type = 'table_macro' "
        "AND ends_with(function_name, '_at') AND list_contains(parameters, ?)", [threshold]
    )["name"].to_pylist()  # fmt: skip
    assert ("likn_at" if threshold in ("tau", "normalization") else "relation_dkn_at") in macros
    said = f"{threshold} '{'' if word == 'NULL' else 'foo'}'.* are no thresholds: tau is a share"
    for name in macros:
        for columns in ("*", "count(*)"):
            with pytest.raises(StoreError, match=said):
                opened.sql(f"SELECT {columns} FROM {name}({threshold} := {word})")


@pytest.mark.parametrize("measured", [0], indirect=True)
def test_a_definition_of_a_word_that_there_is_not_is_refused(measured):
    opened, _ = measured
    for threshold in ("normalization", "replace"):
        with pytest.raises(UsageError, match=f"{threshold} cannot be 'foo'"):
            opened.define("other", **{threshold: "foo"})


def test_a_summary_counts_the_facts_that_count_under_its_definition(path):
    """Of four facts the first two were cut to zero and the third to its mean; the second is not known."""
    world = World(
        ("P1",) * 4,
        tuple(Probed(n, "en", 0, "ok", SCORES if n < 3 else (0.0,) * 12, rank=1 + (n == 1)) for n in range(4)),
    )
    with atlas.open(path, "a") as writer:
        run = fill(writer, world)
        for number, how in ((0, "zero"), (1, "zero"), (2, "mean")):
            rows = [(Trial(s), after) for s, after in ((((0, 0),), 0.95), (((0, 2),), 0.95), (((0, 0), (0, 2)), 0.3))]
            writer.load("knockout", to_table(run, world.prompt(world.probes[number]).id, 1.0, rows, how))
        facts = {
            asked: [row["facts"] for row in writer.sql(f"FROM dkn_summary_at({asked})").to_pylist()]
            for asked in ("known := false", "known := true", "replace := 'mean'", "tau := 1.0, replace := 'mean'")
        }
    assert facts == {
        "known := false": [3],
        "known := true": [2],
        "replace := 'mean'": [2],
        "tau := 1.0, replace := 'mean'": [4],
    }


CUT = [(0, 0), (1, 1), (2, 0)]
TWINS = [dict(zip(CUT, drawn, strict=True)) for drawn in ([(0, 1), (1, 0), (2, 2)], [(0, 3), (1, 2), (2, 3)])]
"""The controls of two seeds, neuron by neuron."""


def drawn(pick):
    """Costs, eighths so that thresholds are met to the bit, of sets of one to three neurons and both their controls."""
    sets = [s for size in (1, 2, 3) for s in combinations(CUT, size)]
    trials = [Trial(s) for s in sets] + [Trial(tuple(t[n] for n in s), s) for t in TWINS for s in sets]
    return {trial: pick.randint(-1, 2 if len(trial.neurons) == 1 else 6) / 8 for trial in trials}


def scored(fact, code):
    """A prompt's scores by its fact and language: in some a neuron that is cut is no knowledge neuron."""
    low = {(1, "en"): 8, (3, "en"): 8, (2, "fr"): 5}.get((fact, code))
    return tuple(0.15 if place == low else score for place, score in enumerate(SCORES))


@pytest.fixture(scope="module")
def cut(empty, tmp_path_factory):
    """An open atlas with knock-outs of two runs over five facts of one relation and one of another, and all costs.

    What one prompt loses more the other loses less; of some facts a set's twins were tried without the set, of two in
    `fr` no twins. What is lost where neurons become their mean is another matter.
    """
    pick, costs = random.Random(3), {}
    asked = [(n, code, k) for n in range(6) for code in ("en", "fr") for k in (0, 1)]
    world = World(("P1",) * 5 + ("P2",), tuple(Probed(n, code, k, "ok", scored(n, code)) for n, code, k in asked))
    with atlas.open(shutil.copy(empty, tmp_path_factory.mktemp("cut") / "cut.duckdb"), "a") as writer:
        for run, probe in product((fill(writer, world), add_run(writer, world, seed=1)), world.probes):
            cost = costs.setdefault((run, world.fact(probe.fact).id, probe.language), {})
            lone = {CUT[0], CUT[1 + probe.fact % 2]} if probe.fact < 4 else set()
            if not probe.template:
                tried = {t: c for t, c in drawn(pick).items() if t.control or {*t.neurons} != lone}
                alone = (probe.fact, probe.language) in ((0, "fr"), (5, "fr"))
                cost.update({t: c for t, c in tried.items() if not (t.control and alone)})
            before, more = (0.25, 1 / 32) if probe.template else (0.75, -1 / 32)
            rows = [(trial, before * (1 - c) + more) for trial, c in cost.items()]
            means = [(trial, 0.0) for trial in drawn(pick) if probe.fact > 3]
            for became, trials in (("zero", rows), ("mean", means)):
                writer.load("knockout", to_table(run, world.prompt(probe).id, before, trials, became))
        scores = {(world.fact(n).id, code): scored(n, code) for n, code, _ in asked}
        yield writer, costs, lambda key, tau: {divmod(i, 4) for i, score in enumerate(scores[key[1:]]) if score > tau}


def degenerate(cost, known, low, high, strict, unit):
    """METHOD 3, Eq. 9-10: cost, largest cost of a part and interaction of each degenerate set and control."""
    found, counting = {}, {}
    for trial in cost:
        if trial.twin and len(trial.neurons) > 1:
            counting[trial.twin] = min(counting.get(trial.twin, set_id(trial.neurons)), set_id(trial.neurons))
    for trial, whole in cost.items():
        neurons, same = trial.neurons, {t.neurons: c * unit for t, c in cost.items() if t.control == trial.control}
        if len(neurons) == 1 or not {*(trial.twin or neurons)} <= known or not {*parts(neurons)} <= same.keys():
            continue
        if trial.control and counting[trial.twin] != set_id(neurons):
            continue
        largest, interaction = max(same[p] for p in parts(neurons)), whole * unit - sum(same[n,] for n in neurons)
        if whole * unit > high and largest <= low and (interaction > 0 or not strict):
            found[trial] = whole * unit, largest, interaction
    return found


@pytest.mark.parametrize(
    ("low", "high", "absolute", "strict", "tau"),
    first_quick(
        (0.25, 0.25, False, True, 0.2),
        (0.125, 0.25, False, False, 0.45),
        (0.125, 0.125, True, False, 0.2),
        several=True,
    ),
)
def test_degenerate_sets_and_their_controls_by_brute_force(cut, low, high, absolute, strict, tau):
    opened, costs, known = cut
    thresholds = f"t_low := {low}, t_high := {high}, absolute := {absolute}, strict := {strict}, tau := {tau}"
    unit = 0.5 if absolute else 1.0
    expected = {k: degenerate(c, known(k, tau), low, high, strict, unit) for k, c in costs.items()}
    for view, control in (("dkn_at", False), ("dkn_control_at", True)):
        rows = opened.sql(f"FROM {view}({thresholds})").to_pylist()
        assert {
            (r["run"], r["fact"], r["language"], *zip(r["layers"], r["neurons"], strict=True)):
            (r["cost"], r["largest_part_cost"], r["interaction"]) for r in rows
        } == {
            (*key, *trial.neurons): found
            for key, own in expected.items() for trial, found in own.items() if trial.control == control
        }  # fmt: skip
        assert rows
        assert {(r["prompts"], r["before"]) for r in rows} == {(2, 0.5)}
    relation = {fact: "P1" if n < 5 else "P2" for n, fact in enumerate(dict.fromkeys(fact for _, fact, _ in costs))}
    summary = {}
    for control in (False, True):
        found = {key: sum(t.control == control for t in own) for key, own in expected.items()}
        for row in {(run, relation[fact], code): [] for run, fact, code in costs}:
            own = [n for (run, fact, code), n in found.items() if (run, relation[fact], code) == row]
            facts = np.count_nonzero(own)
            told = [None] * 3 if control and row[1:] == ("P2", "fr") else [facts, facts / len(own), sum(own)]
            summary[row] = [*summary.get(row, [len(own)]), *told]
    names = ("facts_with_dkn", "share", "sets", "facts_with_control", "control_share", "control_sets")
    rows = opened.sql(f"FROM dkn_summary_at({thresholds})").to_pylist()
    found = {(r["run"], r["relation"], r["language"]): [r["facts"], *(r[name] for name in names)] for r in rows}
    assert found == summary
    alone = [t for own in expected.values() for t in own if t.control]
    assert any(Trial(t.twin) not in cost for cost in costs.values() for t in alone if t in cost)


@pytest.mark.parametrize(("kind", "share"), [("dkn", 0.5), ("dkn", 0.4), ("kn", 2 / 3)])
def test_neurons_of_a_relation_are_in_the_sets_of_enough_training_facts(cut, kind, share):
    """Counted in facts, of those that the split gives to training; more than a share of the neuron of most."""
    opened, costs, known = cut
    asked = f"relation_share := {share}, t_low := 0.25, t_high := 0.25"
    train = {r["fact"]: r["relation"] for r in opened.sql("FROM fact_split WHERE split = 'train'").to_pylist()}
    counts, expected = Counter(), {}
    for key, cost in costs.items():
        members = known(key, 0.2)
        if kind == "dkn":
            sets = degenerate(cost, members, 0.25, 0.25, False, 1.0)
            members = {neuron for trial in sets if not trial.control for neuron in trial.neurons}
        run, fact, code = key
        counts.update((run, train[fact], code, *neuron) for neuron in members if fact in train)
    for key, facts in counts.items():
        most = max(n for other, n in counts.items() if other[:3] == key[:3])
        if facts / most > share:
            expected[key] = facts, most
    rows = opened.sql(f"FROM relation_{kind}_of(thresholds({asked}))").to_pylist()
    places = ("run", "relation", "language", "layer", "neuron")
    assert {tuple(r[n] for n in places): (r["facts"], r["most_facts"]) for r in rows} == expected
    assert (len(expected) < len(counts)) == (share != 0.4)
