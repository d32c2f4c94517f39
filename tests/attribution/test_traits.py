"""What a model's configuration is to the atlas: the settings that change what it computes."""

import json
import shutil

import pytest
from tiny_families import EVERY, make_tiny
from transformers import AutoConfig

from atlas.attribution.traits import config_digest, traits


@pytest.mark.quick(7)
@pytest.mark.parametrize("name", EVERY)
def test_a_saved_model_has_the_traits_of_the_one_that_was_saved(name, tmp_path):
    model = make_tiny(name)
    model.model.config.save_pretrained(tmp_path)
    assert config_digest(AutoConfig.from_pretrained(tmp_path)) == config_digest(model.model.config)


@pytest.fixture
def changed(tmp_path):
    """Returns the digests of a tiny model's configuration as it is, and with some entries of its file changed."""

    def both(name, changes, without=()):
        make_tiny(name).model.config.save_pretrained(tmp_path / "one")
        shutil.copytree(tmp_path / "one", tmp_path / "other")
        path = tmp_path / "other" / "config.json"
        entries = json.loads(path.read_text("utf-8"))
        kept = {name: value for name, value in entries.items() if name not in without}
        path.write_text(json.dumps({**kept, **changes}), "utf-8")
        return [config_digest(AutoConfig.from_pretrained(tmp_path / each)) for each in ("one", "other")]

    return both


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("bert", {"layer_norm_eps": 1e-5}),
        ("bert", {"num_attention_heads": 1}),
        ("gpt2", {"activation_function": "relu"}),
        ("gpt2", {"scale_attn_weights": False}),
        ("gemma2", {"final_logit_softcapping": 6.0}),
        ("mistral", {"sliding_window": 5}),
        ("llama", {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}}),
        ("opt", {"_remove_final_layer_norm": True}),
        ("t5", {"relative_attention_max_distance": 64}),
        ("bert", {"a_name_that_nobody_knows": 1}),
    ],
)  # fmt: skip
def test_a_setting_that_changes_results_changes_the_digest(changed, name, changes):
    one, other = changed(name, changes)
    assert one != other


@pytest.mark.parametrize(
    "changes",
    [
        {"transformers_version": "4.0.0"}, {"_name_or_path": "elsewhere"}, {"dtype": "float16"}, {"use_cache": False},
        {"hidden_dropout_prob": 0.3}, {"id2label": {"0": "a", "1": "b", "2": "c"}}, {"initializer_range": 0.1},
        {"layer_norm_eps": 1e-12},
    ],
)  # fmt: skip
def test_what_changes_no_result_changes_no_digest(changed, changes):
    one, other = changed("bert", changes)
    assert one == other


def test_a_setting_left_at_its_default_is_as_good_as_said(changed):
    one, other = changed("bert", {}, without=("layer_norm_eps", "hidden_act", "transformers_version"))
    assert one == other


def test_the_traits_are_named_as_in_the_settings_of_runs():
    assert traits(make_tiny("bert")).keys() == {"tokenizer", "config"}
