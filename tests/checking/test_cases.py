"""The claims of an evaluation: laws that hold for any facts."""

import pytest

from atlas.checking.cases import World, make_cases, wrong_fact
from atlas.checking.conditions import CONDITIONS, code_switched, corrupted
from atlas.facts import OBJECT, SUBJECT, Template
from atlas.facts.bundled import LANGUAGES, load

FACTS = load()
WORLD = World(FACTS.facts, FACTS.templates, {f.id: "train" if len(f.subject) % 2 else "test" for f in FACTS.facts})


@pytest.fixture(scope="module", params=[False, True], ids=["masked", "causal"])
def cases(request):
    return list(make_cases(WORLD, LANGUAGES, CONDITIONS, causal=request.param, count=2, seed=0)), request.param


def test_every_fact_has_a_true_and_a_wrong_claim_in_every_language(cases):
    plain = [case for case in cases[0] if case.condition == "plain"]
    assert len(plain) == 2 * len(FACTS.facts) * len(LANGUAGES)
    assert {True, False} == {case.truth for case in plain}


def test_wrong_objects_are_of_the_same_relation_and_never_true(cases):
    true = {(f.relation, f.subject, f.labels[code].object) for f in FACTS.facts for code in LANGUAGES}
    objects = {(f.relation, f.labels[code].object) for f in FACTS.facts for code in LANGUAGES}
    for case in cases[0]:
        assert ((case.fact.relation, case.fact.subject, case.object) in true) == case.truth
        assert (case.fact.relation, case.object) in objects


def test_training_claims_are_plain_and_from_training_subjects(cases):
    train = {case.fact.subject for case in cases[0] if case.split == "train"}
    test = {case.fact.subject for case in cases[0] if case.split == "test"}
    assert not train & test
    assert {case.condition for case in cases[0] if case.split == "train"} == {"plain"}
    assert {case.condition for case in cases[0] if case.split == "test"} == set(CONDITIONS)


def test_templates_fit_the_condition_and_the_model(cases):
    found, causal = cases
    known = {(t.relation, t.language, t.text): t.held_out for t in FACTS.templates}
    for case in found:
        assert 1 <= len(case.prompts) <= 2
        for prompt in case.prompts:
            key = (prompt.template.relation, prompt.template.language, prompt.template.text)
            assert prompt.template.ends_in_object or not causal
            if case.condition != "corrupted":
                assert known[key] == (case.condition == "held-out")
            else:
                assert not prompt.template.held_out


def test_true_and_wrong_claims_are_put_alike(cases):
    texts = {}
    for case in cases[0]:
        texts.setdefault((case.fact.id, case.language, case.condition), set()).add(tuple(p.text for p in case.prompts))
    assert all(len(group) == 1 for group in texts.values())


def test_code_switched_subjects_are_the_fact_s_in_another_language():
    fact = next(f for f in FACTS.facts if len({label.subject for label in f.labels.values()}) > 2)
    switched = code_switched(fact, fact, "en", 0)
    assert switched.labels["en"].subject != fact.labels["en"].subject
    assert switched.labels["en"].subject in {label.subject for label in fact.labels.values()}
    assert switched.labels["en"].object == fact.labels["en"].object
    assert code_switched(fact, fact, "en", 0) == switched


@pytest.mark.parametrize("text", [t.text for t in FACTS.templates])
def test_corruption_moves_words_and_keeps_the_places(text):
    template = Template("P36", "en", text)
    changed = corrupted(template, 0).text
    assert sorted(changed) == sorted(text)
    assert changed.count(SUBJECT) == changed.count(OBJECT) == 1
    assert Template("P36", "en", changed).ends_in_object == template.ends_in_object


def test_nothing_to_corrupt_or_to_be_wrong_about():
    assert corrupted(Template("P36", "en", "[X]: [Y]"), 0).text == "[X]: [Y]"
    assert wrong_fact(FACTS.facts[0], FACTS.facts[:1], 0) is None


def test_seeds_choose():
    one, two = (list(make_cases(WORLD, ["en"], ["plain"], causal=False, count=1, seed=s)) for s in (0, 1))
    assert [case.id for case in one] == [
        c.id for c in make_cases(WORLD, ["en"], ["plain"], causal=False, count=1, seed=0)
    ]
    assert [case.object for case in one] != [case.object for case in two]
