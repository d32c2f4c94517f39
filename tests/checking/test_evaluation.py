"""The evaluation on made-up signals: what may be looked at, and what is done with what is missing."""

from dataclasses import replace

import numpy as np
import pytest

from atlas.checking.evaluation import COMBINED_FROM, combined_signals, evaluate
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


@pytest.mark.parametrize("split", ["train", "test"])
def test_one_class_is_an_error(cases, split):
    one = [case for case in cases if case.truth or case.split != split]
    with pytest.raises(UsageError, match=f"The {split} part holds no true or no wrong"):
        evaluate(one, made(one), LANGUAGES, 0)


@pytest.mark.parametrize("readable", [(), (True,), (False,)])
def test_training_claims_that_the_model_cannot_read_are_an_error(cases, readable):
    read = {c.id for c in cases if c.truth in readable or c.split == "test"}
    signals = [s if c.id in read else Signals("unspellable") for c, s in zip(cases, made(cases), strict=True)]
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


def test_scores_that_are_made_of_several_claims():
    """Those of other languages, of training claims of the same object, and neurons' by the median of training ones."""
    codes, objects = ("en", "fr", "zh"), ("a", "a", "b", "b", "c", "d")
    facts = [
        Fact("PR"[i % 5 == 0], f"s{i}", objects[i % 6], {c: Label(f"S{i}", objects[i % 6]) for c in codes[: 2 + i % 2]})
        for i in range(30)
    ]
    templates = [Template(relation, code, "[X] is [Y]") for relation in "PR" for code in codes]
    world = World(facts, templates, {fact.id: "train" if i % 3 else "test" for i, fact in enumerate(facts)})
    cases = make_cases(world, facts, codes, ["plain"], causal=False, count=1, seed=0).cases
    signals = [s if i % 7 else Signals("nan") for i, s in enumerate(made(cases))]
    found = {v.evidence: v.scores for v in evaluate(cases, signals, LANGUAGES, 0).verdicts}
    squashed, told = combined_signals(cases, signals)[:, 5], {}
    for case, s in zip(cases, signals, strict=True):
        if s.status == "ok":
            told.setdefault((case.fact.id, case.language), {})[case.object_key] = s.log_probability
    means, medians = [], []
    for i, case in enumerate(cases):
        own = told.get((case.fact.id, case.language), {})
        others = [told.get((case.fact.id, code), {}) for code in codes if code != case.language]
        heard = [said[case.object_key] for said in others if case.object_key in own and {*said} == {*own}]
        means.append(np.mean(heard) if heard else np.nan)
        alike = [j for j, c in enumerate(cases) if (c.fact.relation, c.language) == (case.fact.relation, case.language)]
        train = [j for j in alike if cases[j].split == "train"]
        assert found["frequency"][i] == sum(cases[j].truth and cases[j].object == case.object for j in train)
        kn = {j: s for j in (*train, i) if (s := signals[j].score.get(("kn", case.language))) is not None}
        medians.append(np.arcsinh(kn[i] / np.median([abs(kn[j]) for j in train if j in kn])) if i in kn else np.nan)
    assert found["probability-languages"] == pytest.approx(means, nan_ok=True)
    assert squashed == pytest.approx(medians, nan_ok=True)
    assert len({*found["frequency"]}) > 1
    assert {np.isnan(mean) for mean in means} == {True, False}


@pytest.fixture
def few():
    """A true and a wrong claim of 24 facts of one relation in both languages, every third fact for the test."""
    labels = [(f"S{i}", f"O{i % 5}") for i in range(24)]
    facts = [Fact("R", f"s{i}", own[1], dict.fromkeys(LANGUAGES, Label(*own))) for i, own in enumerate(labels)]
    split = {fact.id: "train" if i % 3 else "test" for i, fact in enumerate(facts)}
    world = World(facts, [Template("R", code, "[X] is [Y]") for code in LANGUAGES], split)
    return make_cases(world, facts, LANGUAGES, ["plain"], causal=False, count=1, seed=0).cases


def verdicts_of(cases, signals, evidence, source=None):
    """Return the evaluation and its verdicts by one evidence, of each claim's own language or all of `source`."""
    found = evaluate(cases, signals, LANGUAGES, 0)
    sources = [source or case.language for case in cases]
    (one,) = (v for v in found.verdicts if v.evidence == evidence and list(v.source) == sources)
    return found, one


def test_the_models_own_choice_supports_in_more_than_half_of_the_prompts(few):
    signals = [replace(s, argmax=(0.4, 0.5, 0.6)[i % 3]) for i, s in enumerate(made(few))]
    found, own = verdicts_of(few, signals, "argmax")
    judged, unusable = found.judged(own, "plain")
    tested = [i % 3 == 2 for i, case in enumerate(few) if case.split == "test"]
    assert (judged.supported.tolist(), unusable) == (tested, 0)


def test_the_combined_model_supports_what_it_holds_for_likelier_true_than_not(few):
    signals = [replace(s, log_probability=0.3 * s.log_probability) for s in made(few)]
    found, combined = verdicts_of(few, signals, "combined")
    judged, _ = found.judged(combined, "plain")
    assert judged.supported.tolist() == (judged.scores > 0).tolist()
    assert ((judged.scores > 0) & (judged.scores < 0.3)).any()


def test_neurons_of_a_language_bring_its_threshold_to_claims_in_another(few):
    """The scale of every language and source is its own, so that no other threshold would do."""
    scale = {("en", "en"): 1, ("en", "zh"): 10, ("zh", "en"): 100, ("zh", "zh"): 1000}
    signals = [
        replace(s, score={("dkn", source): scale[case.language, source] * (1 + case.truth) for source in LANGUAGES})
        for case, s in zip(few, made(few), strict=True)
    ]
    for source in LANGUAGES:
        _, dkn = verdicts_of(few, signals, "dkn", source)
        own = scale[source, source]
        assert dkn.scores.tolist() == [scale[case.language, source] * (1 + case.truth) for case in few]
        assert all(own <= threshold < 2 * own for threshold in dkn.thresholds)


@pytest.mark.parametrize("kept", [True, False])
def test_without_training_scores_of_both_kinds_there_is_no_threshold(few, kept):
    """In Chinese, knowledge neurons say nothing of training claims of one kind."""
    signals = [
        replace(s, score={}) if (case.language, case.split, case.truth) == ("zh", "train", not kept) else s
        for case, s in zip(few, made(few), strict=True)
    ]
    _, kn = verdicts_of(few, signals, "kn")
    tested = [(case.language, said) for case, said in zip(few, kn.status, strict=True) if case.split == "test"]
    assert {*tested} == {("en", "ok"), ("zh", "no threshold")}


def test_objects_that_are_counted_on_one_side_alone_have_no_threshold(few):
    cases = [case for case in few if (case.language, case.split, case.truth) != ("zh", "train", False)]
    _, frequency = verdicts_of(cases, made(cases), "frequency")
    said = {(case.language, status) for case, status in zip(cases, frequency.status, strict=True)}
    assert said == {("en", "ok"), ("zh", "no threshold")}


def test_a_claim_that_is_read_in_no_language_is_heard_nowhere(few):
    mute = few[0].fact.id, few[0].truth
    signals = [
        Signals("unspellable") if (case.fact.id, case.truth) == mute else s
        for case, s in zip(few, made(few), strict=True)
    ]
    _, heard = verdicts_of(few, signals, "probability-languages")
    assert [said for case, said in zip(few, heard.status, strict=True) if (case.fact.id, case.truth) == mute] == [
        "unspellable"
    ] * len(LANGUAGES)


def test_what_the_model_says_of_itself_is_read_as_it_is_and_neurons_by_training_claims_that_have_scores(few):
    """Knowledge neurons have scores of test claims alone, and most scores of LIKN are 0."""
    signals = []
    for i, (case, s) in enumerate(zip(few, made(few), strict=True)):
        likn = {("likn", case.language): float(i % 3 == 0)}
        kn = {("kn", case.language): 1.0} if case.split == "test" else {}
        signals.append(replace(s, margin=5.0 * i, score=likn | kn))
    columns = dict(zip(COMBINED_FROM, combined_signals(few, signals).T, strict=True))
    assert columns["probability"].tolist() == [s.log_probability for s in signals]
    assert columns["margin"].tolist() == [s.margin for s in signals]
    for name in ("kn", "likn"):
        assert np.isnan(columns[name]).all(), "without a unit there is no number"
