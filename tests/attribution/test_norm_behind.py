"""Norms behind the down-projection (Gemma 2 and 3, OLMo 2): scorers from zero hold them, and nothing jumps.

The oracle shares no code with the engine: each such norm of the tiny model is written out from its weights, and held at
the root mean square of a plain run.
"""

import numpy as np
import pytest
import torch
from quick import first_quick
from tiny import PROMPTS
from tiny_families import make_tiny

from atlas.attribution import Settings, attribute
from atlas.attribution.identity import identity
from atlas.attribution.quadrature import gauss_legendre
from atlas.attribution.reference import reference_scores
from atlas.doctor.throughout import unrounded

FAMILIES = ["gemma3_text", "olmo2"]
PROMPT = PROMPTS[0]


@pytest.fixture(scope="module", params=first_quick(*FAMILIES))
def model(request):
    made = make_tiny(request.param)
    with unrounded(made):
        yield made


def gain_and_size(model, layer, written):
    """Return the gain `[hidden]` and the root mean square of `written`, from the weights of the norm."""
    norm = model.blocks[layer].post_feedforward_layernorm
    gemma = hasattr(norm, "eps")
    gain = 1 + norm.weight if gemma else norm.weight
    return gain, (written.square().mean(-1, keepdim=True) + (norm.eps if gemma else norm.variance_epsilon)).sqrt()


def f_with_gates(model, step, gates, *, held):
    """Return F with the neurons at the query multiplied by `gates` `[layer, neuron]`; norms held or as they are."""
    handles = []
    for layer, gate in enumerate(gates):
        came = {}
        down, norm = model.down_projection(layer), model.blocks[layer].post_feedforward_layernorm

        def close(_, args, gate=gate, came=came):
            came["neurons"] = args[0][0, step.query]
            values = list(args[0][0])
            values[step.query] = came["neurons"] * gate
            return (torch.stack(values)[None],)

        def hold(_, args, out, layer=layer, down=down, came=came):
            gain, size = gain_and_size(model, layer, came["neurons"] @ down.weight.T)
            rows = list(out[0])
            rows[step.query] = gain * args[0][0, step.query] / size
            return torch.stack(rows)[None]

        handles.append(down.register_forward_pre_hook(close))
        if held:
            handles.append(norm.register_forward_hook(hold))
    try:
        return model.run(torch.tensor([step.ids]))[0, step.query].softmax(-1)[step.target]
    finally:
        for handle in handles:
            handle.remove()


def integrated(model, step, layers, nodes=48):
    """Return dF/dgate `[layer, neuron]` integrated while the gates of `layers` open together, the others open."""
    rule, total = gauss_legendre(nodes), 0
    for node, weight in zip(rule.nodes, rule.weights, strict=True):
        gates = torch.ones(model.info.layers, model.info.neurons, dtype=torch.float64)
        gates[layers] = node
        gates.requires_grad_()
        with torch.enable_grad():
            total += weight * torch.autograd.grad(f_with_gates(model, step, gates, held=True), gates)[0]
    return total[layers].numpy()


@pytest.fixture(scope="module")
def by_layer(model):
    """The integrals `[layer, neuron]` of each layer alone, worked out once for all tests that compare with them."""
    (step,) = model.steps(PROMPT)
    return [integrated(model, step, [layer])[0] for layer in range(model.info.layers)]


def ends(model, layers):
    """Return F with all neurons, and F of a plain run in which those of `layers` are zero."""
    (step,), found = model.steps(PROMPT), []
    for value in (1.0, 0.0):
        gates = torch.ones(model.info.layers, model.info.neurons, dtype=torch.float64)
        gates[layers] = value
        found.append(float(f_with_gates(model, step, gates, held=False)))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["gauss-radau", "gauss-legendre", "clenshaw-curtis"])
def test_kn_is_the_integral_with_the_norm_held_and_sums_to_what_zero_neurons_cost(model, by_layer, rule):
    result = attribute(model, [PROMPT], Settings(method="kn", rule=rule, tolerance=1e-10, max_nodes=257))[0]
    assert result.status == "ok"
    for layer, wanted in enumerate(by_layer):
        assert np.abs(result.scores[layer] - wanted).max() <= 1e-6 * np.abs(wanted).max()
        f, f_zero = ends(model, [layer])
        assert result.layers.score_sum[layer] == pytest.approx(f - f_zero, rel=1e-5, abs=1e-9)
        assert result.layers.f_baseline[layer] == pytest.approx(f_zero, rel=1e-9)


@pytest.mark.slow
def test_joint_is_the_integral_with_all_norms_held_and_sums_to_what_zero_neurons_cost(model):
    result = attribute(model, [PROMPT], Settings(method="joint", tolerance=1e-10, max_nodes=256))[0]
    (step,), every = model.steps(PROMPT), list(range(model.info.layers))
    wanted = integrated(model, step, every)
    assert np.abs(result.scores - wanted).max() <= 1e-6 * np.abs(wanted).max()
    f, f_zero = ends(model, every)
    assert result.scores.sum(dtype=np.float64) == pytest.approx(f - f_zero, rel=1e-5)


@pytest.mark.slow
def test_the_slow_reference_holds_the_norm_too(model, by_layer):
    step = model.steps(PROMPT)[0]
    zero = torch.zeros(model.info.neurons, dtype=torch.float64)
    for layer, wanted in enumerate(by_layer):
        scores, _, _ = reference_scores(model, step, layer, zero, gauss_legendre(48), held=True)
        assert np.abs(scores.numpy() - wanted).max() <= 1e-9 * np.abs(wanted).max()


def test_without_holding_the_path_has_nothing_to_integrate(model):
    """Why: a hundredth of the neurons gives nearly the F of all of them, and none gives another."""
    step = model.steps(PROMPT)[0]
    found = []
    for share in (1.0, 0.01, 0.0):
        gates = torch.ones(model.info.layers, model.info.neurons, dtype=torch.float64)
        gates[1] = share
        found.append(float(f_with_gates(model, step, gates, held=False)))
    assert abs(found[0] - found[1]) < 0.1 * abs(found[0] - found[2])


def test_word_baselines_run_through_the_norm_as_it_is(model):
    """`amig` stays Eq. 2: its ends are neurons that the model has, and F(w') is that of a plain run."""
    result = attribute(model, [PROMPT], Settings(method="amig", tolerance=1e-8, max_nodes=256))[0]
    assert result.status == "ok"
    assert np.all(result.layers.completeness_error <= 1e-8)


def test_runs_that_hold_a_norm_say_so():
    assert identity(Settings(method="kn"), "float32", "gemma3_text")["norm"] == "held"
    assert "norm" not in identity(Settings(method="amig"), "float32", "gemma3_text")
    assert "norm" not in identity(Settings(method="kn"), "float32", "llama")
