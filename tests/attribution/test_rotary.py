"""Rotary frequencies that hang on the longest of what runs together: a prompt's rows do not hang on its company."""

import pytest
import tiny_families
import torch
from tiny import make_prompt

from atlas.attribution import Settings, attribute
from atlas.engine.answers import Case, measure
from atlas.engine.batches import steps_of

LIMIT = 24
LONG = {
    "original_max_position_embeddings": LIMIT,
    "rope_parameters": {
        "rope_type": "longrope", "rope_theta": 10000.0, "long_factor": [4.0, 3.0], "short_factor": [1.0, 1.5],
    },
}  # fmt: skip
BY_LAYER = {
    "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
    "rope_parameters": {
        "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
        "full_attention": {**LONG["rope_parameters"], "factor": 5.0, "original_max_position_embeddings": LIMIT},
    },
}
GROWING = {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}}
VARIANTS = {
    "longrope": ("phi3", LONG),
    "longrope of some layers": ("gemma3_text", BY_LAYER),
    "dynamic": ("llama", GROWING),
}
COUNTS = (0, 4, 9, 30)
PROMPTS = [make_prompt("the " * count + "[X] is [Y]", "France", "Paris") for count in COUNTS]


def probability(model, prompt):
    """The product of the gold tokens' probabilities, each step by itself in the transformers model."""
    product = 1.0
    for step in model.steps(prompt):
        with torch.no_grad():
            logits = model.model(input_ids=torch.tensor([step.ids]), use_cache=False).logits[0, step.query]
        product *= float(logits.softmax(-1)[step.target])
    return product


@pytest.mark.parametrize("name", VARIANTS)
def test_rows_hang_on_no_other_prompt(monkeypatch, name):
    monkeypatch.setitem(tiny_families.VARIANTS, name, VARIANTS[name])
    model = tiny_families.make_tiny(name)
    together = attribute(model, PROMPTS, Settings(method="gradient"))
    wanted = ["ok"] * len(PROMPTS) if name == "dynamic" else ["ok", "ok", "ok", "too_long"]
    assert [result.status for result in together] == wanted
    used = [(prompt, result) for prompt, result in zip(PROMPTS, together, strict=True) if result.status == "ok"]
    measured = measure(model, [Case(prompt) for prompt, _ in used])
    for (prompt, result), answer in zip(used, measured, strict=True):
        expected = probability(model, prompt)
        assert result.probability == pytest.approx(expected, rel=1e-6)
        assert answer.probability == pytest.approx(expected, rel=1e-6)
        (alone,) = attribute(model, [prompt], Settings(method="gradient"))
        assert result.scores == pytest.approx(alone.scores, rel=1e-5, abs=1e-7)


def test_prompts_up_to_the_length_that_frequencies_are_made_for_are_used(monkeypatch):
    monkeypatch.setitem(tiny_families.VARIANTS, "longrope", VARIANTS["longrope"])
    model = tiny_families.make_tiny("longrope")
    assert model.max_tokens == LIMIT
    used = []
    for count in range(1, 2 * LIMIT):
        prompt = make_prompt("the " * count + "[X] is [Y]", "France", "Paris")
        if steps_of(model, [prompt])[0][0]:
            used.append(max(len(step.ids) for step in model.steps(prompt)))
    assert used == list(range(used[0], LIMIT + 1))
