"""Loading and wrapping models: real files on disk, made by the tests."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import MAKERS, make_model
from tiny_families import make_tiny

from atlas.errors import ModelError, UsageError
from atlas.models import LanguageModel, load_model
from atlas.models.model import weights_digest


@pytest.fixture
def folder(tmp_path, family):
    model = make_model(family, dtype="float32")
    model.model.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    return tmp_path


def test_a_saved_model_loads_with_equal_digest_and_numbers(folder, family):
    made, loaded = make_model(family, dtype="float32"), load_model(str(folder), device="cpu")
    assert loaded.info.digest == made.info.digest
    assert loaded.info.family == family
    ids = torch.tensor([[3, 9, 4, 7]])
    assert torch.equal(loaded.run(ids), made.run(ids))


def test_the_digest_does_not_depend_on_the_dtype_of_loading(folder):
    digests = {load_model(str(folder), device="cpu", dtype=d).info.digest for d in ("float32", "float64", "bfloat16")}
    assert len(digests) == 1


@pytest.mark.parametrize("half", ["", "LayerNorm"])
def test_the_digest_does_not_depend_on_the_type_that_a_configuration_names(folder, half):
    """Nor on files of several types."""
    path, weights = folder / "config.json", load_file(folder / "model.safetensors")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"dtype": "bfloat16"}))
    stored = {name: own.bfloat16() if half and half not in name else own for name, own in weights.items()}
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    assert len({load_model(str(folder), device="cpu", dtype=d).info.digest for d in ("float32", "bfloat16")}) == 1


def test_the_digest_sees_every_weight(family):
    model = make_model(family)
    before = weights_digest(model.model)
    next(model.model.parameters()).data[0, 0] += 1
    assert weights_digest(model.model) != before


def test_the_digest_sees_the_bias_of_the_logits_which_is_no_parameter():
    model = make_tiny("bart")
    bias, before = model.model.get_buffer("final_logits_bias"), model.digest()
    bias[0, 7] += 1
    assert model.digest() != before
    bias.zero_()
    assert model.digest() == weights_digest(model.model)


def test_value_vectors_are_what_neurons_write(tiny):
    """One neuron more changes the down-projection's output by its value vector."""
    down, vectors = tiny.down_projection(1), tiny.value_vectors(1)
    assert vectors.shape == (tiny.info.neurons, tiny.info.hidden)
    zero = torch.zeros(1, 1, tiny.info.neurons, dtype=torch.float64)
    one = zero.clone()
    one[..., 5] = 1
    assert torch.allclose((down(one) - down(zero))[0, 0], vectors[5])


def test_other_families_are_refused_with_the_list(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "mamba", "architectures": ["MambaForCausalLM"]}))
    with pytest.raises(
        ModelError, match=r"'mamba' is not supported; the supported families are .*bert.*gpt2.*adding-a-model"
    ):
        load_model(str(tmp_path))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (
            {"model_type": "mixtral", "num_local_experts": 8},
            r"'mixtral' is a mixture of experts \(num_local_experts 8\)",
        ),
        ({"model_type": "qwen2_moe", "num_experts": 60}, "mixture of experts .* use a dense model"),
        (
            {"model_type": "llama", "quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}},
            r"quantised \(bitsandbytes\): .* use the checkpoint that it was made from",
        ),
        ({"model_type": "llama", "is_causal": False}, "'llama' .* this model goes both ways .* writes no next token"),
        ({"model_type": "gemma3_text", "use_bidirectional_attention": True}, "'gemma3_text' .* goes both ways"),
        ({"model_type": "bert", "is_decoder": True}, r"'bert' .* is a decoder \(is_decoder\): it fills no masks"),
    ],
)
def test_what_a_familys_row_does_not_hold_for_is_refused_with_the_reason(tmp_path, settings, reason):
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(ModelError, match=reason):
        load_model(str(tmp_path))


def test_a_model_out_of_reach_is_one_sentence(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"'mbert' .*neither a folder nor in the local Hugging Face cache") as caught:
        load_model("mbert")
    assert "\n" not in str(caught.value)


def test_pickled_weights_need_a_flag(folder):
    model = make_model("bert", dtype="float32").model if (folder / "tokenizer.json").exists() else None
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="allow-pickle"):
        load_model(str(folder))


def test_a_checkpoint_without_its_output_layer_is_refused(tmp_path):
    model = make_model("bert", dtype="float32")
    model.model.bert.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"no weights for cls\.predictions\S+ and \d+ others"):
        load_model(str(tmp_path))


def test_wrong_devices_and_dtypes_name_the_choices():
    for device in ("abacus", "cpu:foo", "cuda:4096"):
        with pytest.raises(UsageError, match=f"'{device}' is not available here; choose auto or one of: cpu"):
            load_model("demo-mbert", device=device)
    with pytest.raises(UsageError, match="float32, float64, bfloat16"):
        load_model("demo-mbert", dtype="float8")


@pytest.mark.parametrize(
    ("capability", "dtype", "told"), [("AVX2", "bfloat16", 1), ("AVX512", "bfloat16", 0), ("AVX2", "float32", 0)]
)
def test_a_slow_number_type_is_told_of(monkeypatch, caplog, capability, dtype, told):
    monkeypatch.setattr("atlas.models.loading.get_cpu_capability", lambda: capability)
    load_model("demo-mbert", device="cpu", dtype=dtype)
    assert len(caplog.records) == told
    assert all("float32" in record.message for record in caplog.records)


def test_weights_need_no_gradient(family):
    make_tokenizer, make = MAKERS[family]
    tokenizer = make_tokenizer()
    model = LanguageModel.wrap(make(tokenizer), tokenizer, "tiny")
    assert not any(p.requires_grad for p in model.model.parameters())
    assert not model.model.training


def test_without_network_only_the_cache_is_asked(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    asked = []

    def no_copy(source, **options):
        asked.append(options["local_files_only"])
        raise OSError("no copy")

    monkeypatch.setattr("atlas.models.loading.PreTrainedConfig.get_config_dict", no_copy)
    with pytest.raises(ModelError, match="cannot be fetched"):
        load_model("mbert")
    assert asked == [True]
