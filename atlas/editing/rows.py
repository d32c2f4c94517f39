"""Edits as rows: the Arrow tables `edit` and `edit_outcome`, and what becomes of edits. Never imports torch.

A model is saved, then the atlas notes what became of its edits. A command that was ended between the two goes on when
it is run again, as it finds its own folder.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from atlas import outputs, schema
from atlas.ids import Neuron
from atlas.store.rows import table

if TYPE_CHECKING:
    from atlas.editing.files import EditRecord
    from atlas.store import Writer
    from atlas.store.reader import Reader


def edit_path(folder: Path, edit: int) -> Path:
    """Return where the file of an edit is, in a folder of edits."""
    return folder / f"{edit}.safetensors"


def edit_row(
    record: "EditRecord",
    neurons: Sequence[Neuron],
    model: int,
    *,
    status: str,
    file: str,
    digest: str,
    how: Mapping[str, object],
) -> pa.Table:
    """Return the row of table `edit`; `how` says how it was made and joins the settings."""
    layers, indices = ([neuron[i] for neuron in neurons] for i in (0, 1))
    settings = json.dumps({**record.settings, **how}, sort_keys=True)
    what = (record.id, model, record.fact, record.run, record.object, list(record.languages), record.method)
    made = (digest, file, status, datetime.now(UTC).replace(tzinfo=None))
    return table("edit", [(*what, record.source, settings, layers, indices, *made)])


def outcome_rows(edit: int, outcomes: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return the rows of table `edit_outcome`."""
    rows = [{"edit": edit, **outcome} for outcome in outcomes]
    return schema.rows_of("edit_outcome", rows)


@dataclass(frozen=True, slots=True)
class Saved:
    """What a model's folder was saved for: edits, and the status that they have from then on, `applied` or `undone`."""

    edits: tuple[int, ...]
    status: str


def saved(folder: Path) -> Saved | None:
    """Return what a folder was saved for, None for one that was not, or that was changed since."""
    match outputs.noted(folder):
        case {"edits": [*edits], "status": str(status)} if all(isinstance(edit, int) for edit in edits):
            return Saved(tuple(edits), status)
        case _:
            return None


def is_noted(atlas: "Reader", what: Saved) -> bool:
    """Return whether the atlas has nothing left to note of these edits."""
    query = "SELECT 1 FROM edit WHERE list_contains(?::BIGINT[], edit) AND status <> ? LIMIT 1"
    return not atlas.sql(query, [list(what.edits), what.status]).num_rows


def note(writer: "Writer", what: Saved) -> None:
    """Give the edits the status that they have since their model was saved."""
    writer.sql("UPDATE edit SET status = ? WHERE list_contains(?::BIGINT[], edit)", [what.status, list(what.edits)])
