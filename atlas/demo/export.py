"""A trained demo model as a Hugging Face folder: float16 weights, configuration, tokenizer, how it was trained."""

import json
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from atlas.demo.stages import Recipe
from atlas.facts import FactSet
from atlas.models.families import Kind

PACKAGES = ("torch", "transformers", "tokenizers", "numpy")
HEAD = {"masked": "cls.predictions.decoder", "causal": "lm_head"}


@dataclass(frozen=True, slots=True)
class Effort:
    """What a training took: seconds by the clock and of the processor, threads."""

    wall_seconds: float
    cpu_seconds: float
    threads: int


def save_model(folder: Path, model: Any, tokenizer: Any, kind: Kind) -> None:
    """Write config.json, model.safetensors (float16, tied weights once), tokenizer.json and tokenizer_config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    model = model.half()
    model.config.dtype = "float16"
    model.config.architectures = [type(model).__name__]
    _write(folder / "config.json", model.config.to_diff_dict())
    save_file(_weights(model, HEAD[kind]), folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    special = {name: token for name, token in tokenizer.special_tokens_map.items() if isinstance(token, str)}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": tokenizer.model_max_length}
    _write(folder / "tokenizer_config.json", config | special)


def save_training(folder: Path, recipe: Recipe, facts: FactSet, losses: dict[str, float], effort: Effort) -> None:
    """Write training.json: the recipe, the templates held out, the losses at each stage's end, versions, times."""
    held_out = [template for template in facts.templates if template.held_out]
    record = {
        "facts": facts.source,
        "recipe": asdict(recipe),
        "last_losses": losses,
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        **asdict(effort),
        "held_out_templates": [[t.relation, t.language, t.text] for t in held_out],
    }
    _write(folder / "training.json", record)


def _weights(model: Any, head: str) -> dict[str, Any]:
    """Return the parameters without the output matrix, which is the input embedding, and without its second bias."""
    skip = (f"{head}.weight", f"{head}.bias")
    return {name: value.contiguous() for name, value in model.state_dict().items() if name not in skip}


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
