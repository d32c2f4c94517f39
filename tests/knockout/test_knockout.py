"""Knock-outs against an independent oracle: one plain forward pass for every set, with hooks."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import PROMPTS, make_model, make_prompt

from atlas.engine.cuts import branches, neuron_set
from atlas.errors import ModelError
from atlas.knockouts.knockout import knock_out

LAYERS, NEURONS = 3, 40


def one_by_one(model, prompt, cut):
    """The product over the steps of the gold token's probability, from whole forward passes."""
    product = 1.0
    for step in model.steps(prompt):
        handles = [model.down_projection(n[0]).register_forward_pre_hook(zero(step.query, n[1])) for n in cut]
        with torch.no_grad():
            logits = model.run(torch.tensor([step.ids]))[0, step.query]
        for handle in handles:
            handle.remove()
        product *= float(torch.softmax(logits, -1)[step.target])
    return product


def zero(position, neuron):
    def hook(_, args):
        changed = args[0].clone()
        changed[:, position, neuron] = 0
        return (changed,)

    return hook


neurons = st.tuples(st.integers(0, LAYERS - 1), st.integers(0, NEURONS - 1))
neuron_sets = st.lists(neurons, min_size=1, max_size=5).map(neuron_set)
models = {family: make_model(family) for family in ("bert", "gpt2")}


@settings(max_examples=6, deadline=None)
@given(st.sampled_from(["bert", "gpt2"]), st.lists(st.lists(neuron_sets, max_size=6), min_size=5, max_size=5))
def test_equals_one_forward_per_set(family, sets):
    model = models[family]
    for prompt, group, found in zip(PROMPTS, sets, knock_out(model, PROMPTS, sets), strict=True):
        assert found.prompt == prompt.id
        assert found.before == pytest.approx(one_by_one(model, prompt, ()), rel=1e-9)
        assert found.after == pytest.approx([one_by_one(model, prompt, cut) for cut in group], rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("budget", [100_000, 1])
def test_memory_does_not_change_the_numbers(tiny, prompts, budget):
    top = [(layer, neuron) for layer in range(LAYERS) for neuron in (1, 7)]
    sets = [[(a, b) for a in top for b in top if a < b]] * len(prompts)
    whole, parts = knock_out(tiny, prompts, sets), knock_out(tiny, prompts, sets, budget)
    for one, other in zip(whole, parts, strict=True):
        assert one.before == pytest.approx(other.before, rel=1e-9)
        np.testing.assert_allclose(one.after, other.after, rtol=1e-9)


def test_every_gradient_free_and_every_hook_gone(tiny, prompts):
    knock_out(tiny, prompts, [[((0, 1),)]] * len(prompts))
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in tiny.model.modules())


def test_unusable_prompts_say_why():
    not_final = make_prompt("[Y] is the capital of [X] .", "France", "Paris")
    long = make_prompt("the capital of [X] is [Y] .", "France " * 60, "Paris")
    found = knock_out(models["gpt2"], [not_final, long, PROMPTS[0]], [[((0, 1),)]] * 3)
    assert [result.status for result in found] == ["not_final", "too_long", "ok"]
    assert found[0].before is None
    assert found[0].after is None


def test_nan_is_a_status():
    model = make_model("bert")
    model.down_projection(1).bias.data.fill_(float("nan"))
    assert knock_out(model, PROMPTS[:1], [[((0, 1),)]])[0].status == "nan"


def test_nan_before_a_cut_alone_or_after_it_alone_is_a_status_too():
    model, cut = make_model("bert"), [[((2, 3),)]]
    values = torch.full((1, model.info.layers, model.info.neurons), float("nan"), dtype=model.dtype)
    assert knock_out(model, PROMPTS[:1], cut, values=[values])[0].status == "nan"
    model.blocks[2].intermediate.dense.bias.data[3] = float("nan")
    assert knock_out(model, PROMPTS[:1], cut)[0].status == "nan"


@pytest.mark.parametrize("wrong", [((3, 0),), ((0, 40),), ((-1, 0),), (), ((1, 1), (0, 1))])
def test_neurons_that_are_not_there_are_errors(tiny, wrong):
    with pytest.raises(ModelError):
        knock_out(tiny, PROMPTS[:1], [[wrong]])


def test_sets_that_begin_alike_share_their_copies():
    low, high = (0, 1), [(2, neuron) for neuron in range(10)]
    tree, place = branches([(0, (low, other)) for other in high] + [(0, (low,))], rows=1)
    assert [len(tree[layer].owner) for layer in (0, 2)] == [1, 10]
    assert place == [*range(1, 11), 0]
    assert tree[2].parent == [1] * 10  # row 0 is the trace itself
