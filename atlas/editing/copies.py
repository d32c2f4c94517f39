"""Edits on other copies of a model: apply one from its file, undo one in a saved folder, write one as an adapter."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as serialised
from torch import Tensor, nn

import atlas
from atlas import outputs
from atlas.editing.applying import apply_edit, undo_edit
from atlas.editing.columns import index_of, read_columns
from atlas.editing.files import Edit, file_digest, load_edit
from atlas.editing.job import save_model
from atlas.editing.rows import Saved, is_noted, note, saved
from atlas.errors import DataError, UsageError
from atlas.models import LanguageModel
from atlas.models.names import stack_of, with_stack
from atlas.running.choice import OpenChoice

_MOST_DIGITS = 19
_TASKS = {"causal": "CAUSAL_LM", "infilling": "SEQ_2_SEQ_LM", "reading": "SEQ_2_SEQ_LM"}


def apply_to_copy(db: Path, name: str, choice: OpenChoice, *, save: Path, peft: bool = False) -> None:
    """Apply the edit `name` (number or file) to a model, its own if none is chosen, and write it into `save`.

    With `peft` an adapter of PEFT is written in place of the model, and the atlas is told of nothing. Raises ModelError
    for a model with other weights than those that the edit was made on, UsageError for a folder that is not empty.
    """
    edit = found_edit(db, name)
    what = Saved((edit.record.id,), "applied")
    if peft or not _is_to_be_noted(db, save, what):
        outputs.check_empty(save, "--save")
        copy = _load(choice, edit)
        apply_edit(copy, edit)
        if peft:
            return save_adapter(copy, edit, save)
        save_model(copy, save, what)
    return _note(db, what)


def undo_in_copy(db: Path, name: str, choice: OpenChoice, *, save: Path | None = None) -> str:
    """Undo the edit `name` in the chosen model's folder, there or into `save`; return the digest of the weights.

    Raises UsageError if no model is chosen.
    """
    if choice.model is None:
        raise UsageError("No model is named to undo the edit in; give its folder with --model.")
    edit = found_edit(db, name)
    what, folder = Saved((edit.record.id,), "undone"), save or Path(with_stack(choice.model))
    if _is_to_be_noted(db, folder, what):
        copy = _load(replace(choice, model=str(folder)), edit)
    else:
        if save is not None:
            outputs.check_empty(save, "--save")
        copy = _load(choice, edit)
        undo_edit(copy, edit)
        save_model(copy, folder, what)
    _note(db, what)
    return copy.info.digest


def save_adapter(edited: LanguageModel, edit: Edit, folder: Path) -> None:
    """Write what `edit` changed in the model that has it into `folder`, as `PeftModel.from_pretrained` reads it.

    It is LoRA, of the rank that the neurons make: A picks them, one a row, and B holds what was added to their columns.
    Raises UsageError for a folder that is not empty, StoreError where the disk refuses.
    """
    after = read_columns(edited, index_of(edited, edit.neurons))
    rank = max(len(own) for own in edit.index.values())
    weights: dict[str, Tensor] = {}
    for layer, own in edit.index.items():
        change = after[layer].cpu().float() - edit.before[layer].float()
        down, up = torch.zeros(rank, edited.info.neurons), torch.zeros(change.shape[1], rank)
        down[torch.arange(len(own)), own], up[:, : len(own)] = 1, change.T
        name = f"base_model.model.{_path(edited, layer)}"
        weights |= {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}
    _write_adapter(folder, _config(edited, edit, rank), weights)


def _write_adapter(folder: Path, config: Mapping[str, Any], weights: dict[str, Tensor]) -> None:
    with outputs.own_folder(folder, "--save") as part:
        (part / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
        (part / "adapter_model.safetensors").write_bytes(serialised(weights, {"format": "pt"}))


def found_edit(db: Path, name: str) -> Edit:
    """Return an edit given by its file, or by its number in the atlas, which knows the file's digest.

    Raises UsageError if the atlas has no such edit, DataError for a file that is no edit or not the one made.
    """
    if not name.isdecimal() or len(name) > _MOST_DIGITS:
        return load_edit(Path(name))
    with atlas.open(db) as opened:
        found = opened.sql("SELECT file, status, digest FROM edit WHERE edit = ?", [int(name)]).to_pylist()
    if not found:
        raise UsageError(f"{db} has no edit {name}; `atlas edit list` shows them.")
    if found[0]["status"] == "not_converged":
        raise UsageError(f"Edit {name} did not converge, so it has no file; make it again with other neurons.")
    path = (db.with_name(f"{db.stem}.edits") / str(found[0]["file"])).resolve()
    if not path.exists():
        raise DataError(
            f"{path}, the file of edit {name}, is not there: it lies beside the atlas that the edit was made in; put "
            "it there, or name it in place of the number."
        )
    edit = load_edit(path)
    if file_digest(path) != found[0]["digest"]:
        raise DataError(f"{path} is not the file that {db} knows as edit {name}; make the edit again.")
    return edit


def _load(choice: OpenChoice, edit: Edit) -> LanguageModel:
    """Load a model with the stack whose neurons the edit changes, whatever its name asks for, and with its dtype."""
    name = with_stack(choice.model or edit.record.model, stack_of(edit.record.model))
    dtype = str(edit.dtype).removeprefix("torch.")
    return replace(choice, model=name, dtype=choice.dtype or dtype).filled().load()


def _is_to_be_noted(db: Path, folder: Path, what: Saved) -> bool:
    """Return whether a command that was ended has saved this very folder, and not yet said so in the atlas."""
    if saved(folder) != what or not db.exists():
        return False
    with atlas.open(db) as opened:
        return not is_noted(opened, what)


def _note(db: Path, what: Saved) -> None:
    """Say in the atlas what became of the edit, if it is in one."""
    if db.exists():
        with atlas.open(db, "a") as writer:
            note(writer, what)


def _path(model: LanguageModel, layer: int) -> str:
    return f"{model.family.blocks}.{layer}.{model.family.down_projection}"


def _config(model: LanguageModel, edit: Edit, rank: int) -> dict[str, Any]:
    network: Any = model.model
    return {
        "peft_type": "LORA",
        "task_type": _TASKS.get(model.kind),
        "base_model_name_or_path": network.name_or_path,
        "target_modules": [_path(model, layer) for layer in edit.index],
        "r": rank,
        "lora_alpha": rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": not isinstance(model.down_projection(min(edit.index)), nn.Linear),
        "inference_mode": True,
    }
