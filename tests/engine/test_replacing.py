"""What cut neurons become, against hooks written by hand and means worked out in numpy."""

from functools import partial

import numpy as np
import pytest
import torch
from by_hand import hooked, put_by_hand, read_by_hand
from tiny import make_model

from atlas.engine.activations import neuron_activations
from atlas.engine.answers import Case, measure
from atlas.engine.replacing import MEAN_PROMPTS, Means, Swap, gathered, replacing, sample, values_of
from atlas.errors import UsageError
from atlas.facts import Fact, Label, Prompt, Template
from atlas.knockouts.knockout import knock_out

FACTS = {
    "P36": (("France", "Paris"), ("Germany", "Berlin"), ("Japan", "New York"), ("York", "Paris")),
    "P38": (("Japan", "yen"), ("France", "currency")),
    "P1": (("France", "States"),),
}
TEXTS = {"P36": ("the capital of [X] is [Y]", "[X] has the capital [Y]"), "P38": ("the currency of [X] is [Y]",),
         "P1": ("[X] lies in the [Y]",)}  # fmt: skip
NEURONS = ((0, 3), (1, 7), (1, 20), (2, 0))


def prompts_of(language="en"):
    return [
        Prompt(Fact(relation, subject, answer, {language: Label(subject, answer)}), Template(relation, language, text))
        for relation, pairs in FACTS.items()
        for subject, answer in pairs
        for text in TEXTS[relation]
    ]


PROMPTS = prompts_of()


def by_hand(model, replace, prompt, at):
    """What neurons at a position become in `prompt`, `[step, layer, neuron]`."""
    if replace == "zero":
        return np.zeros((1, model.info.layers, model.info.neurons))
    if replace == "swap":
        return read_by_hand(model, Swap(model, PROMPTS, 5).partner(prompt), at)
    others = [read_by_hand(model, p, at).mean(0) for p in PROMPTS if p.fact.relation != prompt.fact.relation]
    return np.mean(others, axis=0)[None]


@pytest.mark.quick(1)
@pytest.mark.parametrize("at", ["query", "subject"])
@pytest.mark.parametrize("replace", ["zero", "mean", "swap"])
def test_values_equal_hooks_written_by_hand(tiny, replace, at):
    rule, chosen = replacing(tiny, replace, PROMPTS, 5, at=at), PROMPTS[:6]
    values = None if rule is None else rule.values(chosen)
    found = knock_out(tiny, chosen, [[NEURONS, NEURONS[1:2]]] * len(chosen), values=values, at=at)
    picked = [None] * len(chosen)
    if rule is not None:
        picked = rule.values(chosen, lambda _, neurons: torch.stack([neurons[n] for n in NEURONS]))
    cases = [Case(p, NEURONS, 0.0, own) for p, own in zip(chosen, picked, strict=True)]
    for prompt, knocked, measured in zip(chosen, found, measure(tiny, cases, at=at), strict=True):
        become = by_hand(tiny, replace, prompt, at)
        expected = put_by_hand(tiny, prompt, NEURONS, become, at)
        assert knocked.after[0] == pytest.approx(expected, rel=1e-6)
        assert knocked.after[1] == pytest.approx(put_by_hand(tiny, prompt, NEURONS[1:2], become, at), rel=1e-6)
        assert measured.probability == pytest.approx(expected, rel=1e-6)


def test_suppress_sets_neurons_to_the_values_given(tiny):
    prompt = PROMPTS[0]
    (step,) = tiny.steps(prompt)[:1]
    values = Means(tiny, PROMPTS, 5).of("en", "P36")
    with tiny.suppress(NEURONS, replace=values):
        found = tiny.run(torch.tensor([step.ids]))[0, step.query].softmax(-1)[step.target].item()

    def change(layer, neurons):
        for own, neuron in NEURONS:
            if own == layer:
                neurons[neuron] = values[layer, neuron]

    assert found == pytest.approx(hooked(tiny, step, change).softmax(-1)[step.target].item(), rel=1e-6)
    assert not any(tiny.down_projection(layer)._forward_pre_hooks for layer in range(tiny.info.layers))


def test_suppress_refuses_values_of_another_shape(tiny):
    with pytest.raises(UsageError, match="do not fit"), tiny.suppress(NEURONS, replace=torch.zeros(2, 40)):
        pass


@pytest.mark.quick(1)
def test_its_own_values_change_nothing(tiny):
    whole = tuple((layer, neuron) for layer in range(3) for neuron in range(40))
    for prompt, values in zip(PROMPTS, values_of(tiny, PROMPTS), strict=True):
        (found,) = knock_out(tiny, [prompt], [[whole]], values=[values])
        assert found.after[0] == pytest.approx(found.before, rel=1e-9)


def test_cases_with_and_without_values_run_together(tiny):
    prompt = PROMPTS[0]
    values = torch.full((1, len(NEURONS)), 0.7, dtype=torch.float64)
    cases = [Case(prompt, NEURONS, 0.0), Case(prompt, NEURONS, 0.0, values), Case(prompt, NEURONS, 2.0), Case(prompt)]
    together = [m.probability for m in measure(tiny, cases)]
    assert together == pytest.approx([measure(tiny, [case])[0].probability for case in cases], rel=1e-9)
    assert len({round(probability, 12) for probability in together}) == 4


def test_a_partner_is_another_fact_with_another_object_and_stays_as_facts_are_added():
    model = make_model("bert")
    swap = Swap(model, PROMPTS, 5)
    for prompt in PROMPTS[:10]:
        partner = swap.partner(prompt)
        assert partner.template == prompt.template
        assert partner.answer != prompt.answer
        both = (prompt.fact.subject, partner.fact.subject)
        assert Swap(model, [p for p in PROMPTS if p.fact.subject in both], 5).partner(prompt) == partner
    drawn = {Swap(model, PROMPTS, seed).partner(PROMPTS[0]).fact.subject for seed in range(12)}
    assert drawn == {"Germany", "Japan"}


def test_another_object_of_the_same_subject_is_no_partner():
    prompt = PROMPTS[0]
    other = Prompt(Fact("P36", "Gaul", "Lyon", {"en": Label("France", "Lyon")}), prompt.template)
    model = make_model("bert")
    assert Swap(model, [prompt, other], 5).reason(prompt) == "no_partner"
    assert Swap(model, [*PROMPTS, other], 5, partners={prompt.id: other.fact.id}).partner(prompt).text != prompt.text


@pytest.mark.parametrize(("answer", "written"), [("Paris", "Lutetia"), ("Paris in Texas", "Paris")])
def test_neither_the_same_object_nor_one_written_alike_is_another_object(answer, written):
    prompt = PROMPTS[0]
    other = Prompt(Fact("P36", "Gaul", answer, {"en": Label("Gaul", written)}), prompt.template)
    assert Swap(make_model("bert"), [prompt, other], 5).reason(prompt) == "no_partner"


def test_a_partner_that_was_taken_before_stays():
    model, prompt = make_model("bert"), PROMPTS[0]
    for other in PROMPTS:
        if other.template == prompt.template and other.answer != prompt.answer:
            swap = Swap(model, PROMPTS, 5, partners={prompt.id: other.fact.id})
            assert swap.partner(prompt) == other
            assert swap.other(prompt) == other.fact.id


def test_a_mean_over_the_same_prompts_of_other_relations_is_one_pool_whatever_the_seed():
    model = make_model("bert")
    assert len({Means(model, PROMPTS, seed).pool(PROMPTS[0]) for seed in range(3)}) == 1
    assert Means(model, PROMPTS[:-1], 0).pool(PROMPTS[0]) != Means(model, PROMPTS, 0).pool(PROMPTS[0])
    assert Means(model, PROMPTS[1:], 0).pool(PROMPTS[0]) == Means(model, PROMPTS, 0).pool(PROMPTS[0])


def test_what_has_no_value_says_why():
    model = make_model("bert")
    only = [prompt for prompt in PROMPTS if prompt.fact.relation == "P1"]
    assert Swap(model, PROMPTS, 0).reason(only[0]) == "no_partner"
    assert Swap(model, PROMPTS, 0).reason(PROMPTS[0]) is None
    assert Means(model, [*only, *prompts_of("de")], 0).reason(only[0]) == "no_other_relation"
    assert Means(model, PROMPTS, 0).reason(only[0]) is None


def test_a_mean_is_of_so_many_prompts_at_most_and_a_prompt_counts_once():
    facts = [Fact("R", f"s{i}", f"o{i}", {"en": Label(f"s{i}", "o")}) for i in range(MEAN_PROMPTS + 9)]
    many = [Prompt(fact, Template("R", "en", "[X] [Y]")) for fact in facts]
    assert len(sample(many + PROMPTS, 0)) == MEAN_PROMPTS + len(PROMPTS)
    assert {p.id for p in sample(many, 0)} != {p.id for p in sample(many, 1)}


def test_activations_are_the_numbers_of_numpy(tiny):
    read = np.stack([read_by_hand(tiny, prompt).mean(0) for prompt in PROMPTS])
    rows = neuron_activations(tiny, PROMPTS, NEURONS, "query").to_pylist()
    assert [(row["layer"], row["neuron"]) for row in rows] == list(NEURONS)
    for row in rows:
        values = read[:, row["layer"], row["neuron"]]
        assert (row["prompts"], row["language"]) == (len(PROMPTS), "en")
        numbers = [row[name] for name in ("mean", "deviation", "q05", "q25", "q50", "q75", "q95")]
        expected = [values.mean(), values.std(), *np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])]
        assert numbers == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_a_neuron_that_is_asked_for_twice_in_a_prompt_has_its_value_both_times(tiny):
    first, second = PROMPTS[0], PROMPTS[-1]
    asked = [(first, NEURONS[:2]), (second, NEURONS[2:]), (first, NEURONS[1:]), (first, NEURONS[::-1])]
    for (prompt, neurons), values in zip(asked, gathered(partial(values_of, tiny), asked), strict=True):
        read = read_by_hand(tiny, prompt)
        assert values.numpy() == pytest.approx(np.stack([read[:, i, j] for i, j in neurons], 1), rel=1e-9)
