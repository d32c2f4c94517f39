"""Edits on other copies of a model: apply one from its file, undo one in a saved folder."""

from dataclasses import replace
from pathlib import Path

import atlas
from atlas import outputs
from atlas.editing.applying import apply_edit, undo_edit
from atlas.editing.files import Edit, file_digest, load_edit
from atlas.editing.job import save_model
from atlas.editing.rows import Saved, is_noted, note, saved
from atlas.errors import DataError, UsageError
from atlas.models import LanguageModel
from atlas.models.names import stack_of, with_stack
from atlas.running.choice import OpenChoice

_MOST_DIGITS = 19


def apply_to_copy(db: Path, name: str, choice: OpenChoice, *, save: Path) -> None:
    """Apply the edit `name` (number or file) to a model and write the result into the folder `save`.

    The model is the one that the edit was made on, unless another is chosen.

    Raises ModelError for a model with other weights than those that the edit was made on, UsageError for a folder that
    is not empty.
    """
    edit = found_edit(db, name)
    what = Saved((edit.record.id,), "applied")
    if not _is_to_be_noted(db, save, what):
        outputs.check_empty(save, "--save")
        copy = _load(choice, edit)
        apply_edit(copy, edit)
        save_model(copy, save, what)
    _note(db, what)


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


def found_edit(db: Path, name: str) -> Edit:
    """Return an edit given by its file, or by its number in the atlas, which knows the file's digest.

    Raises UsageError if the atlas has no such edit, DataError for a file that is no edit or not the one made.
    """
    if not name.isdigit() or len(name) > _MOST_DIGITS:
        return load_edit(Path(name))
    with atlas.open(db) as opened:
        found = opened.sql("SELECT file, status, digest FROM edit WHERE edit = ?", [int(name)]).to_pylist()
    if not found:
        raise UsageError(f"{db} has no edit {name}; `atlas edit list` shows them.")
    if found[0]["status"] == "not_converged":
        raise UsageError(f"Edit {name} did not converge, so it has no file; make it again with other neurons.")
    path = (db.with_name(f"{db.stem}.edits") / str(found[0]["file"])).resolve()
    edit = load_edit(path)
    if file_digest(path) != found[0]["digest"]:
        raise DataError(f"{path} is not the file that {db} knows as edit {name}; make the edit again.")
    return edit


def _load(choice: OpenChoice, edit: Edit) -> LanguageModel:
    """Load a model with the stack whose neurons the edit changes, whatever its name asks for, and with its dtype."""
    name = with_stack(choice.model or edit.record.model, stack_of(edit.record.model))
    dtype = str(next(iter(edit.before.values())).dtype).removeprefix("torch.")
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
