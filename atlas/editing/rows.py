"""Edits as rows: the Arrow tables `edit` and `edit_outcome`. Never imports torch."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from atlas import schema
from atlas.ids import Neuron

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
    row = {
        "edit": record.id,
        "model": model,
        "fact": record.fact,
        "run": record.run,
        "object": record.object,
        "languages": list(record.languages),
        "method": record.method,
        "source": record.source,
        "settings": json.dumps({**record.settings, **fitted}, sort_keys=True),
        "layers": [layer for layer, _ in neurons],
        "neurons": [neuron for _, neuron in neurons],
        "digest": digest,
        "file": file,
        "status": status,
        "created": datetime.now(UTC).replace(tzinfo=None),
    }
    return pa.Table.from_pylist([row], schema=schema.arrow("edit"))


def outcome_rows(edit: int, outcomes: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return the rows of table `edit_outcome`."""
    rows = [{"edit": edit, **outcome} for outcome in outcomes]
    return pa.Table.from_pylist(rows, schema=schema.arrow("edit_outcome"))
