"""Masked models, whose steps of several lengths run together: each gives what it gives alone, to 1e-10 in float64."""

import numpy as np
import pytest
import torch
from tiny import PROMPTS, make_prompt
from tiny_families import SHAPES, make_tiny

from atlas.attribution import Settings, attribute
from atlas.attribution.engine import PADDED, score_steps
from atlas.engine.batches import StepBatch
from atlas.models import FAMILIES

MASKED = [name for name in SHAPES if FAMILIES[name].kind == "masked"]
CASES = [("kn", "query"), ("amig", "subject")]
MORE = [("amig-mean", "query"), ("amig-code", "query"), ("joint", "query")]
"""What runs padded as those do, and is asked of one family."""


@pytest.mark.slow
@pytest.mark.parametrize("name", MASKED)
def test_steps_of_several_lengths_give_together_what_each_gives_alone(name):
    model = make_tiny(name)
    for method, at in [*CASES, *(MORE if name == "bert" else ())]:
        settings = Settings(method=method, at=at, rule="left-20" if method == "amig-code" else "gauss-legendre")
        steps = [step for prompt in PROMPTS for step in model.steps(prompt, at)]
        assert len({len(step.ids) for step in steps}) > 3
        every, features = score_steps(model, StepBatch.of(model, steps), settings, 1 << 24)
        for row, step in enumerate(steps):
            alone, own = score_steps(model, StepBatch.of(model, [step]), settings, 1 << 24)
            assert (every.scores[row] - alone.scores[0]).abs().max() <= 1e-10 * alone.scores.abs().max()
            for column in ("f", "f_baseline"):
                assert torch.allclose(getattr(every, column)[row], getattr(alone, column)[0], rtol=1e-10, atol=0)
            assert torch.equal(every.nodes[row], alone.nodes[0])
            assert torch.allclose(features[row], own[0], rtol=0, atol=1e-10 * float(own.abs().max()))


def lengths_run(model, prompts):
    """Attribute `prompts`; return the results and, for each run of the model, how long its sequences were."""
    runs, run = [], model.run

    def noted(ids):
        runs.append((ids != model.padding).sum(1).tolist())
        return run(ids)

    model.run = noted
    try:
        return attribute(model, prompts, Settings(method="gradient")), runs
    finally:
        del model.run


def worded(count):
    return make_prompt(f"[X] {'the ' * count}[Y] .", "France", "Paris")


def test_few_steps_of_many_lengths_run_together_with_little_padding():
    model = make_tiny("bert", torch.float32)
    prompts = [worded(count) for count in (9, 1, 2, 3, 30, 4, 5, 6, 7, 8)]
    found, runs = lengths_run(model, prompts)
    assert max(len(set(lengths)) for lengths in runs) > 3
    for lengths in runs:
        assert max(lengths) * len(lengths) <= (1 + PADDED) * sum(lengths)
    assert [one.prompt for one in found] == [prompt.id for prompt in prompts]
    for one, prompt in zip(found, prompts, strict=True):
        (alone,) = attribute(model, [prompt], Settings(method="gradient"))
        assert np.abs(one.scores - alone.scores).max() <= 1e-5 * np.abs(alone.scores).max()


def test_many_steps_of_one_length_run_without_padding():
    prompts = [worded(1)] * 20 + [worded(2)] * 3
    _, runs = lengths_run(make_tiny("bert", torch.float32), prompts)
    assert all(len(set(lengths)) == 1 for lengths in runs)


def test_a_tokenizer_without_padding_of_its_own_pads_nothing():
    model = make_tiny("bert", torch.float32)
    model.tokenizer.pad_token = model.tokenizer.sep_token
    assert model.padding is None
    found = attribute(model, [worded(1), worded(2)], Settings(method="gradient"))
    assert [one.status for one in found] == ["ok", "ok"]
