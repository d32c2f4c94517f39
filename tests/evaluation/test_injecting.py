"""Sufficiency on planted models: one neuron's value says its object in another fact's prompt, and nothing else does."""

import pytest
from tiny import make_model

from atlas.engine.answers import Case, measure
from atlas.engine.batches import Budget
from atlas.engine.replacing import values_of
from atlas.evaluation.injecting import injections, put_in
from atlas.evaluation.interventions import Intervention
from atlas.facts import Fact, Label, Prompt, Template
from atlas.planted import Circuit, PlantConfig, plant

CIRCUITS = [Circuit("knowledge", 0), Circuit("independent", 1), Circuit("knowledge", 2), Circuit("independent", 3)]


@pytest.fixture(scope="module", params=["bert", "gpt2"])
def planted(request):
    return plant(PlantConfig(family=request.param), CIRCUITS, seed=0)


def put(planted, fact, neurons, taken, measured):
    """Put the values of `neurons`, taken in one language, into the other fact of the relation; before and after."""
    model, own = planted.language_model("planted"), {}
    for prompt in planted.facts.prompts():
        own.setdefault(prompt.fact.id, []).append(prompt)
    (receiver,) = [f for f in planted.facts.facts if f.relation == fact.relation and f.id != fact.id]
    of = Intervention(0, fact.id, (taken,), "top", tuple(sorted(neurons)), (measured,))
    wanted = list(injections(model, [of], {fact.id: receiver}, own, "query"))
    assert wanted
    return [(a.probability, b.probability) for a, b in put_in(model, wanted, Budget.of(model), "query")]


@pytest.mark.slow
def test_the_planted_neuron_is_enough_and_another_one_is_not(planted):
    first, _, third, _ = planted.facts.facts
    own, other = (planted.truth.knowledge[fact.id, "en"] for fact in (first, third))
    for before, after in put(planted, first, own, "en", "en"):
        assert before < 0.05
        assert after > 0.2
    for _, after in put(planted, first, other, "en", "en"):
        assert after < 0.05


def test_a_language_independent_neuron_is_enough_in_another_language(planted):
    _, fact, *_ = planted.facts.facts
    for before, after in put(planted, fact, planted.truth.independent[fact.id], "en", "de"):
        assert before < 0.05
        assert after > 0.2


def test_values_come_of_the_same_template_or_of_all_in_another_language_and_ask_for_their_own_object(facts):
    """Of two facts with one receiver; `France` lacks the second English template, where nothing is put in then."""
    model, own = make_model("bert"), {}
    for prompt in facts.prompts():
        own.setdefault((prompt.fact.relation, prompt.fact.subject), []).append(prompt)
    france, japan, germany = (own["P36", name] for name in ("France", "Japan", "Germany"))
    france.remove(next(prompt for prompt in france if prompt.language == "en"))
    prompts = {group[0].fact.id: group for group in (france, japan, germany)}
    both = ("en", "fr")
    asked = [(france, "Paris", "en", both), (japan, "capital", "fr", ("fr",)), (japan, "capital", "fr", both)]
    wanted = [
        Intervention(0, group[0].fact.id, (code,), "top", ((0, 3),), measured) for group, _, code, measured in asked
    ]
    found = [
        (wanted.index(one.of), one.receiver, one.prompt.text, one.prompt.answer, set(one.sources))
        for one in injections(model, wanted, dict.fromkeys(prompts, germany[0].fact), prompts, "query")
    ]
    expected = []
    for place, (group, answer, code, measured) in enumerate(asked):
        for receiver in (prompt for prompt in germany if prompt.language in measured):
            given = {prompt for prompt in group if prompt.language == code}
            if code == receiver.language:
                given = {prompt for prompt in given if prompt.template == receiver.template}
            expected += [(place, receiver, receiver.text, answer, given)] if given else []
    assert found == expected
    assert len(expected) == len(germany) - 1 + 2 + len(germany)


def test_values_of_another_language_are_a_mean_over_the_answers_tokens_of_a_single_prompt_too():
    model, neurons = make_model("bert"), ((0, 3), (1, 4))
    answers, languages = {"France": "New York", "Japan": "United States"}, ("en", "fr")
    facts = [Fact("P36", *pair, dict.fromkeys(languages, Label(*pair))) for pair in answers.items()]
    templates = [Template("P36", "en", "[X] lies in [Y]"), Template("P36", "fr", "la [X] est [Y]")]
    own = {fact.id: [Prompt(fact, template) for template in templates] for fact in facts}
    of = Intervention(0, facts[0].id, ("en",), "top", neurons, languages)
    wanted = list(injections(model, [of], {facts[0].id: facts[1]}, own, "query"))
    steps = values_of(model, own[facts[0].id][:1], lambda _, kept: kept[[0, 1], [3, 4]])[0]
    assert len(steps) > 1
    for one, (_, after) in zip(wanted, put_in(model, wanted, Budget.of(model), "query"), strict=True):
        given = steps if one.prompt.language == "en" else steps.mean(0)[None]
        (expected,) = measure(model, [Case(one.prompt, neurons, 0.0, given)])
        assert after.log_probability == pytest.approx(expected.log_probability, rel=1e-9)
