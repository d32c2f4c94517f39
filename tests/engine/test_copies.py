"""Causal models, whose cases of one prompt share what stands before their neurons: each gives what it gives alone."""

import pytest
import torch
from quick import first_quick
from tiny import PROMPTS, make_prompt
from tiny_families import SHAPES, VARIANTS, make_tiny

from atlas.attribution.paths import word_baselines
from atlas.attribution.reference import reference_baselines
from atlas.doctor.throughout import unrounded
from atlas.engine.answers import Case, measure, usable
from atlas.engine.batches import StepBatch
from atlas.engine.tracing import ALIKE, trace
from atlas.facts import Label
from atlas.facts.wording import after_examples
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
    model = make_tiny(name)
    groups = sorted((model.steps(prompt, at) for prompt in usable(model, PROMPTS, at)), key=len)
    assert len(groups[-1]) > 1
    steps = [*groups[-1], *groups[0]]
    with unrounded(model):
        assert _trace_and_compare(model, steps) == [2 * max(len(step.ids) for step in steps)]


def test_steps_too_short_to_begin_alike_run_as_one_sequence_too():
    model = make_tiny("gpt2")
    steps = model.steps(make_prompt("[X] [Y]", "France", "Berlin"))
    length = max(len(step.ids) for step in steps)
    assert len(steps) > 1
    assert length < ALIKE
    with unrounded(model):
        assert _trace_and_compare(model, steps) == [length]


@pytest.mark.parametrize("at", first_quick("query", "subject"))
@pytest.mark.parametrize("name", NAMES)
def test_prompts_after_the_same_examples_run_those_once_and_give_what_each_gives_alone(name, at):
    model = make_tiny(name)
    text = after_examples("[X] of [Y]", [Label("France", "Paris"), Label("Japan", "Tokyo")])
    facts = [("France", "Berlin"), ("Paris", "yen"), ("Germany", "the United States")]
    shown = [step for fact in facts for step in model.steps(make_prompt(text, *fact), at)]
    other = model.steps(make_prompt("[X] [Y]", "New York", "Paris"), at)
    alike = [len(set(tokens)) == 1 for tokens in zip(*(step.ids for step in shown), strict=False)]
    length, shared = max(len(step.ids) for step in (*shown, *other)), alike.index(False)
    assert shared > ALIKE
    with unrounded(model):
        whole, *later = _trace_and_compare(model, [*shown, *other])
    assert whole == 2 * length
    assert 0 < sum(later) <= (len(facts) - 1) * (length - shared + ALIKE)


@pytest.mark.parametrize("at", first_quick("subject", "query"))
@pytest.mark.parametrize("name", NAMES)
def test_what_begins_alike_may_hold_the_subject(name, at):
    model = make_tiny(name)
    texts = [f"[X] and the capital of France {verb} [Y]" for verb in ("is", "has the", "in")]
    steps = [step for text in texts for step in model.steps(make_prompt(text, "Paris", "Berlin"), at)]
    alike = [len(set(tokens)) == 1 for tokens in zip(*(step.ids for step in steps), strict=False)]
    assert alike.index(False) >= ALIKE
    assert (at == "query") or max(step.at for step in steps) < ALIKE
    with unrounded(model):
        assert len(_trace_and_compare(model, steps)) == 2


def _trace_and_compare(model, steps):
    """Trace steps together, compare all of it with what each gives alone; return of each run how many tokens it has."""
    tokens = []
    down = model.down_projection(0)
    handle = down.register_forward_pre_hook(lambda _, args: tokens.append(args[0].shape[:-1].numel()))
    together = trace(model, StepBatch.of(model, steps))
    handle.remove()
    for i, step in enumerate(steps):
        alone = trace(model, StepBatch.of(model, [step]))
        until = step.query + 1
        assert torch.allclose(together.features[i], alone.features[0], rtol=0, atol=1e-10)
        assert torch.allclose(together.neurons[i], alone.neurons[0], rtol=0, atol=1e-10)
        if together.final is not None and alone.final is not None:
            assert torch.allclose(together.final[i, :until], alone.final[0, :until], rtol=0, atol=1e-10)
        for own, other in zip(together.blocks, alone.blocks, strict=True):
            assert torch.allclose(own.attended[i], other.attended[0], rtol=0, atol=1e-10)
            for part in ("hidden", "key", "value"):
                found, wanted = getattr(own, part)[i], getattr(other, part)[0]
                assert torch.allclose(found[..., :until, :], wanted[..., :until, :], rtol=0, atol=1e-10)
    return tokens
