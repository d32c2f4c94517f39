"""What stands beside LIKNs: untrained twins, shared spelling, exchanged facts; against brute force."""

import random
import re
from collections import defaultdict
from dataclasses import replace
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from project.source import ROOT
from scipy.stats import binomtest
from store.world import FLOOR, MODEL, World, add_facts, add_run, batch, highest, knowledge, likn, random_world

import atlas
from atlas import schema
from atlas.ids import stable_id

SEEDS, DRAWS = range(60, 66), 12


def _shuffled(world, seed):
    """The same prompts with other scores: what a twin of other weights gives."""
    pick = random.Random(seed)
    return World(world.relations, tuple(replace(p, scores=tuple(pick.sample(p.scores, 12))) for p in world.probes))


def _labels(world, seed):
    """Tokens of subject and object of every fact in every language, few enough to be shared."""
    pick = random.Random(seed)
    drawn = lambda: sorted(pick.sample(range(6), pick.randint(1, 2)))  # noqa: E731
    return {
        (fact, code): (drawn(), drawn(), [pick.choice(["LATIN", "CJK"])])
        for fact in range(len(world.relations))
        for code in world.languages(fact)
    }


@pytest.fixture(scope="module")
def held(empty, tmp_path_factory):
    """An open atlas; the world, the twins' worlds and the names of each run by its id."""
    path = tmp_path_factory.mktemp("evidence") / "evidence.duckdb"
    path.write_bytes(empty.read_bytes())
    known = {}
    with atlas.open(path, "a") as writer:
        for seed in SEEDS:
            world = random_world(seed, facts=14)
            digest = f"made-{seed}"
            add_facts(writer, [world])
            model = writer.add_model({**MODEL, "digest": digest})
            run = add_run(writer, world, digest=digest)
            twins = [_shuffled(world, seed + k) for k in range(seed % 3)]
            for k, twin in enumerate(twins):
                of = writer.add_model({**MODEL, "digest": f"twin-{seed}-{k}"})
                about = {"method": "amig", "settings": {"floor": FLOOR}, "seed": 0, "versions": {}}
                added = writer.start_run(model=of, **about, twin_of=run, twin_seed=k)
                writer.load_batch(batch(twin, added))
                writer.finish_run(added)
            names = _labels(world, seed) if seed != SEEDS[-1] else {}
            rows = [
                {"model": model, "fact": world.fact(n).id, "language": c, "subject": s, "object": o, "scripts": x}
                for (n, c), (s, o, x) in names.items()
            ]
            writer.load("label_token", pa.Table.from_pylist(rows, schema=schema.arrow("label_token")))
            known[run] = (world, twins, names)
        yield writer, known


def _number(world, fact):
    return next(n for n in range(len(world.relations)) if world.fact(n).id == fact)


def _apart(names, fact, a, b):
    (subject, answer, _), (other_subject, other_answer, _) = names[fact, a], names[fact, b]
    return not set(subject) & set(other_subject) and not set(answer) & set(other_answer)


def test_label_overlap(held):
    reader, known = held
    found = {
        (r["model"], r["fact"], r["language_a"], r["language_b"]): r
        for r in reader.sql("FROM label_overlap").to_pylist()
    }
    asked = 0
    for seed, (world, _, names) in zip(SEEDS, known.values(), strict=True):
        model = stable_id("model", f"made-{seed}")
        for number in range(len(world.relations)):
            for a, b in combinations(world.languages(number) if names else (), 2):
                asked += 1
                row = found[model, world.fact(number).id, a, b]
                (s, o, x), (t, p, y) = names[number, a], names[number, b]
                assert row["subject_tokens"] == len(set(s) & set(t))
                assert row["object_tokens"] == len(set(o) & set(p))
                assert row["scripts_differ"] == (x != y)
    assert len(found) == asked > 50


@pytest.mark.parametrize("least", [None, 2])
def test_a_likn_is_across_scripts_if_two_of_its_languages_share_no_token(held, least):
    reader, known = held
    rows = reader.sql("FROM likn_at(min_languages := $least)", {"least": least}).to_pylist()
    seen = set()
    for row in rows:
        if row["run"] not in known:
            continue
        world, _, names = known[row["run"]]
        number = _number(world, row["fact"])
        pairs = combinations(row["languages"], 2)
        expected = any(_apart(names, number, a, b) for a, b in pairs) if names else None
        assert row["across_scripts"] is expected
        seen.add(expected)
    assert seen == {True, False, None}


NEED_ALL_FACTS = {"q", "p_exchange_other", "q_other"}
"""What `likn_control_at` leaves out where one fact is asked."""


@pytest.mark.slow
@pytest.mark.parametrize("least", [None, 2])
def test_one_fact_alone_has_the_numbers_that_it_has_among_all(held, least):
    reader, _ = held
    asked = {"least": least, "draws": DRAWS}
    every = {}
    for view in ("likn_exchange_at", "likn_control_at"):
        for row in reader.sql(f"FROM {view}(min_languages := $least, draws := $draws)", asked).to_pylist():
            if row.get("control") != "other relations":
                every.setdefault((view, row["fact"]), []).append(row)
    facts = sorted({fact for _, fact in every})
    for (view, fact), rows in ((key, rows) for key, rows in every.items() if key[1] == facts[len(facts) // 2]):
        query = f"FROM {view}(min_languages := $least, draws := $draws, of_fact := $fact)"
        alone = {row["run"]: row for row in reader.sql(query, {**asked, "fact": fact}).to_pylist()}
        assert len(alone) == len(rows)
        for row in rows:
            left_out = dict.fromkeys(NEED_ALL_FACTS & row.keys())
            expected = {**row, **left_out}
            close = {name: pytest.approx(n) for name, n in expected.items() if isinstance(n, float)}
            assert alone[row["run"]] == {**expected, **close}


@pytest.mark.slow
def test_a_fact_that_is_not_there_has_no_row(held):
    reader, _ = held
    assert reader.sql("FROM likn_exchange_at(of_fact := -1)").num_rows == 0
    assert reader.sql("FROM likn_control_at(of_fact := -1)").num_rows == 0


@pytest.mark.slow
def test_a_name_that_no_fact_has_is_asked_of_as_the_documentation_says(held):
    (example,) = re.findall(r"FROM likn_exchange_at\(of_fact.*\)", (ROOT / "docs/evidence.md").read_text("utf-8"))
    assert held[0].sql(example.replace("Paris", "no such name")).num_rows == 0


@pytest.mark.slow
@pytest.mark.parametrize("least", [None, 2])
def test_controls_of_a_fact_beside_its_twins_and_exchanges(held, least):
    reader, known = held
    asked = {"least": least, "draws": DRAWS}
    controls = reader.sql("FROM likn_control_at(min_languages := $least, draws := $draws)", asked).to_pylist()
    exchange = reader.sql("FROM likn_exchange_at(min_languages := $least, draws := $draws)", asked).to_pylist()
    of = {(row["run"], row["fact"], row["control"]): row for row in exchange}
    compared = 0
    for row in controls:
        same, other = (of[row["run"], row["fact"], control] for control in ("same relation", "other relations"))
        assert (row["p_exchange"], row["q"]) == (same["p_exchange"], same["q"])
        assert row["in_exchanged_facts"] == same["in_exchanged_facts"]
        assert row["in_exchanged_facts_own"] == same["in_exchanged_facts_own"]
        assert (row["p_exchange_other"], row["q_other"]) == (other["p_exchange"], other["q"])
        assert row["p_even"] == row["p_value"]
        if row["run"] not in known:
            assert row["twin_likn"] is None
            continue
        world, twins, names = known[row["run"]]
        number = _number(world, row["fact"])
        found = [len(likn(twin, number, least)) for twin in twins]
        assert row["twin_likn"] == (pytest.approx(np.mean(found)) if found else None)
        compared += sum(found)
        own = likn(world, number, least)
        if names:
            codes = world.languages(number)
            spread = [
                neuron
                for neuron in own
                if any(
                    _apart(names, number, a, b)
                    for a, b in combinations([c for c in codes if neuron in knowledge(world, number, c)], 2)
                )
            ]
            assert row["across_scripts"] == len(spread)
        else:
            assert row["across_scripts"] == (None if own else 0)
    assert compared > 10


@pytest.mark.slow
def test_neurons_say_whether_the_twin_has_them_and_how_sure_their_share_is(held):
    reader, known = held
    seen = set()
    for row in reader.sql("FROM knowledge_neuron_at()").to_pylist():
        assert row["share"] == pytest.approx(row["found"] / row["usable"])
        wilson = binomtest(row["found"], row["usable"]).proportion_ci(method="wilson")
        assert row["share_interval"] == pytest.approx([wilson.low, wilson.high])
        if row["run"] not in known:
            continue
        world, twins, _ = known[row["run"]]
        number, neuron = _number(world, row["fact"]), (row["layer"], row["neuron"])
        has = any(neuron in knowledge(twin, number, row["language"]) for twin in twins) if twins else None
        assert row["in_twin"] is has
        seen.add(has)
    assert seen == {True, False, None}


@pytest.mark.slow
@pytest.mark.parametrize("least", [None, 2])
def test_exchanged_facts_keep_their_pairs_of_languages_apart(held, least):
    reader, known = held
    query = f"""
SELECT d.run, d.fact, d.language, d.other_relations AS other, d.draw, partner.fact AS partner
FROM exchange_draw_of(thresholds(), {DRAWS}) AS d
JOIN exchange_cell_of(thresholds()) AS partner ON partner.cell = d.partner
"""
    draws = defaultdict(lambda: defaultdict(dict))
    for row in reader.sql(query).to_pylist():
        draws[row["run"], row["fact"], row["other"]][row["draw"]][row["language"]] = row["partner"]
    asked = f"FROM likn_exchange_at(min_languages := $least, draws := {DRAWS}, across_scripts := true)"
    tested = 0
    for row in reader.sql(asked, {"least": least}).to_pylist():
        if row["run"] not in known:
            continue
        world, _, names = known[row["run"]]
        made = draws.get((row["run"], row["fact"], row["control"] == "other relations"), {})
        if not names or not made:
            assert row["p_exchange"] is None
            assert row["reason"] is not None
            continue
        number, numbers = _number(world, row["fact"]), {world.fact(n).id: n for n in range(len(world.relations))}
        codes = world.languages(number)
        pairs = [(a, b) for a, b in combinations(codes, 2) if _apart(names, number, a, b)]
        sizes = {code: len(knowledge(world, number, code)) for code in codes}
        hits = 0
        for draw in made.values():
            lent = {code: set(highest(world, numbers[draw[code]], code, sizes[code])) for code in codes}
            cut = {code: set(highest(world, number, code, len(lent[code]))) for code in codes}
            of = pairs if least else [codes] * bool(pairs)
            common = [len(set().union(*(set.intersection(*map(sets.get, c)) for c in of))) for sets in (lent, cut)]
            hits += common[0] >= common[1]
        assert row["p_exchange"] == pytest.approx((1 + hits) / (1 + len(made)))
        tested += 1
    assert tested > 20


@pytest.mark.slow
def test_the_overlap_of_languages_beside_exchanged_facts_and_twins(held):
    reader, known = held
    rows = reader.sql(f"FROM language_overlap_at(draws := {DRAWS})").to_pylist()
    compared = cut_short = 0
    for row in rows:
        if row["run"] not in known:
            continue
        world, twins, _ = known[row["run"]]
        a, b = row["language_a"], row["language_b"]
        facts = [
            n for n in range(len(world.relations))
            if {a, b} <= set(world.languages(n)) and knowledge(world, n, a) | knowledge(world, n, b)
        ]  # fmt: skip
        found = [len(knowledge(twin, n, a) & knowledge(twin, n, b)) for n in facts for twin in twins]
        assert row["twin_overlap"] == (pytest.approx(np.mean(found)) if twins else None)
        rings = {
            n: sorted(
                (
                    m
                    for m in range(len(world.relations))
                    if world.relations[m] == world.relations[n] and b in world.languages(m)
                ),
                key=lambda m: world.fact(m).id,
            )
            for n in facts
        }
        asked = [n for n in facts if len(rings[n]) > 1]
        if not asked:
            assert row["p_exchange"] is None
            continue
        sums, own, hits, short = [], [], 0, 0
        for draw in range(1, row["n_draws"] + 1):
            pairs = []
            for n in asked:
                ring, size = rings[n], len(knowledge(world, n, b))
                partner = ring[(ring.index(n) + 1 + (draw - 1) % (len(ring) - 1)) % len(ring)]
                lent = highest(world, partner, b, size)
                pairs.append((lent, highest(world, n, b, len(lent)), len(lent) < size))
            total, observed = (
                sum(len(knowledge(world, n, a) & set(pair[side])) for n, pair in zip(asked, pairs, strict=True))
                for side in (0, 1)
            )
            sums.append(total)
            own.append(observed)
            hits += total >= observed
            short += any(cut for _, _, cut in pairs)
        assert row["p_exchange"] == pytest.approx((1 + hits) / (1 + len(sums)))
        assert row["short_draws"] == short
        cut_short += short
        assert row["in_exchanged_facts"] == pytest.approx(sum(sums) / (len(sums) * len(asked)))
        assert row["in_exchanged_facts_own"] == pytest.approx(sum(own) / (len(own) * len(asked)))
        assert row["q"] >= row["p_exchange"] - 1e-12
        compared += 1
    assert compared > 8
    assert cut_short > 0
