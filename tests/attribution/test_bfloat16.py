"""In bfloat16, with three digits, what a model is sure of stays sure: probabilities, their gradients, scores."""

import numpy as np
import pytest
import torch

from atlas.attribution import Settings, attribute
from atlas.attribution.quadrature import Scores, allowed, integrate
from atlas.engine.answers import Case, measure, usable
from atlas.facts import read
from atlas.models import load_model
from atlas.models.readout import TokenProbability, log_probability, token_logits


def test_a_sure_answer_is_as_sure_as_its_numbers_say():
    """Probability, its gradient and its logarithm against the softmax, in float64, of the same rounded numbers."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(40, 16, generator=generator).bfloat16().requires_grad_()
    weight, target = torch.randn(500, 16, generator=generator).bfloat16(), torch.arange(40)
    weight[target] = (2 * features.detach().float()).bfloat16()
    exact = features.detach().double().requires_grad_()
    wanted = (exact @ weight.double().T).softmax(-1)[target, target]
    found = TokenProbability.apply(features, weight, None, target, None)
    assert wanted.median() > 0.99
    assert ((found - wanted).abs() < 0.1 * (1 - wanted) + 1e-6).all()
    got, slopes = (torch.autograd.grad(f.sum(), own)[0].double() for f, own in ((found, features), (wanted, exact)))
    assert ((got - slopes).norm(dim=1) < 0.1 * slopes.norm(dim=1) + 1e-12).all()
    with torch.no_grad():
        logs = log_probability(token_logits(features, weight, None, None, target), target)
    assert torch.allclose(logs.double(), wanted.log(), rtol=0.1, atol=1e-9)


def test_what_is_rounded_is_not_integrated_away():
    """Slopes of ten neurons that are off by 2 % each: taken as they are in bfloat16, refined in float32."""
    generator = torch.Generator().manual_seed(0)

    def integral(rule, units):
        slopes = torch.tensor(rule.nodes)[:, None] ** 2 * torch.linspace(0.03, 0.1, 10)
        slopes *= 1 + 0.02 * torch.randn(slopes.shape, generator=generator)
        yield units, *(torch.tensor(w) @ slopes[None] for w in (rule.weights, rule.tail))

    nodes = []
    for dtype in (torch.bfloat16, torch.float32):
        path = Scores.unfinished(torch.tensor([[0.65 / 3]]), torch.zeros(1, 1), 10)
        rounding = torch.finfo(dtype).eps
        integrate(path, integral, lambda scores: scores.amax((1, 2)), Settings(method="kn"), rounding)
        nodes.append(path.nodes.item())
    assert nodes[0] == 4 < nodes[1]


@pytest.mark.parametrize(("dtype", "layers", "share"), [
    (torch.float32, 30, 0.01), (torch.bfloat16, 2, 1 / 8), (torch.bfloat16, 4, 1 / 8), (torch.bfloat16, 36, 3 / 8),
])  # fmt: skip
def test_many_layers_round_more(dtype, layers, share):
    """In float32 the tolerance is what is allowed, of the change of F and of the largest score."""
    f = torch.full((1, layers), 0.5)
    found = allowed(f, torch.zeros_like(f), torch.tensor(0.1), 0.01, torch.finfo(dtype).eps)
    for errors, whole in zip(found, (0.5, 0.1), strict=True):
        assert torch.allclose(errors, torch.full_like(f, share * whole))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_less_than_what_is_known_of_f_is_never_asked_for(dtype):
    """Where F hardly changes the tolerance is of a hundredth of F, and F is known to four units of rounding."""
    f = torch.full((1, 30), 0.5, dtype=dtype)
    unit = torch.finfo(dtype).eps
    for tolerance, share in ((0.01, 1e-4), (1e-30, 4 * unit)):
        of_sums, of_scores = allowed(f, 0.999 * f, f.new_tensor(0), tolerance, unit)
        assert torch.allclose(of_sums, share * f, atol=0)
        assert torch.allclose(of_scores, 4 * unit * f, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["demo-mbert", "demo-mgpt"])
def test_facts_are_resolved_and_their_scores_near_those_of_float32(name):
    every, prompts = [], usable(load_model(name), list(read("bundled", limit=1).prompts()))[:8]
    for dtype in ("float32", "bfloat16"):
        model = load_model(name, dtype=dtype)
        results = attribute(model, prompts, Settings(method="kn"))
        said = [found.log_probability for found in measure(model, [Case(prompt) for prompt in prompts])]
        assert {result.status for result in results} == {"ok"}
        every.append((results, np.array(said)))
    (wide, log_wide), (narrow, log_narrow) = every
    assert np.median(np.exp(log_wide)) > 0.9
    assert np.abs(np.exp(log_wide) - np.exp(log_narrow)).max() < 0.03
    for own, found in zip(wide, narrow, strict=True):
        assert found.probability == pytest.approx(own.probability, abs=0.03)
        assert found.probability <= 1
        assert np.abs(found.scores - own.scores).max() < 0.1 * own.scores.max()


@pytest.mark.slow
def test_peel_cuts_the_neurons_that_it_cuts_in_float32():
    """Sure answers move by less than F is known to; what is known is their odds."""
    prompts = usable(load_model("demo-mbert"), list(read("bundled", limit=1).prompts()))[:6]
    wide, narrow = (
        attribute(load_model("demo-mbert", dtype=dtype), prompts, Settings(method="peel"))
        for dtype in ("float32", "bfloat16")
    )
    for own, found in zip(wide, narrow, strict=True):
        first, second = (set(np.flatnonzero(result.rounds == 1)) for result in (own, found))
        assert first
        assert len(first & second) > 0.7 * len(first | second)
