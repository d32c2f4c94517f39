"""Every family against its own model and the hook-based reference, in float64."""

from dataclasses import replace

import pytest
import torch
from tiny import PROMPTS, make_prompt
from tiny_families import EVERY, make_tiny

from atlas.doctor.suite import conformance
from atlas.doctor.weights import edited_and_undone
from atlas.models import FAMILIES

QUICK = {"bert", "gpt2", "t5"}
"""One of each kind of model; the others are slow together."""

UNSEEN = {"t5", "mt5"}
"""Decoders that write the answer alone, so that no token of theirs is the subject's."""

SHORT = make_prompt("[X] is the [Y]", "Paris", "capital")
"""One token in every tokenizer here."""


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in EVERY]
)
def test_conformance(name):
    outcomes = list(conformance(make_tiny(name), [*PROMPTS, SHORT]))
    wrong = [outcome for outcome in outcomes if not outcome.ok]
    assert not wrong
    assert {"one-token", "multi-token"} == {o.detail.split()[0] for o in outcomes if o.check == "scores, kn"}
    at_subject = {o.detail.split()[0] for o in outcomes if o.check == "scores, kn, at the subject"}
    assert at_subject == (set() if name in UNSEEN else {"one-token", "multi-token"})


def test_the_quick_ones_are_among_them():
    assert set(EVERY) > QUICK


def test_every_row_of_the_table_is_tested():
    assert set(FAMILIES) <= set(EVERY)


def test_an_edit_of_weights_that_were_narrowed_as_they_were_loaded_is_undone():
    model = make_tiny("gpt2", torch.float32)
    model.model.to(torch.bfloat16)  # as `load_model` does: the digest is that of the weights in their file
    info = model.info
    assert edited_and_undone(model, model.steps(SHORT)[0], range(3)).ok
    assert model.info == info != replace(info, digest=model.digest())
