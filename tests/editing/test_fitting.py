"""What a fit goes by, against plain forward passes, and when it gives up."""

import pytest
import torch
from editing.test_edits import WIDE, target_of
from tiny import make_model

from atlas.editing.columns import index_of, read_columns, shifted, shifting, write_columns
from atlas.editing.fitting import _losses, prepare
from atlas.editing.problem import make_problem
from atlas.editing.prompts import prompts_around
from atlas.editing.requests import EditSettings
from atlas.editing.sources import Choice
from atlas.engine.batches import Budget


def said(model, prompts):
    """Log-probabilities `[step, token]` that the model gives for every step of the prompts, one at a time."""
    steps = [step for prompt in prompts for step in model.steps(prompt)]
    return torch.log_softmax(torch.stack([model.run(torch.tensor([step.ids]))[0, step.query] for step in steps]), -1)


LAST = Choice("file", tuple((2, neuron) for neuron in range(32)))


@torch.no_grad()
@pytest.mark.parametrize("case", [(WIDE, 1 << 30, 1), (WIDE, 1, 2), (LAST, 1, 1)], ids=["one batch", "more", "last"])
def test_the_loss_is_what_leads_fall_short_by_and_the_divergence_of_what_is_kept(model, prompts, case):
    where, budget, batches = case
    around, asked = prompts_around(model, target_of(prompts), prompts, 4, 0), EditSettings(keep_weight=3.0)
    index, kept = index_of(model, where.neurons), said(model, around.keep)
    before = read_columns(model, index)
    delta = {
        layer: torch.randn(own.shape, generator=torch.Generator().manual_seed(0)) * 0.1 for layer, own in before.items()
    }
    problem = make_problem(model, around.new, around.keep, Budget(budget)).starting(min(index))
    assert min(len(problem.change), len(problem.keep), 2) == batches
    with shifting(model, index, delta):
        loss, leads = zip(*_losses(problem, asked), strict=True)
    write_columns(model, index, shifted(before, delta))
    now, then = said(model, around.new), said(model, around.keep)
    own = torch.tensor([[step.target] for prompt in around.new for step in model.steps(prompt)])
    lead = now.gather(1, own)[:, 0] - now.scatter(1, own, -torch.inf).amax(1)
    short = (asked.margin + 0.5 - lead).clamp(min=0).mean()
    apart = (kept.exp() * (kept - then)).sum(1).mean()
    assert apart > 1e-3
    assert float(sum(loss)) == pytest.approx(float(short + 3 * apart), rel=1e-3)
    assert min(leads) == pytest.approx(float(lead.min()), abs=1e-3)


def test_a_fit_that_hardly_moves_is_given_up(prompts):
    model = make_model("gpt2", scale=0.2)
    asked = EditSettings(steps=30, rate=1e-4, patience=3)
    found = prepare(model, prompts_around(model, target_of(prompts), prompts, 2, 0), asked)(
        index_of(model, WIDE.neurons)
    )
    assert (found.converged, found.steps) == (False, 3)
