"""What is stored of an edit, against plain forward passes before and after it."""

import pytest
import torch
from editing.test_edits import made_on, target_of
from editing.test_fitting import said

from atlas.editing.applying import edited


@torch.no_grad()
def told(model, prompt):
    """Log-probabilities of every step, the same of the answer's tokens, and whether all of these are the argmax."""
    logs, gold = said(model, [prompt]), torch.tensor([step.target for step in model.steps(prompt)])
    return logs, float(logs.gather(1, gold[:, None]).sum().exp()), bool((logs.argmax(1) == gold).all())


def test_outcomes_are_what_the_model_says_before_and_after(model, prompts, family):
    target, made = target_of(prompts), made_on(family)
    own = {
        p.id: p for fact in prompts.facts.values() for held in (False, True) for p in prompts.of(fact, held_out=held)
    }
    rows = [(row, own[row["prompt"]]) for row in made.outcomes]
    asked = [prompt if row["measure"] in ("locality", "neighbour") else target.asked(prompt) for row, prompt in rows]
    before, known = [told(model, prompt) for prompt in asked], [told(model, prompt)[2] for _, prompt in rows]
    with edited(model, made.edit):
        after = [told(model, prompt) for prompt in asked]
    for (row, _), (then, *was), (now, *became), knew in zip(rows, before, after, known, strict=True):
        assert row["kl"] == pytest.approx(float((then.exp() * (then - now)).sum(1).mean()), rel=1e-3, abs=1e-5)
        assert row["same_argmax"] == bool((then.argmax(1) == now.argmax(1)).all())
        assert [row["probability_before"], row["argmax_before"]] == pytest.approx(was, rel=1e-3)
        assert [row["probability_after"], row["argmax_after"]] == pytest.approx(became, rel=1e-3)
        assert row["known"] == knew
