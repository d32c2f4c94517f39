"""Batched measuring against one prompt at a time, with a hook, and the full softmax."""

import pytest
import torch
from tiny import PROMPTS, make_model, make_prompt

from atlas.attribution import Settings, attribute
from atlas.engine.answers import Case, divergence, measure, usable
from atlas.models.scaling import scaled

SETS = [(), ((0, 1), (2, 7)), ((1, 3),), ((0, 1), (0, 2), (1, 39)), ((2, 0),)]


def alone(model, prompt, neurons, factor, scope):
    """Log-probability, rank of the first token, argmax: step by step, from the logits of the whole sequence."""
    total, ranks = 0.0, []
    for step in model.steps(prompt):
        with scaled(model, neurons, factor, "all") if scope == "all" else at(model, neurons, factor, step.query):
            logits = model.run(torch.tensor([step.ids]))[0, step.query]
        total += logits.log_softmax(-1)[step.target].item()
        ranks.append(1 + int((logits > logits[step.target]).sum()))
    return total, ranks[0], all(rank == 1 for rank in ranks)


def at(model, neurons, factor, query):
    from atlas.models.hooks import neurons_replaced

    def change(layer):
        def edit(values):
            values = values.clone()
            for own, neuron in neurons:
                if own == layer:
                    values[:, query, neuron] *= factor
            return values

        return edit

    return neurons_replaced(model, {layer: change(layer) for layer, _ in neurons})


@pytest.mark.quick(1)
@pytest.mark.parametrize("scope", ["query", "all"])
def test_batched_equals_alone(tiny, scope):
    cases = [Case(p, neurons, f) for p in PROMPTS for neurons in SETS for f in (0.0, 2.0)]
    for case, found in zip(cases, measure(tiny, cases, scope), strict=True):
        log_probability, rank, argmax = alone(tiny, case.prompt, case.neurons, case.factor, scope)
        assert found.log_probability == pytest.approx(log_probability, abs=1e-9)
        assert (found.rank, found.argmax) == (rank, argmax)
        assert len(found.best) == len(tiny.steps(case.prompt))


@pytest.mark.parametrize("cut", [False, True])
def test_a_prompt_that_is_asked_for_several_answers_runs_once_unless_its_neurons_are_changed(tiny, cut):
    neurons, names = ((1, 3),) if cut else (), ("Paris", "Berlin")
    asked = [make_prompt("the capital of [X] is [Y]", "France", name) for name in names]
    cases = [Case(prompt, neurons, factor) for prompt, factor in zip(asked, (0.0, 2.0), strict=True)]
    ran = []
    handle = tiny.blocks[0].register_forward_pre_hook(lambda _, args: ran.append(len(args[0])))
    found = measure(tiny, cases, "all")
    handle.remove()
    steps = {step.ids for prompt in asked for step in tiny.steps(prompt)}
    assert sum(ran) == (sum(len(tiny.steps(prompt)) for prompt in asked) if cut else len(steps))
    for case, one in zip(cases, found, strict=True):
        log_probability, *_ = alone(tiny, case.prompt, case.neurons, case.factor, "all")
        assert one.log_probability == pytest.approx(log_probability, abs=1e-9)


def test_no_change_has_no_divergence_and_a_change_has_some(tiny):
    """It is KL(before || after), the mean over an answer's steps, of the logits of whole sequences."""
    prompt, neurons = PROMPTS[2], ((2, 1), (2, 2), (2, 3))
    plain, cut = measure(tiny, [Case(prompt), Case(prompt, neurons, 0.0)])
    assert divergence(tiny, plain.features, plain.features) == pytest.approx(0, abs=1e-12)
    every = []
    for step in tiny.steps(prompt):
        with at(tiny, neurons, 0.0, step.query):
            after = tiny.run(torch.tensor([step.ids]))[0, step.query].softmax(-1)
        before = tiny.run(torch.tensor([step.ids]))[0, step.query].softmax(-1)
        every.append(float((before * (before / after).log()).sum()))
    assert len(every) > 1
    assert divergence(tiny, plain.features, cut.features) == pytest.approx(sum(every) / len(every), rel=1e-9)


def test_an_answer_of_which_only_the_first_token_is_the_most_probable_one_is_not_the_argmax():
    """Both for scores, whose `argmax` says what the model knows, and for knock-outs."""
    model, whole = make_model("bert"), PROMPTS[2]
    first, *later = model.steps(whole)
    with torch.no_grad():
        model.head.bias[first.target] += 1000
    start = make_prompt(whole.template.text, "New York", model.tokenizer.decode([first.target]))
    for prompt, argmax in ((whole, not later), (start, True)):
        (scored,), (said,) = attribute(model, [prompt], Settings(method="activation")), measure(model, [Case(prompt)])
        assert (scored.rank, scored.argmax) == (said.rank, said.argmax) == (1, argmax)


def test_unusable_prompts_are_left_out(tiny):
    bad = make_prompt("the capital of [X] is [Y] .", "France", "")
    assert usable(tiny, [bad, PROMPTS[0]]) == [PROMPTS[0]]
