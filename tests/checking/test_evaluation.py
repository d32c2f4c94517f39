"""The evaluation on made-up signals: what may be looked at, and what is done with what is missing."""

from dataclasses import replace

import numpy as np
import pytest

from atlas.checking.evaluation import evaluate
from atlas.checking.known_claims import World, make_cases
from atlas.checking.report import evaluation_table
from atlas.checking.signals import Signals
from atlas.errors import UsageError
from atlas.facts import Fact, Label, Template
from atlas.facts.bundled import load

LANGUAGES = ("en", "zh")
SETS = ("dkn", "dkn-or-kn", "dkn-languages", "kn", "likn", "random")


@pytest.fixture(scope="module")
def cases():
    facts = load()
    subjects = sorted({fact.subject for fact in facts.facts})
    split = {f.id: "train" if subjects.index(f.subject) % 2 else "test" for f in facts.facts}
    world = World(facts.facts, facts.templates, split)
    return make_cases(world, world.facts, LANGUAGES, ["plain"], causal=False, count=1, seed=0).cases


def made(cases, seed=0, help_=0.0):
    """Own probability that leans to the truth, and neurons that add `help_`."""
    generator = np.random.default_rng(seed)
    signals = []
    for case in cases:
        own, noise = case.truth + generator.normal(), generator.normal(size=len(SETS))
        score = {
            (name, code): help_ * case.truth + x for name, x in zip(SETS, noise, strict=True) for code in LANGUAGES
        }
        signals.append(Signals("ok", own, own, float(own > 1), score=score))
    return signals


@pytest.mark.slow
def test_thresholds_and_weights_do_not_see_the_test_claims(cases):
    signals = made(cases)
    other = [s if c.split == "train" else t for c, s, t in zip(cases, signals, made(cases, 9), strict=True)]
    one, two = evaluate(cases, signals, LANGUAGES, 0), evaluate(cases, other, LANGUAGES, 0)
    for a, b in zip(one.verdicts, two.verdicts, strict=True):
        np.testing.assert_array_equal(a.thresholds, b.thresholds)
    np.testing.assert_array_equal(one.combined.weights, two.combined.weights)


def table(found):
    return {row["evidence"]: row for row in evaluation_table(found, 0).to_pylist()}


@pytest.mark.slow
def test_combined_is_not_below_probability_when_neurons_say_nothing_and_above_when_they_do(cases):
    cases = [case for case in cases if case.language == "en"]  # each claim's own probability is independent here
    idle, helped = (table(evaluate(cases, made(cases, help_=h), LANGUAGES, 0)) for h in (0.0, 2.0))
    assert idle["combined"]["auroc_over_probability"] == pytest.approx(0, abs=0.02)
    assert helped["combined"]["auroc_over_probability_low"] > 0


@pytest.mark.slow
def test_unusable_claims_are_counted_and_rank_last(cases):
    signals = made(cases)
    missing = {i for i, case in enumerate(cases) if case.fact.relation == "P30"}
    signals = [
        replace(s, score={key: v for key, v in s.score.items() if key[0] != "dkn"}) if i in missing else s
        for i, s in enumerate(signals)
    ]
    signals[0] = Signals("unspellable")
    found = evaluate(cases, signals, LANGUAGES, 0)
    dkn = next(v for v in found.verdicts if v.evidence == "dkn")
    assert dkn.status[0] == "unspellable"
    assert {dkn.status[i] for i in missing - {0}} == {"no dkn neurons"}
    tested = sum(cases[i].split == "test" for i in missing | {0})
    assert table(found)["dkn"]["unusable"] == tested


def test_one_class_is_an_error(cases):
    true = [case for case in cases if case.truth]
    with pytest.raises(UsageError, match="no true or no wrong"):
        evaluate(true, made(true), LANGUAGES, 0)


@pytest.mark.parametrize("readable", [(), (True,), (False,)])
def test_training_claims_that_the_model_cannot_read_are_an_error(cases, readable):
    signals = [s if c.truth in readable else Signals("unspellable") for c, s in zip(cases, made(cases), strict=True)]
    with pytest.raises(UsageError, match=r"unspellable\); choose other languages"):
        evaluate(cases, signals, LANGUAGES, 0)


@pytest.mark.slow
def test_other_languages_speak_for_a_claim_that_the_model_was_not_taught(cases):
    signals = made(cases)
    signals = [
        replace(s, log_probability=s.log_probability - 4 * (not c.truth) if c.language == "zh" else -5.0, margin=0.0)
        for c, s in zip(cases, signals, strict=True)
    ]
    rows = table(evaluate(cases, signals, LANGUAGES, 0))
    assert rows["combined"]["auroc_over_probability_low"] > 0
    assert rows["probability-languages"]["unusable"] == 0
    alone = [i for i, case in enumerate(cases) if case.language == "en"]
    found = evaluate([cases[i] for i in alone], [signals[i] for i in alone], ["en"], 0)
    (heard,) = (v for v in found.verdicts if v.evidence == "probability-languages")
    assert {*heard.status} == {"no other language"}
    rows = table(found)
    assert rows["probability-languages"]["unusable"] == rows["combined"]["claims"]
    assert rows["probability-languages"]["precision"] is None, "nothing was supported"
    assert rows["combined"]["auroc_over_probability"] == pytest.approx(0, abs=1e-9)


def test_true_and_wrong_claims_are_heard_in_as_many_languages():
    """Every third fact has names in one language alone, so that wrong objects are others in each."""
    facts = [
        Fact("R", f"s{i}", f"o{i}", {code: Label(f"S{i}", f"O{i}") for code in LANGUAGES[: 1 + (i % 3 > 0)]})
        for i in range(24)
    ]
    split = {fact.id: "train" if i % 2 else "test" for i, fact in enumerate(facts)}
    world = World(facts, [Template("R", code, "[X] is [Y]") for code in LANGUAGES], split)
    cases = make_cases(world, facts, LANGUAGES, ["plain"], causal=False, count=1, seed=0).cases
    found = evaluate(cases, made(cases), LANGUAGES, 0)
    (heard,) = (v for v in found.verdicts if v.evidence == "probability-languages")
    status = {(c.fact.id, c.language, c.truth): s for c, s in zip(cases, heard.status, strict=True)}
    assert {*status.values()} == {"ok", "no other language"}
    assert all(said == status[fact, code, not truth] for (fact, code, truth), said in status.items())
