"""Integrals that more nodes cannot help: given up early, told apart, and not counted as usable."""

import numpy as np
import pytest
import torch
from tiny import PROMPTS, make_model

from atlas.attribution import Settings, attribute, engine
from atlas.attribution.quadrature import Scores, integrate
from atlas.schema import USABLE_STATUSES


def integrated(function, settings):
    """Integrate the derivative of `function` over [0, 1] as one unit of one neuron; return it and the nodes asked."""
    ends = [torch.tensor([[float(function(torch.tensor(x)))]], dtype=torch.float64) for x in (1.0, 0.0)]
    path, asked = Scores.unfinished(*ends, 1), []

    def integral(rule, units):
        nodes = torch.tensor(rule.nodes, dtype=torch.float64, requires_grad=True)
        asked.append(len(nodes))
        slopes = torch.autograd.grad(function(nodes).sum(), nodes)[0]
        yield units, *((slopes.new_tensor(w) @ slopes).view(1, 1) for w in (rule.weights, rule.tail))

    integrate(path, integral, lambda scores: scores.amax((1, 2)), settings, 1e-16)
    return path, asked


def step_at(width):
    return lambda x: torch.sigmoid((x - 0.3) / width) + 0.1


def test_a_jump_is_given_up_before_the_cap():
    path, asked = integrated(step_at(1e-6), Settings(method="kn"))
    assert not path.converged.any()
    assert max(asked) < Settings().max_nodes / 2


@pytest.mark.parametrize("width", [0.3, 0.1, 0.03, 0.02])
def test_a_steep_but_smooth_integrand_is_not_given_up(width):
    path, asked = integrated(step_at(width), Settings(method="kn"))
    assert path.converged.all()
    assert path.nodes.item() == asked[-1]
    assert float(path.scores) == pytest.approx(float(path.f - path.f_baseline), rel=0.01)


def test_a_prompt_far_above_the_tolerance_is_unresolved_and_not_usable():
    model = make_model("gpt2")
    settings = Settings(method="kn", tolerance=1e-9, nodes=1, max_nodes=2)
    found = attribute(model, PROMPTS, settings)
    assert {result.status for result in found} == {"unresolved"}
    assert "unresolved" not in USABLE_STATUSES
    assert all(result.scores is not None for result in found)
    for result in found:
        layers = result.layers
        change = np.maximum(np.abs(layers.f - layers.f_baseline), 0.01 * layers.f)
        assert (layers.completeness_error > 1e-8 * change).any() or (layers.score_error > 1e-8).any()


@pytest.mark.parametrize(
    ("error", "score_error", "last", "status"),
    [
        (0.0, 0.0, True, "ok"),
        (0.02, 0.0, False, "not_converged"),
        (0.0, 0.02, False, "not_converged"),
        (-0.2, 0.0, False, "unresolved"),
        (0.0, 0.2, False, "unresolved"),
    ],
)
def test_the_status_is_by_the_worse_of_two_errors_if_any_step_has_not_converged(
    monkeypatch, error, score_error, last, status
):
    """Of a change of F by 0.5, and scores of at most 0.5, half a hundredth is allowed, and ten times that is far."""
    model = make_model("bert")
    steps = model.steps(PROMPTS[2])

    def score_steps(_, batch, *__):
        own = torch.ones(len(batch.steps), 3)
        scores = own[..., None] * torch.tensor([[0.1], [0.5], [0.0]])
        converged = torch.tensor([last or step != steps[-1] for step in batch.steps])[:, None].expand_as(own)
        numbers = (0.5 * own, 0 * own, error * own, score_error * own, own.int())
        return Scores(scores, *numbers, converged), torch.zeros(len(own), model.info.hidden, dtype=model.dtype)

    monkeypatch.setattr(engine, "score_steps", score_steps)
    assert len(steps) > 1
    assert attribute(model, PROMPTS[2:3])[0].status == status


def test_a_prompt_near_the_tolerance_still_counts():
    model = make_model("gpt2")
    exact = attribute(model, PROMPTS[:1], Settings(method="kn", nodes=4, max_nodes=4, tolerance=0.5))[0].layers
    change = np.maximum(np.abs(exact.f - exact.f_baseline), 0.01 * exact.f)
    worst = max((exact.completeness_error / change).max(), (exact.score_error / exact.f).max())
    near = attribute(model, PROMPTS[:1], Settings(method="kn", nodes=4, max_nodes=4, tolerance=float(worst) / 2))[0]
    assert near.status == "not_converged"


def test_a_rule_of_fixed_size_is_taken_as_it_is():
    """`amig-code` is what the published code computes, whose sums are no changes of F at all."""
    found = attribute(make_model("gpt2"), PROMPTS, Settings(method="amig-code"))
    assert "unresolved" not in {result.status for result in found}
