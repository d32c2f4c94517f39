"""Edits as rows: the Arrow tables `edit` and `edit_outcome`. Never imports torch."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from atlas import schema
from atlas.ids import Neuron
from atlas.store.rows import table

if TYPE_CHECKING:
    from atlas.editing.files import EditRecord


def edit_row(
    record: "EditRecord",
    neurons: Sequence[Neuron],
    model: int,
    *,
    status: str,
    file: str,
    digest: str,
    fitted: Mapping[str, object],
) -> pa.Table:
    """Return the row of table `edit`; `fitted` says how the fit ended and joins the settings."""
    layers, indices = ([neuron[i] for neuron in neurons] for i in (0, 1))
    settings = json.dumps({**record.settings, **fitted}, sort_keys=True)
    what = (record.id, model, record.fact, record.run, record.object, list(record.languages), record.method)
    made = (digest, file, status, datetime.now(UTC).replace(tzinfo=None))
    return table("edit", [(*what, record.source, settings, layers, indices, *made)])


def outcome_rows(edit: int, outcomes: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return the rows of table `edit_outcome`."""
    rows = [{"edit": edit, **outcome} for outcome in outcomes]
    return pa.Table.from_pylist(rows, schema=schema.arrow("edit_outcome"))
