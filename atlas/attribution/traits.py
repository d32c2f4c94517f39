"""What decides a model's rows beside its weights, as digests: what its tokenizer does, and its configuration."""

import json
import re
from hashlib import blake2b
from typing import Any

from transformers import GenerationConfig

from atlas.models.model import LanguageModel
from atlas.models.tokenizer_settings import tokenizer_digest

_NOTES = {
    "transformers_version", "name_or_path", "architectures", "auto_map", "dtype", "torch_dtype", "torchscript",
    "use_cache", "output_attentions", "output_hidden_states", "return_dict", "gradient_checkpointing",
    "chunk_size_feed_forward", "attn_implementation", "id2label", "label2id", "num_labels", "problem_type",
    "finetuning_task", "task_specific_params", "initializer_range", "initializer_factor", "init_std",
}  # fmt: skip
"""Settings of where a model comes from, of the form of what it returns, of other tasks, and what the atlas chooses."""
_IN_TRAINING = re.compile(r"dropout|pdrop|_drop$|layerdrop")
_IN_USE = {"_remove_final_layer_norm"}
"""What a model computes hangs on in spite of the underscore, as OPT's does."""
_OF_WRITING = {name for name in GenerationConfig().to_dict() if not name.endswith("_token_id")}


def traits(model: LanguageModel) -> dict[str, str]:
    """Return the digests of a model's `tokenizer` and `config`, by the names that they have in a run's settings."""
    config: Any = model.model.config
    return {"tokenizer": tokenizer_digest(model.tokenizer), "config": config_digest(config)}


def config_digest(config: Any) -> str:
    """Return a hash of the settings of a transformers configuration that can change what a model computes.

    They are those that differ from the defaults of its class, as others come with new versions of the library; names
    that nobody knows count. Where a model comes from, what acts in training alone, and how it writes texts do not.
    """
    return blake2b(json.dumps(_settings(config), sort_keys=True, default=str).encode(), digest_size=16).hexdigest()


def _settings(config: Any) -> dict[str, Any]:
    own, parts = config.to_dict(), {name: getattr(config, name, None) for name in config.sub_configs}
    nested = {name: _settings(part) for name, part in parts.items() if hasattr(part, "to_dict")}
    usual = type(config)().to_dict()
    found = {name: value for name, value in own.items() if name not in nested and _counts(name)}
    kept = {name: value for name, value in found.items() if name not in usual or value != usual[name]}
    return {"model_type": config.model_type, **kept, **nested}


def _counts(name: str) -> bool:
    return name in _IN_USE or not (name.startswith("_") or name in _NOTES | _OF_WRITING or _IN_TRAINING.search(name))
