"""Several runs side by side, by scorer and by position, against brute force."""

from collections import defaultdict

import pytest
from store.world import MODEL, World, add_facts, batch, knowledge, mean_score, random_world


def test_scorers_side_by_side_at_each_position_and_both_positions_of_one(holding):
    """Of two runs of `kn` at the query one alone has its like at the subject; another is of another floor, or model.

    A definition that no run has the scores for spoils nothing for the others. The run of `amig` has no rounds, that of
    `random` is compared with none, and twins at both positions are no pair.
    """
    about = (
        ("kn", 0, {}), ("kn", 1, {}), ("kn", 0, {"at": "subject"}), ("kn", 1, {"at": "subject", "floor": 0.1}),
        ("kn", 1, {"at": "subject"}),
    )  # fmt: skip
    first, *others = (World(("P1", "P2") * 2, random_world(seed, facts=4).probes) for seed in range(25, 31))
    thresholds = {"default": 0.2, "mine": 0.6}
    with holding(first) as (writer, run):
        writer.define("mine", tau=thresholds["mine"])
        writer.define("below the floor", tau=0.01)
        add_facts(writer, others)
        models = [writer.add_model(MODEL), writer.add_model({**MODEL, "name": "other", "digest": "other"})]
        runs = {run: (first, models[0], "amig", "query")}
        for model, world, (method, seed, extra) in zip([models[0]] * 4 + models[1:], others, about, strict=True):
            settings = {"floor": 0.05} | extra
            added = writer.start_run(model=model, method=method, settings=settings, seed=seed, versions={})
            writer.load_batch(batch(world, added))
            runs[added] = (world, model, method, settings.get("at", "query"))
        twin = writer.add_model({**MODEL, "name": "twin", "digest": "twin"})
        of_twins = {"model": twin, "method": "kn", "seed": 0, "versions": {}, "twin_of": run, "twin_seed": 0}
        for place in ({}, {"at": "subject"}):
            writer.start_run(**of_twins, settings={"floor": 0.05} | place)
        by_chance = writer.start_run(model=models[0], method="random", settings={"floor": 0.05}, seed=0, versions={})
        writer.load_batch(batch(others[0], by_chance))
        writer.sql("UPDATE attribution SET round = run % 7 + prompt % 7 + layer + neuron WHERE run <> ?", [run])
        agreed, both = (
            [row for name in thresholds for row in writer.sql(f"FROM {view} WHERE definition = ?", [name]).to_pylist()]
            for view in ("scorer_agreement", "position_overlap")
        )
        (pair,) = writer.sql("FROM position_pair").to_pylist()
    found, asked, rounds, held = defaultdict(set), defaultdict(set), defaultdict(list), {}
    for run, (world, model, method, at) in runs.items():
        for n, code in {(probe.fact, probe.language) for probe in world.probes if probe.usable}:
            fact = world.fact(n).id
            asked[model, at, fact, code].add(method)
            for name, tau in thresholds.items():
                for neuron in knowledge(world, n, code, tau):
                    found[key := (name, model, at, fact, code, *neuron)].add(method)
                    stored = (world.prompt(p).id for p in world.usable(n, code) if neuron in p.signed())
                    rounds[key] += [run % 7 + prompt % 7 + sum(neuron) for prompt in stored if method != "amig"]
                    held[run, name, fact, code, *neuron] = mean_score(world, n, code, neuron, tau)
    names = ("definition", "model", "at", "fact", "language", "layer", "neuron")
    assert sorted(tuple(row[n] for n in (*names, "found_by", "missed_by", "first_round")) for row in agreed) == sorted(
        (*key, sorted(by), sorted(asked[key[1:5]] - by), min(rounds[key], default=None)) for key, by in found.items()
    )
    assert {row["first_round"] is None for row in agreed} == {True, False}
    assert {len(row["found_by"]) for row in agreed} == {1, 2}
    query, subject = (n for n, each in zip(runs, [None, *about], strict=True) if each in (about[0], about[2]))
    assert pair == {"model": models[0], "method": "kn", "run_query": query, "run_subject": subject}
    keys = [key[1:] for key in held if key[0] == query and (subject, *key[1:]) in held]
    names = ("definition", "fact", "language", "layer", "neuron")
    scores = {tuple(row[n] for n in names): (row["score_query"], row["score_subject"]) for row in both}
    assert len(both) == len(keys) > 0
    assert scores == {key: pytest.approx((held[query, *key], held[subject, *key])) for key in keys}
