"""The claims of an evaluation: laws that hold for any facts."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.checking.conditions import CONDITIONS, code_switched, corrupted
from atlas.checking.known_claims import World, make_cases
from atlas.checking.permutation import Truths, wrong_objects
from atlas.facts import OBJECT, SUBJECT, Fact, Label, Template
from atlas.facts.bundled import LANGUAGES, load

FACTS = load()
WORLD = World(FACTS.facts, FACTS.templates, {f.id: "train" if len(f.subject) % 2 else "test" for f in FACTS.facts})


@pytest.fixture(scope="module", params=[False, True], ids=["masked", "causal"])
def cases(request):
    made = make_cases(WORLD, FACTS.facts, LANGUAGES, CONDITIONS, causal=request.param, count=2, seed=0)
    return made.cases, request.param


@pytest.mark.slow
def test_every_fact_has_a_true_and_a_wrong_claim_or_none(cases):
    told = Counter((case.fact.id, case.language, case.truth) for case in cases[0] if case.condition == "plain")
    assert set(told.values()) == {1}
    assert all((fact, language, not truth) in told for fact, language, truth in told)
    assert len(told) > 1.9 * len(FACTS.facts) * len(LANGUAGES)


def test_each_object_is_claimed_as_often_wrongly_as_rightly(cases):
    objects = {
        truth: Counter(
            (case.fact.relation, case.language, case.split, case.condition, case.object)
            for case in cases[0]
            if case.truth is truth
        )
        for truth in (True, False)
    }
    assert objects[True] == objects[False]


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
        names = {label.subject for label in case.fact.labels.values()}
        others = names - {case.fact.labels[case.language].subject}
        assert (case.subject in others) == (case.condition == "code-switched" and bool(others))


def test_a_masked_model_is_asked_in_any_template_and_a_causal_one_in_those_that_end_in_the_object():
    templates = [Template("R", "en", text) for text in ("[X] is [Y]", "[Y] is of [X]")]
    world = World([], templates, {})
    assert world.templates_of("R", "en", held_out=False, causal=False) == templates
    assert world.templates_of("R", "en", held_out=False, causal=True) == templates[:1]


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


@pytest.mark.parametrize("text", ["[X] की राजधानी [Y] है", "[X] এর রাজধানী [Y]", "پایتخت [X] می\u200cباشد [Y]"])
def test_corruption_leaves_words_with_signs_of_vowels_whole(text):
    for seed in range(5):
        changed = corrupted(Template("P36", "hi", text), seed).text
        assert changed != text
        assert sorted(changed.split()) == sorted(text.split())


def test_nothing_to_corrupt_or_to_be_wrong_about():
    assert corrupted(Template("P36", "en", "[X]: [Y]"), 0).text == "[X]: [Y]"
    alone = make_cases(WORLD, FACTS.facts[:1], ["en"], ["plain"], causal=False, count=1, seed=0)
    assert not alone.cases
    assert alone.left_out == {"no wrong object": 1}


def test_a_condition_without_templates_is_told():
    world = _world([(f"s{i}", f"S{i}", f"o{i}", f"O{i}") for i in range(4)], split=lambda subject: "test")
    claims = make_cases(world, world.facts, ["en"], ["plain", "held-out"], causal=False, count=1, seed=0)
    assert {case.condition for case in claims.cases} == {"plain"}
    assert claims.left_out == {"no held-out template": 4}


def test_seeds_choose():
    one, again, two = (
        make_cases(WORLD, FACTS.facts, ["en"], ["plain"], causal=False, count=1, seed=s).cases for s in (0, 0, 1)
    )
    assert [case.id for case in one] == [case.id for case in again]
    assert [case.object for case in one] != [case.object for case in two]


def _world(rows, split=lambda subject: "train"):
    """Facts `(subject key, subject name, object key, object name)` of one relation in English."""
    facts = [Fact("R", s, o, {"en": Label(subject, object_)}) for s, subject, o, object_ in rows]
    return World(facts, [Template("R", "en", "[X] is [Y]")], {fact.id: split(fact.subject) for fact in facts})


def _claims(world):
    return make_cases(world, world.facts, ["en"], ["plain"], causal=False, count=1, seed=0)


def test_what_reads_as_a_fact_is_never_a_wrong_claim():
    rows = [
        (f"s{i}", "Two Homes" if i < 4 else f"S {i}", f"o{i}", f"town {i % 7}".upper() if i % 2 else f"Town  {i % 7}")
        for i in range(24)
    ]
    world = _world(rows)
    held = {
        (label.subject.casefold(), " ".join(label.object.casefold().split()))
        for fact in world.facts
        for label in fact.labels.values()
    }
    wrong = [case for case in _claims(world).cases if not case.truth]
    assert wrong
    assert not [case for case in wrong if (case.subject.casefold(), " ".join(case.object.casefold().split())) in held]


def test_what_is_true_by_a_fact_without_names_in_the_language_is_never_a_wrong_claim():
    labels = {"en": Label("S", "O")}
    rows = [("s", "o1", labels), ("s", "o2", {}), ("t", "o2", labels), ("u", "o3", labels), ("v", "o4", labels)]
    facts = [Fact("R", s, o, {code: Label(s, o) for code in names}) for s, o, names in rows]
    for seed in range(8):
        found = wrong_objects([fact for fact in facts if fact.labels], Truths.of(facts, "en"), seed)
        assert len(found) == 4
        assert found[facts[0].id].object != "o2"


def test_an_object_of_most_facts_leaves_as_many_claims_as_there_are_others():
    claims = _claims(
        _world([(f"s{i}", f"S{i}", "big" if i < 9 else f"o{i}", "Big" if i < 9 else f"O{i}") for i in range(12)])
    )
    assert len(claims.cases) == 2 * 6
    assert claims.left_out == {"no wrong object": 6}


def test_homonyms_of_training_subjects_test_nothing():
    rows = [(f"s{i}", f"S{i % 6}", f"o{i}", f"O{i}") for i in range(12)]
    claims = _claims(_world(rows, split=lambda subject: "train" if int(subject[1:]) < 6 else "test"))
    assert {case.split for case in claims.cases} == {"train"}
    assert claims.left_out == {"a training subject has the same name": 6}


def test_facts_of_one_name_have_claims_of_their_own():
    claims = _claims(
        _world(
            [("a", "Springfield", "x", "X"), ("b", "Springfield", "x", "X"), ("c", "C", "z", "Z"), ("d", "D", "w", "W")]
        )
    )
    assert len({case.id for case in claims.cases}) == len(claims.cases) == 8


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), min_size=1, max_size=30, unique=True), st.integers(0, 3)
)
def test_wrong_objects_are_a_permutation_without_truths(pairs, seed):
    facts = [Fact("R", f"s{s}", f"o{o}", {"en": Label(f"S{s}", f"O{o}")}) for s, o in pairs]
    found = wrong_objects(facts, Truths.of(facts, "en"), seed)
    assert sorted(found) == sorted(donor.id for donor in found.values())
    assert not {(f.subject, found[f.id].object) for f in facts if f.id in found} & {
        (f.subject, f.object) for f in facts
    }
