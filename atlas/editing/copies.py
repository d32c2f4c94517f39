"""Edits on other copies of a model: apply one from its file, undo one in a saved folder."""

from pathlib import Path

import atlas
from atlas.editing.applying import apply_edit, undo_edit
from atlas.editing.files import Edit, load_edit
from atlas.editing.job import save_model
from atlas.errors import UsageError
from atlas.models import LanguageModel, load_model
from atlas.models.names import stack_of, with_stack


def apply_to_copy(db: Path, name: str, *, model: str | None, save: Path, device: str = "auto") -> None:
    """Apply the edit `name` (number or file) to `model` and write the result into the folder `save`.

    Raises ModelError for a model with other weights than those that the edit was made on, UsageError for a folder that
    is not empty.
    """
    if save.exists() and any(save.iterdir()):
        raise UsageError(f"The folder {save} is not empty; name a new one for the model.")
    edit = load_edit(find_edit(db, name))
    copy = _load(model or edit.record.model, edit, device)
    apply_edit(copy, edit)
    save_model(copy, save)
    _mark(db, edit, "applied")


def undo_in_copy(db: Path, name: str, *, model: Path, save: Path | None = None, device: str = "auto") -> str:
    """Undo the edit `name` in the model folder `model`, there or into `save`; return the digest of the weights."""
    edit = load_edit(find_edit(db, name))
    copy = _load(str(model), edit, device)
    undo_edit(copy, edit)
    save_model(copy, save or Path(with_stack(str(model))))
    _mark(db, edit, "undone")
    return copy.info.digest


def find_edit(db: Path, name: str) -> Path:
    """Return the file of an edit given by number or path; UsageError if the atlas has no such edit."""
    if not name.isdigit():
        return Path(name)
    with atlas.open(db) as opened:
        found = opened.sql("SELECT file, status FROM edit WHERE edit = ?", [int(name)]).to_pylist()
    if not found:
        raise UsageError(f"{db} has no edit {name}; `atlas edit list` shows them.")
    if found[0]["status"] == "not_converged":
        raise UsageError(f"Edit {name} did not converge, so it has no file; make it again with other neurons.")
    return (db.with_name(f"{db.stem}.edits") / str(found[0]["file"])).resolve()


def _load(name: str, edit: Edit, device: str) -> LanguageModel:
    """Load a model with the stack whose neurons the edit changes, whatever its name asks for."""
    name = with_stack(name, stack_of(edit.record.model))
    dtype = str(next(iter(edit.before.values())).dtype).removeprefix("torch.")
    return load_model(name, device=device, dtype=dtype)  # type: ignore[arg-type]


def _mark(db: Path, edit: Edit, status: str) -> None:
    """Set the edit's status in the atlas, if it is in one."""
    if db.exists():
        with atlas.open(db, "a") as writer:
            writer.sql("UPDATE edit SET status = ? WHERE edit = ?", [status, edit.record.id])
