"""The exchange null and its q-values, against brute force on the facts that the draws name."""

from collections import Counter, defaultdict
from itertools import permutations
from math import perm

import numpy as np
import pytest
from store.world import add_facts, add_run, highest, knowledge, likn, random_world

import atlas

SEEDS, DRAWS = range(40, 52), 30


@pytest.fixture(scope="module")
def held(empty, tmp_path_factory):
    """An open atlas of many runs, and each run's world by its id."""
    path = tmp_path_factory.mktemp("exchange") / "exchange.duckdb"
    path.write_bytes(empty.read_bytes())
    worlds = [random_world(seed, facts=20) for seed in SEEDS]
    with atlas.open(path, "a") as writer:
        add_facts(writer, worlds)
        runs = {add_run(writer, world, seed=seed): world for seed, world in enumerate(worlds)}
        yield writer, runs


def drawn(reader, run):
    """The facts of each draw by case: fact and control, then draw, then language."""
    query = f"""
SELECT d.fact, d.language, d.other_relations AS other, d.draw, partner.fact AS partner
FROM exchange_draw_of(thresholds(), {DRAWS}) AS d
JOIN exchange_cell_of(thresholds()) AS partner ON partner.cell = d.partner
WHERE d.run = $run AND partner.run = $run AND partner.language = d.language
"""
    found = defaultdict(lambda: defaultdict(dict))
    for row in reader.sql(query, {"run": run}).to_pylist():
        found[row["fact"], row["other"]][row["draw"]][row["language"]] = row["partner"]
    return found


def common(sets, least):
    counts = Counter(neuron for each in sets for neuron in each)
    return sum(n >= least for n in counts.values())


def benjamini_hochberg(p):
    """For each p the smallest level at which the step-up rule rejects it, trying every level that matters."""
    p = np.array(p)
    rejecting = {value: len(p) * value / np.sum(p <= value) for value in p}
    return [min(level for other, level in rejecting.items() if other >= value) for value in p]


@pytest.mark.parametrize("least", [None, 2])
def test_p_by_brute_force_and_q_step_up(held, least):
    reader, runs = held
    rows = reader.sql(f"FROM likn_exchange_at(min_languages := $least, draws := {DRAWS})", {"least": least}).to_pylist()
    tested = 0
    for run, world in runs.items():
        numbers = {world.fact(number).id: number for number in range(len(world.relations))}
        draws = drawn(reader, run)
        own = [row for row in rows if row["run"] == run]
        assert {row["fact"] for row in own} == {f for f, n in numbers.items() if len(world.languages(n)) > 1}
        for row in own:
            number = numbers[row["fact"]]
            codes = world.languages(number)
            asked = least or len(codes)
            made = draws.get((row["fact"], row["control"] == "other relations"), {})
            assert row["observed"] == len(likn(world, number, least))
            assert row["draws"] == len(made)
            assert (row["p_exchange"] is None) == (row["reason"] is not None) == (not made)
            sizes = [len(knowledge(world, number, code)) for code in codes]
            hits, found = 0, []
            for draw in made.values():
                lent = [
                    highest(world, numbers[draw[code]], code, size) for code, size in zip(codes, sizes, strict=True)
                ]
                cut = [highest(world, number, code, len(s)) for code, s in zip(codes, lent, strict=True)]
                found.append(common(lent, asked))
                hits += found[-1] >= common(cut, asked)
            if made:
                tested += 1
                assert row["p_exchange"] == pytest.approx((1 + hits) / (1 + len(made)))
                assert row["in_exchanged_facts"] == pytest.approx(np.mean(found))
        for control in ("same relation", "other relations"):
            pairs = [(r["p_exchange"], r["q"]) for r in own if r["control"] == control and r["reason"] is None]
            if pairs:
                p, q = zip(*pairs, strict=True)
                assert q == pytest.approx(benjamini_hochberg(p))
                assert all(a <= b + 1e-12 for a, b in pairs)
    assert tested > len(runs)


def test_draws_take_other_facts_each_its_own_language(held):
    reader, runs = held
    for run, world in runs.items():
        numbers = {world.fact(number).id: number for number in range(len(world.relations))}
        for (fact, other), draws in drawn(reader, run).items():
            codes = world.languages(numbers[fact])
            relation = world.relations[numbers[fact]]
            for draw in draws.values():
                assert sorted(draw) == codes
                assert fact not in draw.values()
                assert all((world.relations[numbers[each]] != relation) == other for each in draw.values())
            whole = [{code for n in numbers.values() for code in world.languages(n)} == set(codes)]
            if all(world.languages(n) == codes for n in numbers.values()) and all(whole):
                assert all(len(set(draw.values())) == len(codes) for draw in draws.values())


@pytest.mark.parametrize(("others", "languages"), [(1, 1), (3, 2), (4, 3), (4, 4), (2, 3)])
def test_every_ordered_choice_is_made_once(held, others, languages):
    reader, _ = held
    count = perm(others, languages) if others >= languages else 0
    query = f"""
SELECT nth_choice({others}, {languages}, range, true) AS places, ordered_choices({others}, {languages}) AS possible
FROM range({max(count, 1)})
"""
    rows = reader.sql(query).to_pylist()
    assert rows[0]["possible"] == count
    if count:
        assert sorted(tuple(row["places"]) for row in rows) == sorted(permutations(range(others), languages))
