"""Every view against what the method says, worked out by brute force for many runs in one atlas."""

import shutil
from collections import Counter, defaultdict
from contextlib import contextmanager
from itertools import combinations, product

import numpy as np
import pytest
from scipy.stats import binom
from store.world import (
    FLOOR,
    LAYERS,
    NEURONS,
    add_facts,
    add_run,
    highest,
    knowledge,
    likn,
    mean_score,
    partners,
    passing,
    random_world,
    tail,
)

import atlas
from atlas.errors import StoreError

MANY = 30
THRESHOLDS = [{"tau": tau, "share": share} for tau, share in product((0.05, 0.4, 1.0), (0.0, 0.5))]


@contextmanager
def _of_many(path, floor):
    """An open atlas of many runs, and each run's world by its id."""
    worlds = [random_world(seed) for seed in range(MANY)]
    with atlas.open(path, "a") as writer:
        add_facts(writer, worlds)
        runs = {add_run(writer, world, seed=seed, floor=floor): world for seed, world in enumerate(worlds)}
    with atlas.open(path) as reader:
        yield reader, runs


@pytest.fixture(scope="module")
def held(empty, tmp_path_factory):
    """An open atlas of many runs, and each run's world by its id."""
    with _of_many(shutil.copy(empty, tmp_path_factory.mktemp("oracle") / "oracle.duckdb"), FLOOR) as many:
        yield many


@pytest.fixture(scope="module")
def every_score(empty, tmp_path_factory):
    """The same with runs that keep every score."""
    with _of_many(shutil.copy(empty, tmp_path_factory.mktemp("oracle") / "whole.duckdb"), 0) as many:
        yield many


def rows(atlas, query, **params):
    return atlas.sql(query, params).to_pylist()


def facts(world):
    """The facts' numbers with their ids."""
    return [(number, world.fact(number).id) for number in range(len(world.relations))]


def numbered(world, fact):
    return next(number for number, identity in facts(world) if identity == fact)


@pytest.mark.quick(1)
@pytest.mark.parametrize("thresholds", THRESHOLDS, ids=str)
def test_knowledge_neurons(held, thresholds):
    reader, runs = held
    query = "FROM knowledge_neuron_at(tau := $tau, share := $share)"
    found = [(r["run"], r["fact"], r["language"], r["layer"], r["neuron"]) for r in rows(reader, query, **thresholds)]
    assert sorted(found) == sorted(
        (run, fact, language, layer, neuron)
        for run, world in runs.items()
        for number, fact in facts(world)
        for language in world.languages(number)
        for layer, neuron in knowledge(world, number, language, **thresholds)
    )


@pytest.mark.parametrize(("tau", "least"), [(0.2, 0.0), (0.05, 0.15)])
def test_least_and_suppressing_neurons(held, tau, least):
    reader, runs = held
    for view, sign in (("knowledge_neuron", 1), ("suppressing_neuron", -1)):
        found = rows(reader, f"FROM {view}_at(tau := $tau, least := $least)", tau=tau, least=least)
        expected = []
        for (run, world), (number, fact) in ((item, each) for item in runs.items() for each in facts(item[1])):
            for code in world.languages(number):
                usable = world.usable(number, code)
                bars = [max(tau * float(p.matrix.max()), least * 0.5) for p in usable]
                sets = [
                    (sign * p.matrix.astype(float) > bar) & (p.matrix.max() > 0)
                    for p, bar in zip(usable, bars, strict=True)
                ]
                above = sum(sets)
                mean = sum(p.matrix * own for p, own in zip(usable, sets, strict=True)) / np.maximum(above, 1)
                passing = map(tuple, np.argwhere(above > 0.5 * len(usable)).tolist())
                expected += [(run, fact, code, *n, above[n], pytest.approx(mean[n], rel=1e-5)) for n in passing]
        assert expected
        names = ("run", "fact", "language", "layer", "neuron", "found", "score")
        assert sorted(tuple(r[name] for name in names) for r in found) == sorted(expected, key=lambda row: row[:6])


def test_only_languages_in_which_the_model_knows_the_fact_count(held):
    reader, runs = held
    found = {(r["run"], r["fact"], r["layer"], r["neuron"]) for r in rows(reader, "FROM likn_at(known := true)")}
    expected = set()
    for run, world in runs.items():
        for number, fact in facts(world):
            counts = {code: [p.known for p in world.usable(number, code)] for code in world.languages(number)}
            sets = [knowledge(world, number, code) for code, known in counts.items() if 2 * sum(known) > len(known)]
            expected |= {(run, fact, *n) for n in set.intersection(*sets) if len(sets) > 1} if sets else set()
    assert found == expected
    assert found


def _divided(world, tau):
    """Rows of knowledge neurons by scores divided by their layer's sum."""
    return [
        (fact, code, *neuron)
        for number, fact in facts(world)
        for code in world.languages(number)
        for neuron in knowledge(world, number, code, tau, normalization="layer")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("tau", [0.01, 0.3])
def test_scores_divided_by_their_layers_sum(every_score, tau):
    reader, runs = every_score
    found = rows(reader, f"FROM knowledge_neuron_at(tau := {tau}, normalization := 'layer')")
    assert sorted((r["run"], r["fact"], r["language"], r["layer"], r["neuron"]) for r in found) == sorted(
        (run, *row) for run, world in runs.items() for row in _divided(world, tau)
    )
    assert len({r["run"] for r in found}) == MANY


@pytest.mark.slow
def test_divided_scores_are_of_all_scores_or_an_error(holding):
    answered, refused = Counter(), {0.01: [], 0.3: []}
    for seed in range(MANY):
        world = random_world(seed)
        with holding(world) as (reader, _):
            for tau, told in refused.items():
                query = f"FROM knowledge_neuron_at(tau := {tau}, normalization := 'layer')"
                try:
                    found = rows(reader, query)
                except StoreError as error:
                    told.append("floor" in str(error))
                    continue
                answered[tau] += 1
                assert sorted((r["fact"], r["language"], r["layer"], r["neuron"]) for r in found) == sorted(
                    _divided(world, tau)
                )
    for tau, told in refused.items():
        assert set(told) == {True}
        assert answered[tau] > 0 or tau < FLOOR


@pytest.mark.parametrize("least", [None, 1, 2, 3])
@pytest.mark.parametrize("thresholds", THRESHOLDS[2:4], ids=str)
def test_likn(held, thresholds, least):
    reader, runs = held
    query = "FROM likn_at(tau := $tau, share := $share, min_languages := $least)"
    found = [(r["run"], r["fact"], r["layer"], r["neuron"]) for r in rows(reader, query, least=least, **thresholds)]
    assert sorted(found) == sorted(
        (run, fact, *neuron)
        for run, world in runs.items()
        for number, fact in facts(world)
        for neuron in likn(world, number, least, **thresholds)
    )


def test_likn_says_in_which_languages(held):
    reader, runs = held
    for row in rows(reader, "FROM likn_at(min_languages := 1)"):
        world = runs[row["run"]]
        number, neuron = numbered(world, row["fact"]), (row["layer"], row["neuron"])
        usable = world.languages(number)
        probed = {probe.language for probe in world.probes if probe.fact == number}
        assert row["languages"] == [code for code in usable if neuron in knowledge(world, number, code)]
        assert row["n_languages"] == len(row["languages"])
        means = [mean_score(world, number, code, neuron) for code in row["languages"]]
        assert row["score"] == pytest.approx(np.mean(means), rel=1e-6)
        assert row["of_languages"] == len(usable)
        assert row["missing_languages"] == sorted(probed - set(usable))


def test_scores_are_means_over_the_prompts_that_pass(held):
    reader, runs = held
    for row in rows(reader, "FROM knowledge_neuron_all WHERE definition = 'default'"):
        world = runs[row["run"]]
        neuron = (row["layer"], row["neuron"])
        expected = mean_score(world, numbered(world, row["fact"]), row["language"], neuron)
        assert row["score"] == pytest.approx(expected, rel=1e-6)
        assert row["usable"] == len(world.usable(numbered(world, row["fact"]), row["language"]))


@pytest.mark.slow
@pytest.mark.parametrize("least", [None, 2])
def test_specificity(held, least):
    reader, runs = held
    found = reader.likn(min_languages=least, tau=0.2).to_pylist()
    one = found[len(found) // 2]
    alone = reader.likn(fact=one["fact"], run=one["run"], min_languages=least, tau=0.2).to_pylist()
    assert alone == [row for row in found if (row["run"], row["fact"]) == (one["run"], one["fact"])]
    for row in found:
        world = runs[row["run"]]
        number, neuron = numbered(world, row["fact"]), (row["layer"], row["neuron"])
        others = [world.relations[n] for n, _ in facts(world) if n != number and neuron in likn(world, n, least)]
        relation = world.relations[number]
        assert row["same_relation"] == others.count(relation)
        assert row["other_relations"] == len(others) - others.count(relation)


@pytest.mark.slow
@pytest.mark.parametrize("least", [None, 1, 2])
def test_chance(held, least):
    reader, runs = held
    found = {
        (row["run"], row["fact"]): row
        for row in rows(reader, "FROM likn_control_at(min_languages := $least)", least=least)
    }
    asked = {
        (r, fact) for r, world in runs.items() for number, fact in facts(world) if len(world.languages(number)) > 1
    }
    assert set(found) == asked
    for (run, fact), row in found.items():
        world, number = runs[run], numbered(runs[run], fact)
        sizes = [len(knowledge(world, number, language)) for language in world.languages(number)]
        wanted = least or len(sizes)
        assert row["sizes"] == sizes
        assert row["observed"] == len(likn(world, number, least))
        expected = sum(tail(LAYERS * NEURONS, sizes, n, wanted) for n in range(1, LAYERS * NEURONS + 1))
        assert row["expected"] == pytest.approx(float(expected), abs=1e-9)
        assert wanted <= len(sizes) or row["p_value"] == 1
        if wanted < len(sizes):
            mean = min(1.0, row["expected"] / (LAYERS * NEURONS))
            assert row["p_value"] == pytest.approx(binom.sf(row["observed"] - 1, LAYERS * NEURONS, mean), abs=1e-9)
        if wanted == len(sizes):
            exact = tail(LAYERS * NEURONS, sizes, row["observed"])
            assert row["p_value"] == pytest.approx(float(exact), abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("least", [None, 2])
def test_different_facts(held, least):
    reader, runs = held
    compared = lacking = 0
    for row in rows(reader, "FROM likn_control_at(min_languages := $least)", least=least):
        world = runs[row["run"]]
        number = numbered(world, row["fact"])
        languages = world.languages(number)
        for column, same in (("same_relation", True), ("other_relations", False)):
            others = [partners(world, number, slot, code, same) for slot, code in enumerate(languages)]
            if None in others:
                assert row[column] is row[f"{column}_own"] is row[f"{column}_short"] is None
                continue
            sizes = [len(knowledge(world, number, code)) for code in languages]
            lent = [highest(world, *asked) for asked in zip(others, languages, sizes, strict=True)]
            own = [highest(world, number, code, len(each)) for code, each in zip(languages, lent, strict=True)]
            for name, sets in ((column, lent), (f"{column}_own", own)):
                counts = Counter(neuron for each in sets for neuron in each)
                assert row[name] == sum(n >= (least or len(languages)) for n in counts.values())
            assert row[f"{column}_short"] == sum(sizes) - sum(map(len, lent))
            assert row[f"{column}_own"] <= row["observed"]
            lacking += row[f"{column}_own"] < row["observed"]
            compared += len(languages) > 1
    assert compared > MANY
    assert lacking


@pytest.mark.slow
@pytest.mark.parametrize("least", [None, 2])
def test_profile_of_a_position(held, least):
    """By layer and language, and over all languages; of facts with a partner in each of their languages."""
    reader, runs = held
    counts, alone = defaultdict(Counter), 0
    for (run, world), (number, _) in ((item, each) for item in runs.items() for each in facts(item[1])):
        codes = world.languages(number)
        own = [knowledge(world, number, code) for code in codes]
        kinds = {"likn": own} if len(codes) > 1 else {}
        for column, same in (("same_relation", True), ("other_relations", False)) if kinds else ():
            others = [partners(world, number, slot, code, same) for slot, code in enumerate(codes)]
            alone += None in others and any(other is not None for other in others[1:])
            if None not in others:
                lent = [highest(world, n, code, len(k)) for n, code, k in zip(others, codes, own, strict=True)]
                cut = [highest(world, number, code, len(each)) for code, each in zip(codes, lent, strict=True)]
                kinds |= {column: lent, f"{column}_own": cut}
        for code, (layer, _) in ((code, n) for code, each in zip(codes, own, strict=True) for n in each):
            for language in (code, None):
                counts[run, layer, language]["knowledge_neurons"] += 1
        for kind, neuron in ((kind, n) for kind, sets in kinds.items() for n in set().union(*sets)):
            spoken = [code for code, each in zip(codes, kinds[kind], strict=True) if neuron in each]
            for language in (*spoken, None) if len(spoken) >= (least or len(codes)) else ():
                counts[run, neuron[0], language][kind] += 1
    found = rows(reader, "FROM position_profile_of(thresholds(min_languages := $least))", least=least)
    kinds = (
        "knowledge_neurons",
        "likn",
        *(f"{c}{own}" for c in ("same_relation", "other_relations") for own in ("", "_own")),
    )
    assert {(r["run"], r["layer"], r["language"]): [r[kind] for kind in kinds] for r in found} == {
        key: [each[kind] for kind in kinds] for key, each in counts.items()
    }
    assert {r["position"] for r in found} == {"query"}
    assert alone


def test_layer_distribution(held):
    reader, runs = held
    found = rows(reader, "FROM layer_distribution_all WHERE definition = 'default'")
    held_by, whole = defaultdict(list), Counter()
    for run, world in runs.items():
        for number, _ in facts(world):
            kinds = {("knowledge neuron", code): knowledge(world, number, code) for code in world.languages(number)}
            for kind, own in (kinds | {("likn", None): likn(world, number)}).items():
                whole[run, *kind] += len(own)
                for layer, neuron in own:
                    held_by[run, *kind, layer].append(neuron)
    assert {
        (r["run"], r["kind"], r["language"], r["layer"]): (r["pairs"], r["neurons"], r["share"]) for r in found
    } == {key: (len(own), len({*own}), pytest.approx(len(own) / whole[key[:3]])) for key, own in held_by.items()}


@pytest.mark.slow
def test_language_overlap(held):
    reader, runs = held
    found = {
        (row["run"], row["language_a"], row["language_b"]): row
        for row in rows(reader, "FROM language_overlap_all WHERE definition = 'default'")
    }
    asked = set()
    for run, world in runs.items():
        for a, b in combinations(("en", "fr", "zh"), 2):
            both = [
                number
                for number, _ in facts(world)
                if {a, b} <= set(world.languages(number)) and knowledge(world, number, a) | knowledge(world, number, b)
            ]
            if not both:
                continue
            asked.add((run, a, b))
            row = found[run, a, b]
            pairs = [(knowledge(world, n, a), knowledge(world, n, b)) for n in both]
            assert row["facts"] == len(both)
            assert row["overlap"] == pytest.approx(sum(len(x & y) for x, y in pairs) / len(both))
            expected = sum(len(x) * len(y) / (LAYERS * NEURONS) for x, y in pairs) / len(both)
            assert row["expected"] == pytest.approx(expected, rel=1e-6)
            jaccards = [len(x & y) / len(x | y) for x, y in pairs]
            assert row["jaccard"] == pytest.approx(sum(jaccards) / len(jaccards), rel=1e-6)
    assert set(found) == asked


@pytest.mark.slow
def test_overlap_of_different_facts_at_equal_sizes(held):
    reader, runs = held
    lacking = 0
    for row in rows(reader, "FROM language_overlap_all WHERE definition = 'default'"):
        world, a, b = runs[row["run"]], row["language_a"], row["language_b"]
        for column, same in (("same_relation", True), ("other_relations", False)):
            lent, own, short = [], [], []
            for number, _ in facts(world):
                first, second = knowledge(world, number, a), knowledge(world, number, b)
                if not {a, b} <= set(world.languages(number)) or not first | second:
                    continue
                other = partners(world, number, 1, b, same)
                if other is not None:
                    borrowed = highest(world, other, b, len(second))
                    lent.append(len(first & set(borrowed)))
                    own.append(len(first & set(highest(world, number, b, len(borrowed)))))
                    short.append(len(second) - len(borrowed))
            means = [np.mean(each) if each else None for each in (lent, own)]
            assert [row[column], row[f"{column}_own"]] == [
                mean if mean is None else pytest.approx(mean) for mean in means
            ]
            assert row[f"{column}_short"] == (sum(short) if short else None)
            lacking += own != [] and row[f"{column}_own"] < row["overlap"]
    assert lacking


def test_neuron_summary_and_specific_neurons(held):
    reader, runs = held
    summary = {
        (r["run"], r["layer"], r["neuron"]): r
        for r in rows(reader, "FROM neuron_summary_all WHERE definition = 'default'")
    }
    specific = rows(reader, "FROM language_specific_neuron_all WHERE definition = 'default'")
    serves = {}
    for run, world in runs.items():
        for number, _ in facts(world):
            for code in world.languages(number):
                for neuron in knowledge(world, number, code):
                    serves.setdefault((run, *neuron), set()).add((number, code))
    assert set(summary) == set(serves)
    for key, where in serves.items():
        world, row = runs[key[0]], summary[key]
        numbers = {number for number, _ in where}
        assert row["facts"] == len(numbers)
        assert row["languages"] == len({code for _, code in where})
        assert row["relations"] == len({world.relations[number] for number in numbers})
        means = [mean_score(world, number, code, key[1:]) for number, code in where]
        assert row["score"] == pytest.approx(np.mean(means), rel=1e-6)
        assert row["likn_facts"] == sum(key[1:] in likn(world, number) for number, _ in facts(world))
    assert {(r["run"], r["layer"], r["neuron"]): (r["language"], r["facts"]) for r in specific} == {
        key: (next(iter(where))[1], len(where))
        for key, where in serves.items()
        if len({code for _, code in where}) == 1
    }


def test_usage_warnings(held):
    reader, runs = held
    expected = {(run, None, None, "model revision not pinned") for run in runs}
    for run, world in runs.items():
        for number, fact in facts(world):
            expected |= {(run, fact, None, "single language")} if len(world.languages(number)) == 1 else set()
            for code in world.languages(number):
                usable, key = world.usable(number, code), (run, fact, code)
                expected |= {(*key, "single template")} if len(usable) == 1 else set()
                expected |= {(*key, "not converged")} if any(p.status == "not_converged" for p in usable) else set()
                strange = {(*key, "words that the tokenizer does not know")}
                expected |= strange if any(p.unknown for p in usable) else set()
                expected |= {(*key, "model does not know the answer")} if not any(p.known for p in usable) else set()
    found = rows(reader, "FROM usage_warning")
    assert {(r["run"], r["fact"], r["language"], r["warning"]) for r in found} == expected


def _agreement(pairs):
    shares = [len(a & b) / len(a | b) for a, b in pairs if a | b]
    return sum(shares) / len(shares) if shares else None


def test_stability(held):
    reader, runs = held
    found = {(r["run"], r["fact"], r["language"]): r for r in rows(reader, "FROM stability_at(least := 0.0)")}
    assert set(found) == {(r, f, c) for r, world in runs.items() for n, f in facts(world) for c in world.languages(n)}
    decided = set()
    for (run, fact, code), row in found.items():
        world = runs[run]
        number = numbered(world, fact)
        sets = {n: [passing(p, 0.2) for p in world.usable(n, code)] for n, _ in facts(world)}
        other = partners(world, number, 1, code, True)
        own, control = _agreement(combinations(sets[number], 2)), _agreement(product(sets[number], sets.get(other, [])))
        assert row["wordings"] == len(sets[number])
        assert row["jaccard"] == (own if own is None else pytest.approx(own))
        assert row["different_facts"] == (control if control is None else pytest.approx(control))
        assert row["stable"] == (
            None if own is None or control is None else pytest.approx(own) != control and own > control
        )
        decided.add(row["stable"])
    assert decided == {True, False, None}


@pytest.mark.parametrize(("found", "asked"), [(0, 1), (1, 1), (3, 4), (40, 100)])
def test_wilson_intervals_are_where_the_score_test_is_at_its_bound(held, found, asked):
    reader, _ = held
    low, high = rows(reader, f"SELECT wilson({found}, {asked}) AS interval")[0]["interval"]
    assert 0 <= low <= found / asked + 1e-12
    assert found / asked - 1e-12 <= high <= 1
    for bound in (low, high):
        if 1e-6 < bound < 1 - 1e-6:
            assert abs(found / asked - bound) / (bound * (1 - bound) / asked) ** 0.5 == pytest.approx(
                1.959964, rel=1e-4
            )
