"""Causal models, whose cases of one prompt share what stands before their neurons: each gives what it gives alone."""

import pytest
import torch
from tiny import PROMPTS
from tiny_families import SHAPES, VARIANTS, make_tiny

from atlas.attribution.paths import word_baselines
from atlas.attribution.reference import reference_baselines
from atlas.doctor.throughout import unrounded
from atlas.engine.answers import Case, measure, usable
from atlas.engine.batches import StepBatch
from atlas.engine.tracing import trace
from atlas.models import FAMILIES

CAUSAL = [name for name in (*SHAPES, *VARIANTS) if FAMILIES[VARIANTS.get(name, (name,))[0]].kind == "causal"]
QUICK = ("gpt2", "gemma3_text")
NAMES = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CAUSAL]
SETS = [((0, 1), (2, 7)), ((1, 3),), ((0, 1), (0, 2), (1, 9)), ((2, 0),), (), ((2, 3),)]


@pytest.mark.slow
@pytest.mark.parametrize("at", ["query", "subject"])
@pytest.mark.parametrize("name", NAMES)
def test_many_cases_of_a_prompt_give_together_what_each_gives_alone(name, at):
    model = make_tiny(name)
    prompts = usable(model, PROMPTS, at)[:2]
    become = torch.full((1, 3), 0.3, dtype=torch.float64)
    kinds = ((0.0, None), (2.0, None), (0.0, become))
    cases = [Case(prompt, own, factor, values) for prompt in prompts for own in SETS for factor, values in kinds]
    with unrounded(model):
        every, single = measure(model, cases, at=at), [measure(model, [case], at=at)[0] for case in cases]
    for together, alone in zip(every, single, strict=True):
        assert together.log_probability == pytest.approx(alone.log_probability, abs=1e-10)
        assert (together.rank, together.best) == (alone.rank, alone.best)


@pytest.mark.parametrize("name", NAMES)
def test_words_taken_away_leave_what_stands_before_them(name):
    model = make_tiny(name)
    steps = [step for prompt in usable(model, PROMPTS, "subject")[:1] for step in model.steps(prompt, "subject")]
    with unrounded(model):
        for step in steps:
            found = word_baselines(trace(model, StepBatch.of(model, [step])), [step], rows=3).neurons
            assert torch.allclose(found, torch.stack(reference_baselines(model, step)), rtol=0, atol=1e-10)


@pytest.mark.quick(1)
@pytest.mark.parametrize("at", ["query", "subject"])
@pytest.mark.parametrize("name", NAMES)
def test_steps_of_an_answer_run_as_one_sequence_and_give_what_each_gives_alone(name, at):
    model, rows = make_tiny(name), []
    groups = sorted((model.steps(prompt, at) for prompt in usable(model, PROMPTS, at)), key=len)
    steps = [*groups[-1], *groups[0]]
    assert len(groups[-1]) > 1
    handle = model.blocks[0].register_forward_pre_hook(lambda _, args: rows.append(len(args[0])))
    with unrounded(model):
        together = trace(model, StepBatch.of(model, steps))
        handle.remove()
        for i, step in enumerate(steps):
            alone = trace(model, StepBatch.of(model, [step]))
            until = step.query + 1
            assert torch.allclose(together.features[i], alone.features[0], rtol=0, atol=1e-10)
            assert torch.allclose(together.neurons[i], alone.neurons[0], rtol=0, atol=1e-10)
            for own, other in zip(together.blocks, alone.blocks, strict=True):
                assert torch.allclose(own.attended[i], other.attended[0], rtol=0, atol=1e-10)
                for part in ("hidden", "key", "value"):
                    found, wanted = getattr(own, part)[i], getattr(other, part)[0]
                    assert torch.allclose(found[..., :until, :], wanted[..., :until, :], rtol=0, atol=1e-10)
    assert rows == [2]
