"""Which run's model is edited: never one that an edit was saved in, unless it is named."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atlas.errors import UsageError
from atlas.running.progress import Progress
from atlas.store.runs import StoredRun, stored_run, stored_runs

if TYPE_CHECKING:
    from atlas.store import Writer


def run_to_edit(
    writer: "Writer", model: str | None, asked: Mapping[str, Any], folder: Path, progress: Progress
) -> StoredRun:
    """Return the run of `model` and what else is `asked` that is meant, as `stored_run` has it.

    A model that holds an edit whose file lies in `folder` is meant only if it or its run is named, which is told.
    Raises UsageError if there is no other.
    """
    from atlas.editing.files import edited_digests

    edits = edited_digests(folder)
    run = stored_run(writer, model=model, **asked)
    if run.digest not in edits:
        return run
    holds = f"{run.name} holds edit {edits[run.digest]} already"
    if model is not None or asked["run"] is not None:
        progress.warn(f"{holds}; what is edited now comes on top of it")
        return run
    progress.warn(f"{holds} and is passed over; --model names it")
    return _of_unedited(writer, asked, edits, holds)


def _of_unedited(writer: "Writer", asked: Mapping[str, Any], edits: Collection[str], holds: str) -> StoredRun:
    """Return the run that is meant of those of models without edits; raises UsageError if there is none."""
    held = {each.model for each in stored_runs(writer, lambda each: each.digest in edits)}
    try:
        return stored_run(writer, **asked, without=held)
    except UsageError as error:
        raise UsageError(
            f"{holds}, and {writer.path} has a run of no other model; name it with --model to edit it once more."
        ) from error
