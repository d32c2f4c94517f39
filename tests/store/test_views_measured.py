"""Views of interventions and of judged claims (METHOD 4 and 6): numbers by hand, intervals against plain bootstraps."""

import math
import random
from itertools import product

import numpy as np
import pyarrow as pa
import pytest
from store.world import Probed, World

from atlas import schema
from atlas.ids import stable_id

FACTS = 10
SHARED = {"evaluation": 1, "purpose": "localisation", "languages": ["en"], "source": "top", "scope": "query"}
OTHER = (
    {},
    {"evaluation": 2},
    {"purpose": "cross-lingual"},
    {"languages": ["fr"]},
    {"source": "likn"},
    {"scope": "all"},
)
"""What is measured, once as it is shared and once each with something else."""


def world():
    """Facts of two relations in turn with two prompts in `en`, and one in `fr` of the first fact alone."""
    asked = [(n, "en", k) for n in range(FACTS) for k in (0, 1)] + [(0, "fr", 0)]
    return World(("P1", "P2") * (FACTS // 2), tuple(Probed(*each, "ok", (1.0,) + (0.0,) * 11) for each in asked))


def interventions(runs, made, pick):
    """What two actions do to the prompts of each fact, those in `fr` to 0 and 1, and to the next fact's."""
    rows = []
    for run, other, fact, action, probe in product(runs, OTHER, range(FACTS), ("suppress", "enhance"), made.probes):
        before, related = pick.uniform(0.2, 0.9), probe.fact == fact
        if (other and run != runs[0]) or not (related or (probe.fact, probe.language) == ((fact + 1) % FACTS, "en")):
            continue
        after = before * pick.uniform(1.02, 1.1) if not related else pick.random()
        after = after if probe.language == "en" else float(action == "enhance")
        rows.append(SHARED | other | {
            "intervention": len(rows), "run": run, "fact": made.fact(fact).id, "action": action,
            "prompt": made.prompt(probe).id, "related": related, "layers": [0, 0], "neurons": [0, 1], "replace": "zero",
            "probability_before": before, "probability_after": after,
            "rank_before": pick.randint(1, 9), "rank_after": pick.randint(1, 9),
            "argmax_before": pick.random() < 0.5, "argmax_after": pick.random() < 0.3,
        })  # fmt: skip
    return rows


def group(row, *more):
    """What a row's numbers are of, by the columns that tell groups apart."""
    return tuple(str(row[name]) for name in (*SHARED, "run", *more))


def changes(row):
    """What is averaged over a fact's prompts."""
    before, after = row["probability_before"], row["probability_after"]
    logs = [math.log(max(p, 1e-300)) for p in (before, after)]
    odds = [log - math.log(max(1 - p, 1e-16)) for log, p in zip(logs, (before, after), strict=True)]
    return {
        "change": after / before - 1, "log_change": logs[1] - logs[0], "log_odds_change": odds[1] - odds[0],
        "rank_change": row["rank_after"] - row["rank_before"],
        "lost": row["argmax_before"] and not row["argmax_after"],
        "gained": row["argmax_after"] and not row["argmax_before"],
    }  # fmt: skip


def averaged(rows):
    found = [changes(row) for row in rows]
    return {name: np.mean([each[name] for each in found]) for name in (found[0] if found else ())}


INTERVALS = ("log_change", "log_odds_change", "rank_change", "lost", "gained", "success_rate")


def test_means_and_intervals_of_interventions(holding):
    made, raw = world(), {}
    of = {made.prompt(probe).id: probe.language for probe in made.probes}
    with holding(made) as (writer, run):
        other = writer.start_run(model=stable_id("model", "made"), method="kn", settings={}, seed=0, versions={})
        rows = interventions((run, other), made, random.Random(1))
        writer.load("intervention", pa.Table.from_pylist(rows, schema=schema.arrow("intervention")))
        by_fact, every = (writer.sql(f"FROM intervention_{view}").to_pylist() for view in ("effect", "summary"))
    for row in rows:
        raw.setdefault((*group(row, "action", "fact"), of[row["prompt"]], row["related"]), []).append(row)
    effects = {}
    for row in by_fact:
        own, unrelated = (
            raw.get((*group(row, "action", "fact", "measured"), related), []) for related in (True, False)
        )
        far = averaged(unrelated)
        expected = averaged(own) | {f"{name}_unrelated": far[name] for name in ("change", "log_change") if far}
        assert {name: row[name] for name in expected} == pytest.approx(expected)
        assert (row["prompts"], row["n_neurons"]) == (len(own), 2)
        effects.setdefault(group(row, "action", "measured"), []).append(expected)
    assert sorted(map(len, effects.values())) == [1] * 14 + [FACTS] * 14
    assert len(every) == len(effects)
    draws, rates = np.random.default_rng(0).integers(0, FACTS, (1000, FACTS)), {}
    for row in every:
        own = effects[group(row, "action", "measured")]
        columns = {name: np.array([each[name] for each in own]) for name in own[0]}
        means = {name: column.mean() for name, column in columns.items()}
        assert {name: row[name] for name in means} == pytest.approx(means)
        assert (row["facts"], row["neurons"]) == (len(own), 2)
        if len(own) == 1:
            assert {row[f"{name}{end}"] for name in INTERVALS for end in ("_low", "_high")} == {None}
            continue
        assert row["prompts"] == 2 * FACTS
        assert row["success_rate"] == pytest.approx(means["change"] / means["change_unrelated"])
        rates.setdefault(group(row), []).append((row["success_rate"], row["success_rate_both"]))
        drawn = {name: column[draws].mean(1) for name, column in columns.items()}
        drawn["success_rate"] = drawn["change"] / drawn["change_unrelated"]
        for name in INTERVALS:
            low, high = np.quantile(drawn[name], [0.025, 0.975])
            near = 0.2 * (high - low) + 0.5 / FACTS  # shares go by steps
            assert (row[f"{name}_low"], row[f"{name}_high"]) == pytest.approx((low, high), abs=near), name
    for one, other in rates.values():
        assert one[1] == other[1] == pytest.approx(one[0] + other[0])


EVIDENCE = (("dkn", None), ("probability", None), ("dkn", "fr"))
"""Kinds of evidence, with the language of the neurons where it is not the claim's."""
JUDGED = ((1, "plain"), (2, "plain"), (2, "corrupted"))
"""Evaluations, with the condition of their claims."""


def verdicts(run, made, pick):
    """Claims of every fact in two languages, true and wrong, train and test, and what is said of each."""
    claims, said = [], []
    for n, (condition, fact, code, truth, split) in enumerate(
        (condition, fact, code, truth, split)
        for condition in ("plain", "corrupted")
        for fact in range(FACTS)
        for code in ("en", "fr")
        for truth in (True, False, None)
        for split in ("test", "train")
    ):
        of = made.fact(fact)
        if pick.random() < 0.05 * fact:
            continue  # of later facts more claims are missing
        claims.append({
            "claim": n, "fact": of.id, "language": code, "relation": of.relation, "subject": of.subject, "object": "o",
            "texts": [], "condition": condition, "truth": truth, "split": split,
        })  # fmt: skip
        for (evidence, source), (evaluation, of_claims) in product(EVIDENCE, JUDGED):
            if of_claims != condition:
                continue
            missing = pick.random() < 0.1
            score = None if missing else round(pick.gauss(0, 1) + (truth or False) * (1 + (evidence == "dkn")), 0)
            said.append({
                "evaluation": evaluation, "run": run, "claim": n, "evidence": evidence,
                "source_language": source or code, "score": score, "threshold": 0.5,
                "supported": None if missing else score > 0.5, "status": "no score" if missing else "ok",
            })  # fmt: skip
    unique = {
        tuple(row[n] for n in ("evaluation", "claim", "evidence", "source_language")): row for row in reversed(said)
    }
    return claims, list(unique.values())


def ranked(score):
    """A missing score is below all others."""
    return -math.inf if score is None else score


def by_hand(judged):
    """METHOD 6's measures of (group, truth, supported, score) and how often a true claim outranks one of its group."""
    hit = sum(t and s for _, t, s, _ in judged)
    told, true = sum(s for _, _, s, _ in judged), sum(t for _, t, _, _ in judged)
    pairs = [(a, b) for g, t, _, a in judged for h, u, _, b in judged if t and not u and g == h]
    return {
        "claims": len(judged), "unusable": sum(score == -math.inf for *_, score in judged),
        "precision": hit / told, "recall": hit / true, "f1": 2 * hit / (told + true),
        "accuracy": sum(t == s for _, t, s, _ in judged) / len(judged),
        "auroc": sum((a > b) + (a == b) / 2 for a, b in pairs) / len(pairs),
    }  # fmt: skip


def test_measures_of_judged_claims(holding):
    with holding(world()) as (writer, run):
        claims, said = verdicts(run, world(), random.Random(2))
        for name, rows in (("claim", claims), ("verdict", said)):
            writer.load(name, pa.Table.from_pylist(rows, schema=schema.arrow(name)))
        found = writer.sql("FROM fact_check_metrics").to_pylist()
        writer.sql("DELETE FROM verdict WHERE claim NOT IN (SELECT claim FROM claim WHERE subject = 's0')")
        of_one = writer.sql("FROM fact_check_difference WHERE evidence = 'dkn'").to_pylist()
    claim = {row["claim"]: row for row in claims if row["split"] == "test" and row["truth"] is not None}
    asked = {group: [] for group in JUDGED}
    for v in said:
        if of := claim.get(v["claim"]):
            asked[v["evaluation"], of["condition"]].append((of, v))
    for row in found:
        judged = [
            ((of["relation"], of["language"]), of["truth"], bool(v["supported"]), ranked(v["score"]))
            for of, v in asked[row["evaluation"], row["condition"]]
            if v["evidence"] == row["evidence"]
            and row["source_language"] == (v["source_language"] if v["source_language"] != of["language"] else None)
            and row["relation"] in (None, of["relation"]) and row["language"] in (None, of["language"])
        ]  # fmt: skip
        expected = by_hand(judged)
        assert {name: row[name] for name in expected} == pytest.approx(expected)
        assert (row["auroc_over_probability"] is None) == any(
            row[n] for n in ("relation", "language", "source_language")
        )
    # 2 kinds over 3 groupings of relations and 3 of languages; neurons of `fr` judge claims in `en` alone.
    assert len(found) == (2 * 9 + 6) * len(JUDGED)
    bounds = [(row["auroc_over_probability_low"], row["auroc_over_probability_high"]) for row in of_one]
    assert bounds == [(None, None)] * len(JUDGED)
    wholes = {(row["evaluation"], row["condition"]): row for row in found if row["auroc_over_probability"]}
    assert set(wholes) == set(JUDGED)
    for group, whole in wholes.items():
        assert whole["evidence"] == "dkn"
        assert whole["auroc_over_probability"] == pytest.approx(gain(asked[group], np.ones((1, FACTS)))[0])
        low, high = np.quantile(gain(asked[group], np.random.default_rng(1).poisson(1, (2000, FACTS))), [0.025, 0.975])
        bounds = whole["auroc_over_probability_low"], whole["auroc_over_probability_high"]
        assert bounds == pytest.approx((low, high), abs=0.1 * (high - low))


def gain(asked, weights):
    """AUROC of `dkn` less that of `probability` where every claim counts by the weight of its subject."""
    areas = []
    for evidence in ("dkn", "probability"):
        own = [
            (of, ranked(v["score"]))
            for of, v in asked
            if v["evidence"] == evidence and v["source_language"] == of["language"]
        ]
        won = pairs = 0.0
        for (yes, a), (no, b) in product(own, own):
            if yes["truth"] and not no["truth"] and all(yes[n] == no[n] for n in ("relation", "language")):
                weight = weights[:, int(yes["subject"][1:])] * weights[:, int(no["subject"][1:])]
                won, pairs = won + weight * ((a > b) + (a == b) / 2), pairs + weight
        areas.append(won / pairs)
    return areas[0] - areas[1]
