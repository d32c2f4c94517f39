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
