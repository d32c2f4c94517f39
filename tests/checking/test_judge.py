"""How a claim is put and answered: in which language, why not, and what is said of the neurons; without a model."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from atlas.checking.claims import Claim
from atlas.checking.job import CheckOptions
from atlas.checking.judge import SPOKEN, _Judge, _Put
from atlas.checking.known_claims import World
from atlas.checking.signals import Signals
from atlas.errors import UsageError
from atlas.facts import Fact, Label, Prompt, Template

LABELS = {
    "one": {"de": Label("Wien", "Donau"), "fr": Label("Vienne", "Danube")},
    "two": {"de": Label("Bern", "Aare"), "en": Label("Bern", "river Aare"), "fr": Label("Berne", "Aar")},
    "three": {"de": Label("Basel", "Rhein"), "fr": Label("Basel", "Rhin")},
    "four": {"zh": Label("维也纳", "多瑙河")},
}
"""Cities and rivers; in Chinese nothing can be asked."""
FACTS = [Fact("river", name, f"{name} river", labels) for name, labels in LABELS.items()]
OTHER = Fact("country", "five", "Italy", {"de": Label("Rom", "Italien")})
TEMPLATES = [Template("river", code, "[X] [Y]") for code in ("fr", "en", "de")]
NEURONS = {"river": {("dkn", "de"): [(0, 1)], ("kn", "de"): [], ("kn", "fr"): [(0, 1)]}}


@pytest.fixture
def judge():
    def made(templates=TEMPLATES, causal=False, evidence="dkn"):
        world = World([*FACTS, OTHER], templates, {})
        options = CheckOptions("model")
        session = SimpleNamespace(world=world, causal=causal, neurons=NEURONS, options=options, writer=None)
        return _Judge(session, evidence)

    return made


def test_a_relation_is_spoken_where_a_template_that_is_not_held_out_can_be_asked(judge):
    templates = [
        *TEMPLATES[:2],
        Template("river", "de", "[Y], [X]"),
        Template("river", "it", "[X] [Y]", held_out=True),
        Template("country", "es", "[X] [Y]"),
    ]
    assert judge(templates)._spoken("river") == ["de", "en", "fr"]
    assert judge(templates, causal=True)._spoken("river") == ["en", "fr"]


def test_a_relation_that_is_not_spoken_says_why(judge):
    templates = [Template("river", "de", "[Y], [X]"), Template("country", "de", "[X] [Y]", held_out=True)]
    templates += [Template(relation, "de", "[X] [Y]") for relation in ("mayor", "area", "twin", "lake")]
    for causal, relation, why in (
        (
            False,
            "capital",
            "The atlas has no templates of relation 'capital'; it has area, country, lake, mayor, river, twin.",
        ),
        (True, "river", "Relation river has no template that ends in the object, which a causal model needs."),
        (False, "country", "Relation country has no template but held-out ones."),
    ):
        with pytest.raises(UsageError) as error:
            judge(templates, causal)._spoken(relation)
        assert str(error.value) == why


@pytest.mark.parametrize(("subject", "object_", "language"), [
    ("Wien", "Rhein", "de"),
    ("Vienne", "Danube", "fr"),
    ("Bern", "Tiber", "en"),  # in German, too
    ("Bern", "Rhein", "de"),  # of another fact, in German alone
    ("Basel", "Rhin", "fr"),
    ("Basel", "Tiber", "de"),  # of two that do not agree the first, not English
    ("维也纳", "多瑙河", "en"),
    ("Rom", "Italien", "en"),  # of another relation
])  # fmt: skip
def test_without_a_language_it_is_that_in_which_the_atlas_knows_both_names_or_else_the_subjects(
    judge, subject, object_, language
):
    found, notes = judge()._language(Claim(subject, "river", object_), ["de", "en", "fr"])
    assert found == language
    assert notes[-1] == f"no language was given: the templates of {language!r} were used"


def test_what_the_atlas_does_not_know_is_asked_in_the_first_language_where_english_is_none(judge):
    found, notes = judge()._language(Claim("Rom", "river", "Tiber"), ["de", "fr"])
    assert (found, len(notes)) == ("de", 3)


def test_parts_that_the_atlas_does_not_know_are_noted(judge):
    for language in ("fr", "xx"):
        asked = Claim("Wien", "river", "Tiber", language)
        note = "the atlas does not know the object 'Tiber': it is taken as text"
        assert judge()._language(asked, ["de", "fr"]) == (language, (note,))
        assert judge()._language(replace(asked, object="Aar"), ["de", "fr"]) == (language, ())
    note = "the atlas does not know the subject 'Donau': it is taken as text"
    assert judge()._language(Claim("Donau", "river", "Donau", "de"), ["de"])[1] == (note,)


@pytest.mark.parametrize(("evidence", "relation", "language"), [
    ("kn", "river", "de"), ("dkn", "river", "fr"), ("dkn", "country", "de"),
])  # fmt: skip
def test_without_neurons_there_is_nothing_to_judge_by(judge, evidence, relation, language):
    judge(evidence="dkn")._check_neurons("river", "de")
    with pytest.raises(UsageError, match=f"no {evidence} neurons of {relation} in '{language}', found on training"):
        judge(evidence=evidence)._check_neurons(relation, language)


def test_verdicts_go_by_all_that_their_threshold_hangs_on():
    """And by nothing else: neurons of other evidence leave it as it is."""

    def identity(kind="asked", relation="river", language="de", evidence="dkn", cases=(1, 2), **other):
        session = SimpleNamespace(run=5, neurons=NEURONS, number_type=[])
        options = {name: other.pop(name) for name in ("definition", "templates", "seed") if name in other}
        session.options = replace(CheckOptions("model", definition="default"), **options)
        vars(session).update(other)
        return _Judge(session, evidence, {(relation, language): [SimpleNamespace(id=n) for n in cases]})._identity(
            kind, relation, language
        )

    others = [
        {"kind": "threshold"}, {"relation": "country"}, {"language": "fr"}, {"evidence": "dkn-or-kn"},
        {"cases": (1, 3)}, {"run": 6}, {"number_type": ["float64"]}, {"definition": "strict"}, {"templates": 1},
        {"seed": 1},
        {"neurons": {"river": {("dkn", "de"): [(0, 2)]}}}, {"neurons": {"country": NEURONS["river"]}},
    ]  # fmt: skip
    assert len({identity(), *(identity(**other) for other in others)}) == 1 + len(others)
    both = {("dkn", "fr"): [(0, 1)], **NEURONS["river"]}
    assert identity(neurons={"river": {**NEURONS["river"], ("kn", "de"): [(3, 3)]}}) == identity()
    assert identity(neurons={"river": both}) == identity(neurons={"river": dict(reversed(both.items()))}) != identity()


def test_a_claim_is_put_in_the_templates_of_its_language_or_comes_back_with_the_reason(judge, monkeypatch):
    monkeypatch.setattr("atlas.checking.judge.understood", lambda _, claim: claim)
    claim, held = Claim("Wien", "river", "Donau", "de"), Template("river", "de", "[X] by [Y]", held_out=True)
    found = judge([*TEMPLATES, held])._try_put(claim)
    assert (found.claim, found.notes, found.pair) == (claim, (), ("river", "de"))
    assert [(p.template, p.label, p.fact.relation) for p in found.prompts] == [
        (TEMPLATES[2], Label("Wien", "Donau"), "river")
    ]
    assert judge()._try_put(replace(claim, language=None)).claim == claim
    for wrong, why in (
        (replace(claim, problem="the object is empty"), "The claim is unusable: the object is empty; mend the row."),
        (replace(claim, language="it"), "Relation river has no usable template in 'it'; it has some in de, en, fr."),
        (replace(claim, language="en"), "The atlas has no dkn neurons of river in 'en', found on training facts;"),
    ):
        answer = judge()._try_put(wrong)
        assert answer.status.startswith(why)
        assert (answer.claim, answer.evidence, answer.texts, answer.supported) == (wrong, "dkn", (), None)


def put():
    claim = Claim("Wien", "river", "Donau", "de")
    fact = Fact("river", "Wien", "Donau", {"de": Label("Wien", "Donau")})
    return _Put(claim, (Prompt(fact, Template("river", "de", "[X] an der [Y]")),), ("a note",))


def test_an_answer_names_the_neurons_that_say_most_and_the_models_own_probability(judge):
    scores = {(0, n): score for n, score in enumerate((0.1, 0.5, -0.9, 0.5, 0.3, 0.2, 0.4))}
    signals = Signals("ok", -2.0, score={("dkn", "de"): 0.6}, neurons={("dkn", "de"): scores})
    answer = judge()._answer(put(), signals, 0.5)
    assert answer.neurons == ((0, 1, 0.5), (0, 3, 0.5), (0, 6, 0.4), (0, 4, 0.3), (0, 5, 0.2))
    assert len(answer.neurons) == SPOKEN
    assert answer.probability == pytest.approx(0.1353, rel=1e-3)
    assert (answer.status, answer.supported, answer.score, answer.threshold) == ("ok", True, 0.6, 0.5)
    assert (answer.claim, answer.evidence, answer.notes) == (put().claim, "dkn", ("a note",))
    assert answer.texts == (put().prompts[0].text,)


def test_without_a_threshold_an_answer_has_its_score_and_no_verdict(judge):
    signals = Signals("ok", -2.0, score={("dkn", "de"): 0.6}, neurons={("dkn", "de"): {(0, 1): 0.6}})
    answer = judge()._answer(put(), signals, float("nan"))
    assert answer.status.startswith("no threshold can be tuned")
    assert (answer.supported, answer.score, answer.threshold) == (None, 0.6, None)


@pytest.mark.parametrize(("status", "said"), [
    ("unspellable", "the tokenizer cannot spell"), ("too_long", "longer than the model allows"),
    ("no_subject", "no token is the subject's last one"), ("nan", "holds NaN"), ("unresolved", "not exact enough"),
    ("no template", "no template"),
])  # fmt: skip
def test_a_claim_without_signals_says_why_and_where_it_was_put(judge, status, said):
    answer = judge()._answer(put(), Signals(status), 0.5)
    assert said in answer.status
    assert (answer.supported, answer.score, answer.probability, answer.neurons) == (None, None, None, ())
    assert (answer.texts, answer.notes) == ((put().prompts[0].text,), ("a note",))
