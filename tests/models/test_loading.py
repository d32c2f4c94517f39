"""What a model's folder says and holds: its code never runs, and what does not fit is told in one sentence."""

import builtins
import json
import shutil
from contextlib import suppress

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import make_bart_tokenizer, make_bert_tokenizer, make_gpt2_tokenizer, make_model, make_prompt
from tiny_families import make_tiny
from transformers import AutoModelForCausalLM

from atlas.errors import ModelError
from atlas.models import LanguageModel, load_model
from atlas.models.twin import untrained

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    model = make_model("bert", dtype="float32")
    model.model.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "model")


def configured(folder, **settings):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def rewritten(folder, change):
    weights = load_file(folder / WEIGHTS)
    change(weights)
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


def refusal(folder):
    with pytest.raises(ModelError) as caught:
        load_model(str(folder), device="cpu")
    assert "\n" not in str(caught.value)
    return str(caught.value)


CODE = """
from pathlib import Path
Path({mark!r}).write_text("ran")
from transformers import PreTrainedConfig, BertForMaskedLM, BertTokenizer
class Mine(PreTrainedConfig):
    model_type = "mine"
class Model(BertForMaskedLM):
    pass
class Words(BertTokenizer):
    pass
"""


@pytest.mark.parametrize(
    ("settings", "file", "loads"),
    [
        ({"model_type": "mine", "auto_map": {"AutoConfig": "code.Mine"}}, "config.json", False),
        ({"auto_map": {"AutoModelForMaskedLM": "code.Model", "AutoConfig": "code.Mine"}}, "config.json", True),
        ({"auto_map": {"AutoTokenizer": [None, "code.Words"]}}, "tokenizer_config.json", True),
        (
            {"auto_map": {"AutoTokenizer": ["code.Words", None]}, "tokenizer_class": "Words"},
            "tokenizer_config.json",
            None,
        ),
    ],
)
def test_a_folders_code_never_runs_and_nothing_is_asked(folder, tmp_path, monkeypatch, settings, file, loads):
    def asked(*_):
        raise AssertionError("asked on stdin")

    monkeypatch.setattr(builtins, "input", asked)
    (folder / "code.py").write_text(CODE.format(mark=str(tmp_path / "ran")))
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    if loads:
        assert load_model(str(folder), device="cpu").info.family == "bert"
    elif loads is False:
        assert "Model type 'mine' is not supported" in refusal(folder)
    else:  # whatever transformers makes of it
        with suppress(ModelError):
            load_model(str(folder), device="cpu")
    assert not (tmp_path / "ran").exists()


@pytest.mark.quick(2)
@pytest.mark.parametrize("name", ["attn_implementation", "_attn_implementation"])
@pytest.mark.parametrize("value", ["flash_attention_2", "someone/kernels@main", "eager"])
def test_a_configuration_does_not_choose_the_code_of_attention(saved, folder, name, value):
    configured(folder, **{name: value})
    ids = torch.tensor([[3, 9, 4, 7]])
    plain, told = load_model(str(saved), device="cpu"), load_model(str(folder), device="cpu")
    assert torch.equal(plain.run(ids), told.run(ids))
    assert told.model.config._attn_implementation == plain.model.config._attn_implementation


def test_feed_forward_in_chunks_is_put_together(saved, folder):
    configured(folder, chunk_size_feed_forward=1)
    seen = []
    model = load_model(str(folder), device="cpu", revision="none")
    assert model.info.revision is None
    model.down_projection(0).register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].shape[1]))
    model.run(torch.tensor([[3, 9, 4, 7]]))
    assert seen == [4]


def test_slices_of_a_down_projection_are_put_together(tmp_path):
    """BLOOM's, which transformers multiplies past the module."""
    made = make_tiny("bloom", torch.float32)
    for part in (made.model, made.tokenizer):
        part.save_pretrained(tmp_path)
    configured(tmp_path, slow_but_exact=True, pretraining_tp=2)
    model, ids = load_model(str(tmp_path), device="cpu"), torch.tensor([[3, 9, 4, 7]])
    with model.suppress([(0, 5)], scope="all"):
        assert not torch.allclose(model.run(ids), made.run(ids))


@pytest.mark.parametrize("name", ["llama", "gemma3_text"])
def test_rotary_frequencies_keep_their_digits_in_bfloat16(tmp_path, name):
    made = make_tiny(name, torch.float32)
    for part in (made.model, made.tokenizer):
        part.save_pretrained(tmp_path)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.bfloat16)
    model, ids = load_model(str(tmp_path), device="cpu", dtype="bfloat16"), torch.arange(9, 49)[None]
    assert torch.equal(model.run(ids), plain(ids).logits)
    twin, kept = untrained(model, 0).model, dict(plain.named_buffers())
    assert {name: own.dtype for name, own in twin.named_buffers()} == {name: own.dtype for name, own in kept.items()}


def test_a_model_of_the_hub_says_which_commit_it_is(saved, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    copy, commit = tmp_path / "models--me--tiny", "a" * 40
    shutil.copytree(saved, copy / "snapshots" / commit)
    (copy / "refs").mkdir()
    for name in ("main", "v1"):
        (copy / "refs" / name).write_text(commit)
    found = [load_model("me/tiny", device="cpu", revision=name).info.revision for name in (None, "v1")]
    assert found == [commit, "v1"]


def test_a_size_that_does_not_fit_is_told_with_both_shapes(folder):
    configured(folder, intermediate_size=48)
    found = refusal(folder)
    assert "bert.encoder.layer.0.intermediate.dense.bias of shape [40] in model.safetensors" in found
    assert "config.json asks for [48]" in found


@pytest.mark.parametrize("left", [0, 4, 300, -1])
def test_weights_cut_short_are_told(folder, left):
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:left])
    assert "damaged file: model.safetensors is cut short" in refusal(folder)


def test_a_file_of_the_index_that_is_not_there_is_told(folder):
    keys = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    index = {"metadata": {}, "weight_map": dict.fromkeys(keys, "model-00001-of-00001.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "lacks model-00001-of-00001.safetensors" in refusal(folder)


def test_fewer_layers_than_the_checkpoint_are_refused(folder):
    configured(folder, num_hidden_layers=2)
    found = refusal(folder)
    assert "bert.encoder.layer.2." in found
    assert "in model.safetensors and 15 other weights that the model of its config.json has no place for" in found


def test_weights_without_a_place_are_refused_and_other_heads_are_not(folder):
    rewritten(folder, lambda weights: weights.update({"bert.pooler.dense.weight": torch.zeros(3, 3)}))
    assert load_model(str(folder), device="cpu")
    rewritten(folder, lambda weights: weights.update({"bert.encoder.layer.0.output.dense.lora_A": torch.zeros(3, 3)}))
    assert "bert.encoder.layer.0.output.dense.lora_A in model.safetensors" in refusal(folder)


@pytest.mark.parametrize(("dtype", "name"), [(torch.int8, "I8"), (torch.uint8, "U8"), (torch.float8_e4m3fn, "F8_E4M3")])
def test_rounded_weights_without_their_scale_are_refused(folder, dtype, name):
    key = "bert.encoder.layer.1.output.dense.weight"
    rewritten(folder, lambda weights: weights.update({key: weights[key].to(dtype)}))
    assert f"{key} of type {name} in model.safetensors" in refusal(folder)


def test_missing_weights_are_refused(folder):
    rewritten(folder, lambda weights: weights.pop("bert.encoder.layer.1.output.dense.weight"))
    assert "no weights for bert.encoder.layer.1.output.dense.weight" in refusal(folder)


def test_an_adapter_beside_the_weights_is_refused(folder):
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "base_model_name_or_path": "x"}))
    assert "adapter beside its weights (adapter_config.json)" in refusal(folder)


def test_a_folder_without_a_tokenizer_is_refused(folder):
    for path in folder.glob("*token*"):
        path.unlink()
    assert "has no tokenizer (tokenizer.json)" in refusal(folder)


def test_a_tokenizer_file_alone_that_is_read_otherwise_is_refused(folder):
    """What transformers makes of BERT's words alone is lower case, whatever the file says."""
    (folder / "tokenizer_config.json").unlink()
    found = refusal(folder)
    assert "no tokenizer_config.json, and BertTokenizer" in found
    assert "otherwise than its tokenizer.json; copy all of the tokenizer's files" in found
    make_tiny("gemma", torch.float32).model.save_pretrained(folder)
    make_gpt2_tokenizer().backend_tokenizer.save(str(folder / "tokenizer.json"))  # has no token that Gemma's needs
    assert "cannot be loaded" in refusal(folder)


def test_a_tokenizer_larger_than_the_embedding_is_refused_but_for_special_tokens(folder):
    tokenizer = make_bert_tokenizer()
    rows = len(tokenizer)
    tokenizer.add_special_tokens({"extra_special_tokens": ["<image>"]})
    tokenizer.save_pretrained(folder)
    assert load_model(str(folder), device="cpu")
    tokenizer.add_tokens(["Wien"])
    tokenizer.save_pretrained(folder)
    assert f"embedding of {rows} rows: 'Wien' ({rows + 1}) has none" in refusal(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"model_type": "bert", "hidden_size": "x"}'])
def test_a_damaged_configuration_is_one_sentence(folder, text):
    (folder / "config.json").write_text(text)
    assert str(folder) in refusal(folder) or "Model type" in refusal(folder)


@pytest.mark.parametrize("padding", [0, 1, 3, 6])
def test_positions_begin_behind_the_padding_token(padding):
    """As many tokens as there are positions left run, and one more does not."""
    from transformers import RobertaConfig, RobertaForMaskedLM

    tokenizer = make_bart_tokenizer()
    config = RobertaConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=20, pad_token_id=padding, bos_token_id=0, eos_token_id=2,
    )  # fmt: skip
    model = LanguageModel.wrap(RobertaForMaskedLM(config), tokenizer, "tiny")
    assert model.max_tokens == 20 - (padding + 1)
    model.run(torch.full((1, model.max_tokens), 9))
    with pytest.raises((IndexError, RuntimeError)):
        model.run(torch.full((1, model.max_tokens + 1), 9))
    assert model.steps(make_prompt("[X]: [Y]", "Paris", "Rome"))


def test_a_short_name_that_is_a_folder_too_is_not_guessed(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    folder.rename("mbert")
    with pytest.raises(
        ModelError, match=r"'mbert' is the short name of google-bert/\S+ and a folder here; say \./mbert"
    ):
        load_model("mbert", device="cpu")
    assert load_model("./mbert", device="cpu").info.family == "bert"


def test_a_folder_under_a_short_name_is_told_of_where_the_model_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mbert").mkdir()
    with pytest.raises(
        ModelError, match=r"cannot be fetched from here, and the folder mbert here is meant by \./mbert"
    ):
        load_model("mbert", device="cpu")


IMPOSSIBLE = {
    "hidden_size": (0, -1, 7, 10**30, 2.5, None, "x", []),
    "num_hidden_layers": (-1, 10**12, 2.5, {}),
    "num_attention_heads": (0, 5, -2, None),
    "intermediate_size": (0, -3, "many"),
    "vocab_size": (0, -1, 10**15, None),
    "max_position_embeddings": (0, -1, "x"),
    "hidden_act": ("nope", 7, None),
    "layer_norm_eps": ("x", [], None),
    "pad_token_id": (-7, 10**9, "x"),
    "model_type": (None, [], "", 7),
    "architectures": (7, "x"),
    "dtype": ("float7", 3),
}


@pytest.mark.quick(4)
@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_an_impossible_configuration_is_one_sentence(folder, name):
    for value in IMPOSSIBLE[name]:
        configured(folder, **{name: value})
        said = ""
        try:
            load_model(str(folder), device="cpu")
        except ModelError as error:
            said = str(error)
        assert "\n" not in said
        assert len(said) < 600


@pytest.mark.parametrize(
    "name", ["hidden_size", "num_hidden_layers", "intermediate_size", "vocab_size", "max_position_embeddings"]
)
def test_sizes_beyond_the_weights_are_refused_before_they_are_made(folder, name):
    configured(folder, **{name: 10**9})
    assert "more than its weights can hold" in refusal(folder)


def test_a_layer_from_which_windows_begin_needs_no_weights(folder):
    configured(folder, max_window_layers=28)
    assert load_model(str(folder), device="cpu").info.layers < 28


def test_a_folder_without_a_configuration_is_told(folder):
    (folder / "config.json").unlink()
    assert "there is no config.json" in refusal(folder)
