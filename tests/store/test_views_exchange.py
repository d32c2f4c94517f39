"""The exchange null and its q-values, against brute force on the facts that the draws name."""

import random
from collections import Counter, defaultdict
from dataclasses import replace
from functools import cache
from itertools import permutations
from math import perm

import numpy as np
import pytest
from scipy.stats import false_discovery_control, kstest
from store.world import Probed, World, add_facts, add_run, highest, knowledge, likn, random_world

import atlas

SEEDS, DRAWS = range(40, 52), 30


class InFour(World):
    """Facts that have names in a fourth language, too."""

    def fact(self, number):
        known = super().fact(number)
        return replace(known, labels={**known.labels, "ru": known.labels["en"]})


def in_four_languages():
    """Facts of one relation, of which some share some neurons in all languages and others in all but one or two."""
    pick = random.Random(4)
    probes = [
        Probed(fact, code, 0, "ok", _one_hots(pick.sample(range(6), pick.randint(3, 5))))
        for fact in range(7)
        for code in ("en", "fr", "ru", "zh")
    ]
    return InFour(("P3",) * 7, tuple(probes))


@pytest.fixture(scope="module")
def held(empty, tmp_path_factory):
    """An open atlas of many runs, and each run's world by its id."""
    path = tmp_path_factory.mktemp("exchange") / "exchange.duckdb"
    path.write_bytes(empty.read_bytes())
    worlds = [in_four_languages(), *(random_world(seed, facts=20) for seed in SEEDS)]
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


@pytest.fixture(scope="module")
def best(held):
    """The best neurons of a run's fact in a language, counted once."""
    _, runs = held
    return cache(lambda run, number, code, size: highest(runs[run], number, code, size))


def common(sets, least):
    counts = Counter(neuron for each in sets for neuron in each)
    return sum(n >= least for n in counts.values())


@pytest.mark.slow
@pytest.mark.parametrize("least", [None, 2])
def test_p_by_brute_force_and_q_step_up(held, best, least):
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
            hits, found, kept = 0, [], []
            for draw in made.values():
                lent = [best(run, numbers[draw[code]], code, size) for code, size in zip(codes, sizes, strict=True)]
                cut = [best(run, number, code, len(s)) for code, s in zip(codes, lent, strict=True)]
                found.append(common(lent, asked))
                kept.append(common(cut, asked))
                hits += found[-1] >= kept[-1]
            if made:
                tested += 1
                assert row["p_exchange"] == pytest.approx((1 + hits) / (1 + len(made)))
                assert row["in_exchanged_facts"] == pytest.approx(np.mean(found))
                assert row["in_exchanged_facts_own"] == pytest.approx(np.mean(kept))
        for control in ("same relation", "other relations"):
            pairs = [(r["p_exchange"], r["q"]) for r in own if r["control"] == control and r["reason"] is None]
            if pairs:
                p, q = zip(*pairs, strict=True)
                assert q == pytest.approx(false_discovery_control(p))
                assert all(a <= b + 1e-12 for a, b in pairs)
    assert tested > len(runs)


@pytest.mark.slow
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


def _one_hots(places):
    """Scores of one prompt whose knowledge neurons are at `places` of 12."""
    return tuple(float(place in places) for place in range(12))


def _world(sets):
    """Facts of one relation with a prompt in each of one or two languages; `sets` are their neurons by language."""
    probes = [
        Probed(fact, code, 0, "ok", _one_hots(places))
        for fact, own in enumerate(sets)
        for code, places in zip(("en", "fr"), own, strict=False)
    ]
    return World(("P1",) * len(sets), tuple(probes))


def test_p_falls_as_the_overlap_grows(holding):
    others = [((fact % 3, 4), (fact % 4, 5)) for fact in range(9)]
    own = [((0, 1, 2), french) for french in ((9, 10, 11), (0, 10, 11), (0, 1, 11), (0, 1, 2))]
    found = []
    for sets in own:
        world = _world([sets, *others])
        with holding(world) as (writer, run):
            query = "FROM likn_exchange_at() WHERE run = $run AND fact = $fact AND control = 'same relation'"
            (row,) = writer.sql(query, {"run": run, "fact": world.fact(0).id}).to_pylist()
            found.append((row["observed"], row["p_exchange"]))
    assert [observed for observed, _ in found] == [0, 1, 2, 3]
    p = [p for _, p in found]
    assert p == sorted(p, reverse=True)
    assert p[0] == 1 > p[1] > p[-1]


def test_no_draw_takes_one_fact_in_two_languages_where_facts_lack_some(holding):
    """Four facts of neurons of their own, the same in both languages, between facts of one language."""
    sets = [({place, place + 1},) * (2 if place % 3 else 1) for place in range(0, 12, 2)]
    with holding(_world(sets)) as (writer, run):
        query = "SELECT p_exchange AS p, draws FROM likn_exchange_at() WHERE run = ? AND control = 'same relation'"
        found = writer.sql(query, [run]).to_pylist()
    assert len(found) == 4
    assert all(row["p"] == 1 / (1 + row["draws"]) for row in found)


@pytest.mark.slow
def test_p_is_no_smaller_than_uniform_where_facts_are_exchanged(holding):
    """Kolmogorov and Smirnov, one-sided: sets are drawn for each fact and language alone, hubs more often."""
    p = []
    for seed in range(6):
        pick = random.Random(seed)
        draw = lambda pick=pick: {min(int(pick.expovariate(0.3)), 11) for _ in range(4)}  # noqa: E731
        with holding(_world([(draw(), draw()) for _ in range(25)])) as (writer, run):
            query = "SELECT p_exchange AS p FROM likn_exchange_at() WHERE run = ? AND control = 'same relation'"
            p += writer.sql(query, [run])["p"].to_pylist()
    assert len(p) == 150
    assert len(set(p)) > 20
    assert kstest(p, "uniform", alternative="greater").pvalue > 0.01


@pytest.mark.slow
def test_a_run_has_one_p_whatever_else_the_atlas_holds(empty, tmp_path):
    """Six runs of 20 facts under three definitions, each with more choices than draws."""
    path = tmp_path / "many.duckdb"
    path.write_bytes(empty.read_bytes())
    world = _in_three_languages(20)
    asked = "SELECT fact, n_draws, p_exchange, q FROM {} WHERE run = $run AND definition = 'default' ORDER BY fact"
    with atlas.open(path, "a") as writer:
        add_facts(writer, [world])
        run = add_run(writer, world)
        alone = writer.sql(asked.format("likn_control_all"), {"run": run}).to_pylist()
        for seed in range(1, 6):
            add_run(writer, world, seed=seed)
        assert writer.sql(asked.format("likn_control_all"), {"run": run}).to_pylist() == alone
        one = "likn_control_of(definition_of('default', $run), NULL)"
        assert writer.sql(asked.format(one), {"run": run}).to_pylist() == alone
    assert {row["n_draws"] for row in alone} == {999}


@pytest.mark.slow
def test_the_overlap_of_languages_has_as_many_draws_whatever_else_the_atlas_holds(empty, tmp_path):
    path = tmp_path / "two.duckdb"
    path.write_bytes(empty.read_bytes())
    small, large = _in_three_languages(5), _in_three_languages(20)
    asked = (
        "SELECT n_draws, p_exchange FROM language_overlap_all WHERE run = $run AND definition = 'default' ORDER BY ALL"
    )
    with atlas.open(path, "a") as writer:
        add_facts(writer, [large])
        run = add_run(writer, small)
        alone = writer.sql(asked, {"run": run}).to_pylist()
        add_run(writer, large, seed=1)
        assert writer.sql(asked, {"run": run}).to_pylist() == alone
    assert {row["n_draws"] for row in alone} == {4}


def _in_three_languages(facts):
    """Facts of one relation with one prompt in each of three languages, of neurons that are drawn."""
    pick = random.Random(facts)
    probes = [
        Probed(fact, code, 0, "ok", _one_hots(pick.sample(range(12), 4)))
        for fact in range(facts)
        for code in ("en", "fr", "zh")
    ]
    return World(("P1",) * facts, tuple(probes))
