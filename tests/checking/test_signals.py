"""What a model says of claims: against plain forward passes, and when it says nothing."""

import numpy as np
import pytest
import torch
from tiny import PROMPTS, make_model, make_prompt

from atlas.attribution import Settings
from atlas.checking.signals import Asked, _own, read_signals

SETS = {("kn", "en"): [(0, 1), (2, 3)], ("dkn", "en"): []}


def signals(model, prompts, **settings):
    (found,) = read_signals(model, [Asked(prompts, SETS, spoken=True)], Settings(**settings))
    return found


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_the_own_probability_is_that_of_plain_forward_passes(family):
    model, prompt = make_model(family), PROMPTS[0]
    gold, best = [], []
    for step in model.steps(prompt):
        with torch.no_grad():
            logs = torch.log_softmax(model.run(torch.tensor([step.ids]))[0, step.query], -1)
        gold.append(float(logs[step.target]))
        best.append(float(logs.max()))
    found = signals(model, [prompt])
    assert found.log_probability == pytest.approx(sum(gold))
    assert found.margin == pytest.approx(sum(gold) - sum(best))
    assert found.argmax == (gold == best)


def test_every_token_of_an_answer_must_be_the_first_choice():
    assert [_own([(-1.0, -1.0), (own, -1.0)]).argmax for own in (-1.0, -3.0)] == [True, False]


def test_a_score_is_the_mean_over_neurons_and_an_empty_set_has_none():
    found = signals(make_model("bert"), [PROMPTS[0]])
    assert found.score["kn", "en"] == pytest.approx(np.mean(list(found.neurons["kn", "en"].values())))
    assert np.isnan(found.score["dkn", "en"])


def test_nan_and_long_prompts_and_none_at_all_are_statuses():
    model = make_model("bert")
    long = make_prompt("the capital of [X] is [Y] .", "France " * 60, "Paris")
    assert signals(model, [long]).status == "too_long"
    assert signals(model, [long, PROMPTS[0]]).status == "ok"
    assert signals(model, []).status == "no template"
    assert signals(model, [PROMPTS[0]], tolerance=1e-12, max_nodes=8).status == "unresolved"
    model.down_projection(1).bias.data.fill_(float("nan"))
    assert signals(model, [PROMPTS[0]]).status == "nan"
