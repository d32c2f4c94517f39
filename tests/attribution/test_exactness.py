"""The engine against oracles that share no code with it: the hook-based path and brute-force integration."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from quick import first_quick
from tiny import PROMPTS, make_model, make_prompt, seen

from atlas.attribution import Budget, Settings, attribute
from atlas.attribution.paths import mean_baselines, word_baselines
from atlas.attribution.quadrature import both_ends, clenshaw_curtis, gauss_legendre, gauss_radau, left_riemann
from atlas.attribution.reference import reference_baselines, reference_neurons, reference_scores
from atlas.engine.batches import StepBatch
from atlas.engine.tracing import trace
from atlas.facts.bundled import load
from atlas.models import load_model

at_both = pytest.mark.parametrize("at", ["query", "subject"])


def expected(model, prompt, baselines_of, rule, factor="difference", at="query"):
    """Return the prompt's scores [layer, neuron] by the reference path, averaged over baselines and steps."""
    totals = []
    for step in model.steps(prompt, at):
        value = reference_neurons(model, step.ids, step.at)
        paths = []
        for baseline in baselines_of(model, step):
            rows = []
            for layer in range(model.info.layers):
                scores, _, _ = reference_scores(model, step, layer, baseline[layer], rule)
                if factor == "activation":
                    scores = scores / (value - baseline)[layer] * value[layer]
                rows.append(scores)
            paths.append(torch.stack(rows))
        totals.append(torch.stack(paths).mean(0))
    return torch.stack(totals).mean(0).numpy()


def zero(model, step):
    return [torch.zeros(model.info.layers, model.info.neurons, dtype=model.dtype)]


def word_mean(model, step):
    return [torch.stack(reference_baselines(model, step)).mean(0)]


def token_mean(model, step):
    found = []
    for i in range(len(step.ids)):
        ids = [*step.ids[:i], model.filler, *step.ids[i + 1 :]]
        found.append(reference_neurons(model, ids, step.at))
    return [torch.stack(found).mean(0)]


def relative(found, wanted):
    return np.abs(found - wanted).max() / np.abs(wanted).max()


@pytest.mark.quick(1)
@pytest.mark.parametrize("at", first_quick("query", "subject"))
@pytest.mark.parametrize("prompt", first_quick(PROMPTS[0], PROMPTS[2]), ids=lambda p: p.answer)
@pytest.mark.parametrize(
    ("method", "baselines", "nodes"),
    [("kn", zero, 256), ("amig", reference_baselines, 64), ("amig-mean", word_mean, 64)],
)
def test_scores_equal_brute_force_integration(tiny, prompt, method, baselines, nodes, at):
    """float64, tolerance 1e-10: what the adaptive engine returns is the integral, also of an answer of two words.

    Every prompt, step by step and to 1e-10: `test_fast_paths.py`.
    """
    settings = Settings(method=method, tolerance=1e-10, max_nodes=256, at=at)
    result = attribute(tiny, [prompt], settings)[0]
    assert (
        relative(result.scores, expected(tiny, prompt, baselines, gauss_legendre(nodes), at=at)) < 1e-6
    )  # float32 in storage
    assert result.status == "ok"
    assert np.all(result.layers.completeness_error <= 1e-10)


@pytest.mark.parametrize(
    ("rule", "oracle"),
    [
        ("left-20", left_riemann(20)),
        ("peer-20", both_ends(20)),
        ("gauss-radau", gauss_radau(4)),
        ("clenshaw-curtis", clenshaw_curtis(3)),
    ],
)
def test_fixed_rules_and_the_first_of_others_equal_the_reference(tiny, rule, oracle):
    """Of a fixed rule, which knows no error of the scores, that of the sum alone decides."""
    count = len(oracle.nodes)
    settings = Settings(method="kn", rule=rule, tolerance=0.9, nodes=count, max_nodes=count)
    result = attribute(tiny, PROMPTS[:1], settings)[0]
    assert result.status == "ok" or oracle.tail
    assert relative(result.scores, expected(tiny, PROMPTS[0], zero, oracle)) < 1e-6


@pytest.mark.quick(1)
@at_both
def test_amig_code_is_the_left_sum_times_the_activation(tiny, at):
    result = attribute(tiny, PROMPTS[:1], Settings(method="amig-code", at=at))[0]
    wanted = expected(tiny, PROMPTS[0], token_mean, left_riemann(20), factor="activation", at=at)
    assert relative(result.scores, wanted) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("at", ["query", "subject"])
@pytest.mark.parametrize("method", ["amig", "kn", "joint", "greedy", "gradient", "peel"])
def test_a_mixed_batch_gives_what_each_prompt_gives_alone(tiny, method, at):
    """Prompts of several lengths and answer lengths share a batch without touching each other."""
    settings, prompts = Settings(method=method, at=at), seen(tiny, at)
    together = attribute(tiny, prompts, settings)
    for prompt, result in zip(prompts, together, strict=True):
        alone = attribute(tiny, [prompt], settings)[0]
        assert relative(result.scores, alone.scores) < 1e-6
        assert result.probability == pytest.approx(alone.probability, rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["gauss-radau", "clenshaw-curtis"])
def test_a_small_budget_changes_nothing(tiny, rule):
    """Also where its rules, the fourth at least, cannot keep what the ones before them asked."""
    settings = Settings(method="amig", rule=rule, tolerance=1e-5)
    prompts = PROMPTS[:3]
    wide, narrow = attribute(tiny, prompts, settings), attribute(tiny, prompts, settings, budget=1)
    for a, b in zip(wide, narrow, strict=True):
        assert relative(b.scores, a.scores) < 1e-6
        assert np.array_equal(a.layers.nodes, b.layers.nodes)
        assert a.layers.nodes.max() >= 9


def test_completeness_holds_per_layer(tiny, prompts):
    for result in attribute(tiny, prompts, Settings(method="kn", tolerance=0.01)):
        layers = result.layers
        change = layers.f - layers.f_baseline
        assert layers.completeness_error == pytest.approx(np.abs(layers.score_sum - change), rel=1e-6, abs=1e-12)
        assert np.all(layers.completeness_error <= np.maximum(0.01 * np.abs(change), 1e-4) + 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["kn", "amig", "joint"])
@pytest.mark.parametrize("name", ["demo-mbert", "demo-mgpt"])
def test_no_score_is_off_by_more_than_the_tolerance(name, method):
    model = load_model(name, device="cpu", dtype="float64")
    usable = [prompt for prompt in load().prompts() if model.kind == "masked" or prompt.template.ends_in_object]
    prompts = usable[:: len(usable) // 4]
    most = 96 if method == "joint" else 48
    exact = Settings(method=method, nodes=most, max_nodes=most)
    found_by_default = attribute(model, prompts, Settings(method=method))
    for found, want in zip(found_by_default, attribute(model, prompts, exact), strict=True):
        assert found.status == want.status == "ok"
        assert np.abs(found.scores - want.scores).max() <= 0.01 * want.scores.max()
        assert np.all(found.layers.nodes < want.layers.nodes)


def test_the_cap_is_reported(tiny, prompts):
    capped = attribute(tiny, prompts, Settings(method="kn", tolerance=1e-12, nodes=1, max_nodes=2))
    assert {result.status for result in capped} == {"unresolved"}
    assert max(result.layers.nodes.max() for result in capped) == 2


def test_a_layer_of_which_one_words_path_is_not_complete_has_not_converged():
    """The tolerance lies between the errors of the paths that the reference takes."""
    model = make_model("bert")
    (step,) = model.steps(PROMPTS[0])
    rows = []
    for baseline in reference_baselines(model, step):
        paths = [reference_scores(model, step, i, own, gauss_radau(2)) for i, own in enumerate(baseline)]
        rows.append([abs(float(s.sum()) - (f - low)) / max(abs(f - low), 0.01 * f) for s, f, low in paths])
    worst = np.max(rows, axis=0)
    assert np.min(rows, axis=0).max() < worst.min() / 2
    capped = Settings(nodes=2, max_nodes=2, tolerance=float(worst.min()) / 1.5)
    assert attribute(model, PROMPTS[:1], capped)[0].status != "ok"


@pytest.mark.quick(1)
@at_both
def test_joint_scores_sum_to_the_whole_change(tiny, at):
    """The scores of all layers together sum to F(1) - F(0), F(0) by an independent run with all neurons zeroed."""
    settings, prompts = Settings(method="joint", tolerance=1e-8, at=at), seen(tiny, at)
    for prompt, result in zip(prompts, attribute(tiny, prompts, settings), strict=True):
        steps = tiny.steps(prompt, at)
        change = np.mean([_probability(tiny, step, 1) - _probability(tiny, step, 0) for step in steps])
        rounding = 1e-6 * float(np.abs(result.scores).sum())
        assert result.scores.sum(dtype=np.float64) == pytest.approx(change, abs=rounding)


@pytest.mark.slow
@pytest.mark.parametrize("at", ["query", "subject"])
def test_greedy_cuts_the_neuron_of_largest_slope_and_scores_the_remaining_drop(tiny, at):
    """Against slopes by central differences and knock-outs by plain hooks."""
    prompt = PROMPTS[0]
    (step,) = tiny.steps(prompt, at)
    result = attribute(tiny, [prompt], Settings(method="greedy", cuts=2, at=at))[0]
    cut, f = [], [_probability(tiny, step, 1)]
    for _ in range(2):
        cut.append(max(_every_neuron(tiny, cut), key=lambda n: _slope(tiny, step, n, cut)))
        f.append(_probability(tiny, step, 1, cut))
    assert result.scores[cut[0]] == pytest.approx(f[0] - f[2], rel=1e-5)
    assert result.scores[cut[1]] == pytest.approx(f[1] - f[2], rel=1e-5)
    assert np.count_nonzero(result.scores) == 2


@pytest.mark.parametrize("cuts", [4, 20])
def test_greedy_ends_when_no_neuron_is_left(cuts):
    """Of four neurons four are cut: the order and the drops are those of central differences and plain hooks."""
    model = make_model("bert", layers=1, neurons=4)
    (step,) = model.steps(PROMPTS[0])
    cut, f = [], [_probability(model, step, 1)]
    while left := _every_neuron(model, cut):
        cut.append(max(left, key=lambda n: _slope(model, step, n, cut)))
        f.append(_probability(model, step, 1, cut))
    found = attribute(model, PROMPTS[:1], Settings(method="greedy", cuts=cuts))[0]
    assert [found.scores[neuron] for neuron in cut] == pytest.approx([one - f[-1] for one in f[:-1]], rel=1e-5)
    assert found.probability == pytest.approx(f[0], rel=1e-9)


def _every_neuron(model, without):
    every = ((layer, neuron) for layer in range(model.info.layers) for neuron in range(model.info.neurons))
    return [neuron for neuron in every if neuron not in without]


def _slope(model, step, neuron, cut):
    """Return dF/dgate of one neuron at gate 1, by a central difference."""
    ends = [_probability(model, step, 1, cut, {neuron: gate}) for gate in (1 + 1e-4, 1 - 1e-4)]
    return (ends[0] - ends[1]) / 2e-4


def test_random_is_seeded_and_independent_of_the_batch(tiny, prompts):
    one = attribute(tiny, prompts[:1], Settings(method="random", seed=3))[0]
    many = attribute(tiny, prompts, Settings(method="random", seed=3))[0]
    other = attribute(tiny, prompts[:1], Settings(method="random", seed=4))[0]
    assert np.array_equal(one.scores, many.scores)
    assert not np.array_equal(one.scores, other.scores)
    (place,) = attribute(tiny, prompts[:1], Settings(method="random", seed=3, at="subject"))
    asked = make_prompt(prompts[0].template.text, "France", "Berlin")
    (answer,) = attribute(tiny, [asked], Settings(method="random", seed=3))
    assert not np.array_equal(one.scores, place.scores)
    assert not np.array_equal(one.scores, answer.scores)


@at_both
def test_activation_is_the_neuron(tiny, at):
    result = attribute(tiny, PROMPTS[:1], Settings(method="activation", at=at))[0]
    values = [reference_neurons(tiny, step.ids, step.at).numpy() for step in tiny.steps(PROMPTS[0], at)]
    assert relative(result.scores, np.mean(values, axis=0)) < 1e-6


@pytest.mark.quick(1)
@at_both
def test_word_baselines_follow_the_paper(tiny, at):
    for prompt in seen(tiny, at):
        for step in tiny.steps(prompt, at):
            batch = StepBatch.of(tiny, [step])
            found = word_baselines(trace(tiny, batch), batch.steps, rows=3).neurons
            assert torch.allclose(found, torch.stack(reference_baselines(tiny, step)), atol=1e-12)
            mean = mean_baselines(trace(tiny, batch), batch.steps, 100, every_token=False).neurons[0]
            assert torch.allclose(mean, found.mean(0), atol=1e-12)


@at_both
def test_what_the_model_says_of_the_answer(tiny, at):
    """Probability, rank and prediction, from the model's plain logits; wherever the neurons are."""
    prompts, settings = seen(tiny, at), Settings(method="activation", at=at)
    for prompt, result in zip(prompts, attribute(tiny, prompts, settings), strict=True):
        steps = tiny.steps(prompt)
        rows = [tiny.run(torch.tensor([s.ids]))[0, s.query].softmax(-1) for s in steps]
        each = [float(row[s.target]) for row, s in zip(rows, steps, strict=True)]
        assert result.probability == pytest.approx(np.prod(each), rel=1e-9)
        assert result.mean_probability == pytest.approx(np.prod(each) ** (1 / len(each)), rel=1e-9)
        assert result.rank == 1 + int((rows[0] > rows[0][steps[0].target]).sum())
        assert result.argmax == all(int(row.argmax()) == s.target for row, s in zip(rows, steps, strict=True))
        assert result.prediction == tiny.tokenizer.convert_ids_to_tokens(int(rows[0].argmax()))


def test_a_nan_is_reported_not_hidden(family, prompts):
    model = make_model(family)
    model.down_projection(1).weight.data.fill_(float("nan"))
    for method in ("amig", "kn", "joint", "gradient"):
        assert {result.status for result in attribute(model, prompts, Settings(method=method))} == {"nan"}


@pytest.mark.slow
def test_refused_memory_halves_the_batch_and_says_so_once(tiny, prompts, monkeypatch, caplog):
    """Every size above a fifth of the budget is refused, in two calls that share it."""
    from atlas.attribution import engine

    real, batches = engine.score_steps, []

    def score_steps(model, batch, settings, budget):
        if budget > (1 << 24) / 5:
            raise torch.OutOfMemoryError("refused")
        batches.append(len(batch.steps))
        return real(model, batch, settings, budget)

    wanted = attribute(tiny, prompts, Settings(method="kn"))
    monkeypatch.setattr(engine, "score_steps", score_steps)
    budget = Budget(1 << 24)
    for _ in range(2):
        results = attribute(tiny, prompts, Settings(method="kn"), budget)
        for result, same in zip(results, wanted, strict=True):
            assert relative(result.scores, same.scores) < 1e-6
    assert budget.bytes == 1 << 21
    assert [record.getMessage() for record in caplog.records] == [
        "Memory was refused; going on with 8 MiB of activations, or less."
    ]


@pytest.mark.slow
def test_a_refusal_cuts_the_batch_itself(tiny, prompts, monkeypatch):
    """What does not fit together is scored one by one."""
    from atlas.attribution import engine

    real, sizes = engine.score_steps, []

    def score_steps(model, batch, settings, budget):
        if len(batch.steps) > 1:
            raise torch.OutOfMemoryError("refused")
        sizes.append(len(batch.steps))
        return real(model, batch, settings, budget)

    monkeypatch.setattr(engine, "score_steps", score_steps)
    attribute(tiny, prompts, Settings(method="kn"), budget=1 << 24)
    assert len(sizes) == sum(len(tiny.steps(prompt)) for prompt in prompts)


def test_memory_refused_to_the_end_is_an_error(tiny, prompts, monkeypatch):
    from atlas.attribution import engine

    def score_steps(*_):
        raise torch.OutOfMemoryError("refused")

    monkeypatch.setattr(engine, "score_steps", score_steps)
    with pytest.raises(torch.OutOfMemoryError):
        attribute(tiny, prompts, Settings(method="kn"), budget=1 << 24)


def _probability(model, step, gate, cut=(), gates=None):
    """Return F with the neurons at their position times `gate`, some times `gates`, and those of `cut` set to 0."""
    single = {**(gates or {}), **dict.fromkeys(cut, 0)}
    handles = []
    for layer in range(model.info.layers):

        def edit(module, args, layer=layer):
            values = args[0].clone()
            values[:, step.at] *= gate
            for (where, neuron), factor in single.items():
                if where == layer:
                    values[:, step.at, neuron] *= factor
            return (values,)

        handles.append(model.down_projection(layer).register_forward_pre_hook(edit))
    try:
        return float(model.run(torch.tensor([step.ids]))[0, step.query].softmax(-1)[step.target])
    finally:
        for handle in handles:
            handle.remove()


@pytest.mark.parametrize(("weights", "expected"), [(1 << 20, 384 << 20), (1 << 30, 1 << 30), (1 << 40, 2 << 30)])
def test_the_default_budget_is_what_the_weights_take_within_bounds(weights, expected):
    model = torch.nn.Module()
    model.weight = torch.nn.Parameter(torch.empty(weights, dtype=torch.uint8, device="meta"), requires_grad=False)
    model = SimpleNamespace(device=torch.device("cpu"), model=model)
    assert Budget.of(model).bytes == expected
    assert Budget.of(model, 5).bytes == 5
