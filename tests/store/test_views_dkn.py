"""What a search for degenerate sets left out, against a plain list of all sets of made-up costs."""

import random
from collections import Counter
from itertools import combinations

import pytest
from quick import first_quick
from store.world import Probed, World, fill

import atlas
from atlas.errors import StoreError, UsageError
from atlas.knockouts.rows import Trial, to_table

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
