"""Weights that wait on disk: the same numbers, the same digest, and no edits."""

import pytest
import torch
from tiny import PROMPTS
from tiny_families import make_tiny
from transformers import AutoModelForCausalLM

from atlas.attribution import Settings, attribute
from atlas.editing.columns import read_columns
from atlas.errors import ModelError, UsageError
from atlas.models import LanguageModel, load_model

pytest.importorskip("accelerate")


@pytest.fixture
def pair(tmp_path):
    """A tiny Llama, and the same with its second block on disk."""
    whole = make_tiny("llama", torch.float32)
    whole.model.save_pretrained(tmp_path / "model")
    places = dict.fromkeys(("model.embed_tokens", "model.norm", "model.rotary_emb", "lm_head"), "cpu")
    places |= {"model.layers.0": "cpu", "model.layers.1": "disk", "model.layers.2": "cpu"}
    spread = AutoModelForCausalLM.from_pretrained(
        tmp_path / "model", device_map=places, offload_folder=tmp_path / "offloaded", dtype=torch.float32
    )
    return whole, LanguageModel.wrap(spread, whole.tokenizer, "spread")


def test_offloaded_weights_have_the_same_digest_and_scores(pair):
    whole, spread = pair
    assert any(parameter.is_meta for parameter in spread.model.parameters())
    assert spread.info.digest == whole.info.digest
    wanted, found = (attribute(model, PROMPTS[:1], Settings(method="kn"))[0] for model in pair)
    assert found.scores == pytest.approx(wanted.scores, abs=1e-5 * float(abs(wanted.scores).max()))


def test_offloaded_columns_cannot_be_edited(pair):
    _, spread = pair
    with pytest.raises(ModelError, match=r"Layer 1 .* offloaded and cannot be edited"):
        read_columns(spread, {1: torch.tensor([0])})


def test_offload_loads_what_fits_in_place(tmp_path):
    model = make_tiny("llama", torch.float32)
    model.model.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    assert load_model(str(tmp_path), device="offload").info.digest == model.info.digest
    with pytest.raises(ModelError, match=r"stored in torch\.float32"):
        load_model(str(tmp_path), device="offload", dtype="bfloat16")


def test_float16_is_refused_with_the_reason():
    with pytest.raises(UsageError, match=r"gradients of improbable answers would vanish; use bfloat16"):
        load_model("demo-mbert", dtype="float16")
