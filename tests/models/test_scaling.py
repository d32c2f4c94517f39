"""Suppress and enhance, against neurons overwritten by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import PROMPTS, make_model

from atlas.attribution import Settings, attribute
from atlas.attribution.reference import reference_neurons
from atlas.errors import ModelError, UsageError
from atlas.models.hooks import pre_hook
from atlas.models.readout import features_of_ids
from atlas.models.scaling import scaled

MODELS = {family: make_model(family) for family in ("bert", "gpt2")}
NEURONS = st.sets(st.tuples(st.integers(0, 2), st.integers(0, 39)), min_size=1, max_size=6)


def tensors(model, prompt):
    step = model.steps(prompt)[0]
    return torch.tensor([step.ids]), torch.tensor([step.query])


def by_hand(model, ids, position, factors):
    """The model's logits with neurons multiplied one by one, layer by layer, by plain assignment."""
    from contextlib import ExitStack

    def change(layer):
        def edit(values):
            values = values.clone()
            for (own, neuron), factor in factors.items():
                if own == layer:
                    values[0, position, neuron] *= factor
            return values

        return edit

    with ExitStack() as stack:
        for layer in range(model.info.layers):
            stack.enter_context(pre_hook(model.down_projection(layer), change(layer)))
        return model.run(ids)


@pytest.mark.parametrize("family", MODELS)
@given(neurons=NEURONS, data=st.data())
@settings(max_examples=15, deadline=None)
def test_query_scope_changes_the_query_position_alone(family, neurons, data):
    model, prompt = MODELS[family], data.draw(st.sampled_from(PROMPTS))
    factor = data.draw(st.sampled_from([0.0, 2.0]))
    ids, query = tensors(model, prompt)
    expected = by_hand(model, ids, query.item(), dict.fromkeys(neurons, factor))
    with scaled(model, neurons, factor), torch.no_grad():
        features = features_of_ids(model, ids, query)
        logits = model.model.get_output_embeddings()(features)
    assert torch.allclose(logits[0], expected[0, query.item()], atol=1e-10)


@pytest.mark.parametrize("family", MODELS)
def test_all_scope_changes_every_position(family):
    model = MODELS[family]
    ids, _ = tensors(model, PROMPTS[0])
    expected = by_hand(model, ids, slice(None), {(0, 3): 0.0, (2, 5): 0.0})
    with model.suppress([(0, 3), (2, 5)], scope="all"):
        assert torch.allclose(model.run(ids), expected, atol=1e-10)


@pytest.mark.parametrize("family", MODELS)
def test_a_raw_run_takes_masks_or_the_last_token_as_the_query(family):
    model = MODELS[family]
    ids, query = tensors(model, PROMPTS[2])
    place = ids[0] == model.tokenizer.mask_token_id if model.kind == "masked" else query
    with model.enhance([(1, 7)]):
        found = model.run(ids)
    assert torch.allclose(found, by_hand(model, ids, place, {(1, 7): 2.0}), atol=1e-10)


@pytest.mark.parametrize("family", MODELS)
def test_interventions_compose_and_are_undone(family):
    model = MODELS[family]
    ids, query = tensors(model, PROMPTS[0])
    before = model.run(ids)
    with model.enhance([(0, 1), (1, 2)]):
        with model.suppress([(0, 1), (2, 2)]):
            both = reference_neurons(model, ids[0].tolist(), query.item())
        one = reference_neurons(model, ids[0].tolist(), query.item())
    plain = reference_neurons(model, ids[0].tolist(), query.item())
    assert both[0, 1] == 0
    assert both[2, 2] == 0
    assert one[0, 1] == 2 * plain[0, 1]
    assert torch.equal(model.run(ids), before)
    assert not any(model.down_projection(layer)._forward_pre_hooks for layer in range(model.info.layers))


def test_an_exception_undoes_it(tiny):
    ids, _ = tensors(tiny, PROMPTS[0])
    before = tiny.run(ids)
    with pytest.raises(RuntimeError, match="stop"), tiny.suppress([(0, 1)]), tiny.enhance([(0, 1)], scope="all"):
        raise RuntimeError("stop")
    assert torch.equal(tiny.run(ids), before)


def test_a_suppressed_neuron_has_no_score_and_the_rest_still_adds_up(tiny):
    with tiny.suppress([(0, 1), (1, 2)]):
        (found,) = attribute(tiny, PROMPTS[:1], Settings(method="kn"))
    assert found.scores[0, 1] == 0
    assert found.scores[1, 2] == 0
    assert (found.layers.completeness_error <= 0.01 * abs(found.layers.f - found.layers.f_baseline) + 1e-6).all()


@pytest.mark.parametrize("neurons", [[(3, 0)], [(0, 40)], [(-1, 0)]])
def test_unknown_neurons_are_refused_before_anything_changes(tiny, neurons):
    said = rf"Neuron L{neurons[0][0]}\.{neurons[0][1]} is not in model .* layers 0 to 2 of neurons 0 to 39"
    with pytest.raises(UsageError, match=said), tiny.suppress([(0, 0), *neurons]):
        pass
    assert not tiny.down_projection(0)._forward_pre_hooks


def test_unknown_scopes_and_values_and_calls_past_the_atlas_are_refused(tiny):
    ids, _ = tensors(tiny, PROMPTS[0])
    with pytest.raises(UsageError, match=r"(?i)scope"), tiny.suppress([(0, 0)], scope="everywhere"):
        pass
    with pytest.raises(UsageError, match="cut to 'mean' by its name"), tiny.suppress([(0, 0)], replace="mean"):
        pass
    with pytest.raises(ModelError, match=r"model\.run"), tiny.suppress([(0, 0)]):
        tiny.model(input_ids=ids)
