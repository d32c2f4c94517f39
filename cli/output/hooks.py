"""Neurons that a lookup found, as another package is told of them."""

import json
from typing import TYPE_CHECKING

from atlas.errors import UsageError
from atlas.ids import Package
from atlas.outputs import whole_file

from ..diagnostics import note
from .emit import Destination
from .formats import Format

if TYPE_CHECKING:
    import pyarrow as pa

    from atlas import Atlas


def check_hooks(to: Destination) -> None:
    """Raise UsageError where something else than JSON is asked for."""
    if to.format not in (Format.table, Format.json) or to.columns is not None or to.every:
        raise UsageError("--hooks writes JSON of its own: leave --format and --columns out, or name a .json file.")


def write_hooks(atlas: "Atlas", found: "pa.Table", package: Package, limit: int, to: Destination) -> None:
    """Write where the neurons of the first `limit` rows are, 0 for all, as `package` names them.

    Raises UsageError for no neurons, for those of several models, and as `atlas.models.families.hooks` does.
    """
    from atlas.models.families import hooks

    if limit and found.num_rows > limit:
        found = found.slice(0, limit)
        note(f"the first {limit:,} rows; --limit 0 gives them all")
    models = atlas.sql(_MODELS, [found["run"].unique().to_pylist()]).to_pylist()
    if len(models) != 1:
        reason = "Neurons of several models or positions fit; name one with --run." if models else "No neuron fits."
        raise UsageError(f"{reason} Nothing was written.")
    neurons = zip(found["layer"].to_pylist(), found["neuron"].to_pylist(), strict=True)
    text = json.dumps({**models[0], **hooks(package, models[0]["family"], neurons)}, ensure_ascii=False, indent=2)
    if to.output is None:
        print(text)
        return
    with whole_file(to.output, "--output") as part:
        part.write_text(text + "\n", "utf-8")


_MODELS = """
SELECT DISTINCT model.name AS model, family, digest, coalesce(settings ->> 'at', 'query') AS position
FROM run JOIN model USING (model) WHERE list_contains(?::BIGINT[], run)
"""
