"""Each shortcut of the engine against the plain way, in float64."""

import itertools

import pytest
import torch
from by_hand import peel_by_hand
from tiny import PROMPTS, make_model, seen

from atlas.attribution import Settings
from atlas.attribution.engine import score_steps
from atlas.attribution.paths import word_baselines
from atlas.attribution.quadrature import clenshaw_curtis, gauss_legendre, gauss_radau
from atlas.attribution.reference import reference_baselines, reference_neurons, reference_scores
from atlas.engine.batches import StepBatch
from atlas.engine.replay import Entry, replay
from atlas.engine.tracing import trace
from atlas.models import readout
from atlas.models.readout import TokenProbability, token_logits
from atlas.models.scaling import suppress

EXACT = 1e-10


at_both = pytest.mark.parametrize("at", ["query", "subject"])


def batches(model, at="query"):
    """Return the steps of all prompts in batches: one in a causal model, one a length in a masked one."""
    steps = [step for prompt in seen(model, at) for step in model.steps(prompt, at)]
    if model.kind == "causal":
        return [StepBatch.of(model, steps)]
    lengths = sorted({len(step.ids) for step in steps})
    return [StepBatch.of(model, [step for step in steps if len(step.ids) == length]) for length in lengths]


def zero(model, step):
    return [torch.zeros(model.info.layers, model.info.neurons, dtype=model.dtype)]


def word_mean(model, step):
    return [torch.stack(reference_baselines(model, step)).mean(0)]


@at_both
@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "rules", "baselines", "nodes"),
    [
        ("kn", ("gauss-radau", "gauss-legendre", "clenshaw-curtis"), zero, 192),
        ("amig", ("gauss-radau", "gauss-legendre", "clenshaw-curtis"), reference_baselines, 64),
        ("amig-mean", ("gauss-radau",), word_mean, 32),
    ],
)
def test_float64_scores_equal_brute_force_integration_to_1e_10(tiny, method, rules, baselines, nodes, at):
    """Steps of all lengths and answer lengths in one batch, against one layer, one path, one step by hooks."""
    brute = gauss_legendre(nodes)
    settings = [Settings(method=method, rule=rule, tolerance=1e-12, max_nodes=513, at=at) for rule in rules]
    for batch in batches(tiny, at):
        by_rule = [score_steps(tiny, batch, own, 1 << 24)[0] for own in settings]
        for row, step in enumerate(batch.steps):
            paths = [
                [reference_scores(tiny, step, layer, baseline[layer], brute) for layer in range(tiny.info.layers)]
                for baseline in baselines(tiny, step)
            ]
            wanted = torch.stack([torch.stack([scores for scores, _, _ in path]) for path in paths]).mean(0)
            for found in by_rule:
                assert (found.scores[row] - wanted).abs().max() <= EXACT * wanted.abs().max()
            for layer, found in itertools.product(range(tiny.info.layers), by_rule):
                ends = [path[layer][1:] for path in paths]
                assert float(found.f[row, layer]) == pytest.approx(ends[0][0], rel=EXACT)
                assert float(found.f_baseline[row, layer]) == pytest.approx(
                    sum(low for _, low in ends) / len(ends), rel=EXACT
                )


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "gpt2"])
@pytest.mark.parametrize(
    ("rule", "at"),
    [(gauss_radau, "query"), (gauss_legendre, "query"), (clenshaw_curtis, "query"), (gauss_radau, "subject")],
)
def test_peel_is_what_cutting_by_hooks_and_attributing_again_gives(tiny, rule, at):
    """Credit and rounds, steps that go on for different numbers of rounds in one batch, in parts of any size."""
    settings, seen = Settings(method="peel", rule=rule.__name__.replace("_", "-"), nodes=3, max_nodes=3, at=at), set()
    for batch, budget in zip(batches(tiny, at), (1 << 24, 1, 1 << 24, 1, 1), strict=False):
        found, _ = score_steps(tiny, batch, settings, budget)
        for row, step in enumerate(batch.steps):
            credit, rounds = peel_by_hand(tiny, step, rule(3))
            assert torch.equal(found.rounds[row], rounds)
            assert (found.scores[row] - credit).abs().max() <= EXACT * credit.abs().max()
            seen.add(int(rounds.max()))
    assert len(seen) > 1
    assert max(seen) > 1


@pytest.mark.quick(2)
@at_both
def test_a_copy_with_other_neurons_gives_what_hooks_give(tiny, at):
    """Replay from every layer, several owners and nodes together: the query alone, kept prefixes, the last block."""
    generator = torch.Generator().manual_seed(0)
    for batch in batches(tiny, at):
        record = trace(tiny, batch)
        owner = torch.tensor([len(batch.steps) - 1, 0])
        shape = (tiny.info.layers, 2, 3, tiny.info.neurons)
        neurons = torch.randn(shape, dtype=torch.float64, generator=generator)
        entries = {layer: Entry(owner, tiny.written(layer, values)) for layer, values in enumerate(neurons)}
        found = replay(record, entries).view(shape[:3])
        for layer, values in enumerate(neurons):
            for unit, row in enumerate(owner.tolist()):
                wanted = by_hooks(tiny, batch.steps[row], layer, values[unit])
                assert torch.allclose(found[layer, unit], wanted, rtol=EXACT, atol=0)


def by_hooks(model, step, layer, values):
    def put(_, args):
        changed = args[0].clone()
        changed[:, step.at] = values
        return (changed,)

    handle = model.down_projection(layer).register_forward_pre_hook(put)
    try:
        logits = model.run(torch.tensor([step.ids]).expand(len(values), -1))
    finally:
        handle.remove()
    return logits[:, step.query].softmax(-1)[:, step.target]


@at_both
def test_a_trace_keeps_the_neurons_of_a_plain_run(tiny, at):
    for batch in batches(tiny, at):
        record = trace(tiny, batch)
        for row, step in enumerate(batch.steps):
            wanted = reference_neurons(tiny, step.ids, step.at)
            assert torch.allclose(record.neurons[row], wanted, rtol=EXACT, atol=1e-13)


@pytest.mark.parametrize("cap", [None, 3.0])
@pytest.mark.parametrize("biased", [True, False])
def test_probability_in_tiles_equals_softmax(monkeypatch, cap, biased):
    """Value and gradient, with tiles that cut rows and tokens, and logits large enough to overflow an exponential."""
    monkeypatch.setattr(readout, "_TILE", {False: (3, 5)})
    generator = torch.Generator().manual_seed(0)
    features = (100 * torch.randn(7, 4, dtype=torch.float64, generator=generator)).requires_grad_()
    weight = torch.randn(23, 4, dtype=torch.float64, generator=generator)
    bias = torch.randn(23, dtype=torch.float64, generator=generator) if biased else None
    target = torch.randint(23, (7,), generator=generator)
    found = TokenProbability.apply(features, weight, bias, target, cap)
    wanted = token_logits(features, weight, bias, cap).softmax(-1).gather(1, target[:, None])[:, 0]
    assert torch.allclose(found, wanted, rtol=EXACT)
    scale = torch.arange(1.0, 8.0, dtype=torch.float64)
    slopes = [torch.autograd.grad((scale * f).sum(), features)[0] for f in (found, wanted)]
    assert torch.allclose(*slopes, rtol=1e-8, atol=1e-300)


def rows_of_baselines(model, batch):
    """Return the baselines of a batch's steps, and how many sequences the first block ran for them."""
    record, rows = trace(model, batch), []
    handle = model.down_projection(0).register_forward_pre_hook(lambda _, args: rows.append(len(args[0])))
    try:
        return word_baselines(record, batch.steps, 64), sum(rows)
    finally:
        handle.remove()


@pytest.mark.slow
def test_a_word_is_replaced_once_for_all_steps_of_a_prompt():
    """And with neurons cut at the query, which is another place in every step, once for each."""
    model = make_model("gpt2")
    steps = [step for prompt in PROMPTS[2:] for step in model.steps(prompt)]
    batch, words = StepBatch.of(model, steps), sum(len(step.words) for step in steps)
    apart = {(tuple(batch.ids[row].tolist()), word) for row, step in enumerate(steps) for word in step.words}
    assert rows_of_baselines(model, batch)[1] == len(apart) < words
    with suppress(model, [(0, neuron) for neuron in range(0, model.info.neurons, 2)]):
        together, count = rows_of_baselines(model, batch)
        alone = [rows_of_baselines(model, StepBatch.of(model, [step]))[0].neurons for step in steps]
    assert count == words
    assert torch.allclose(together.neurons, torch.cat(alone), rtol=0, atol=EXACT)
