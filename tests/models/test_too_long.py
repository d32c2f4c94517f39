"""A prompt is too long exactly if the model itself cannot run one of its steps."""

import pytest
import torch
from quick import first_quick
from tiny import make_model, make_prompt
from tiny_families import make_tiny

from atlas.attribution import Settings, attribute
from atlas.models import TooLongError
from atlas.models.tokens import prompt_steps

MAKERS = {
    "gpt2": lambda: make_model("gpt2"),
    "bert": lambda: make_model("bert"),
    "bart": lambda: make_tiny("bart"),
    "bart:encoder": lambda: make_tiny("bart:encoder"),
}
UNBOUND = 1 << 20


def runs(model, prompt):
    """Whether the model has a position for every token that it is shown."""
    try:
        for step in prompt_steps(model.tokenizer, model.kind, prompt, UNBOUND):
            model.run(torch.tensor([step.ids]))
    except (IndexError, RuntimeError):  # of a table of positions; of a mask as long
        return False
    return True


@pytest.mark.parametrize("name", first_quick(*MAKERS))
@pytest.mark.parametrize("answer", ["Paris", "Paris Berlin"])
def test_prompts_are_refused_from_the_first_that_the_model_cannot_run(name, answer):
    model, fits = MAKERS[name](), []
    for count in range(model.max_tokens - 16, model.max_tokens + 2):
        prompt = make_prompt("the " * count + "[X] is [Y]", "Paris", answer)
        fits.append(runs(model, prompt))
        if fits[-1]:
            assert model.steps(prompt)
            longest = prompt
        else:
            with pytest.raises(TooLongError, match=f"the model at most {model.max_tokens}; shorten it"):
                model.steps(prompt)
    assert (fits[0], fits[-1]) == (True, False)
    found = attribute(model, [longest], Settings(method="gradient"))[0]
    assert found.status == "ok"
