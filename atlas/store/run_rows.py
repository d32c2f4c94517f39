"""One batch of a run's rows, checked and numbered before it is loaded; Arrow and numpy only."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from atlas import schema
from atlas.errors import StoreError

TABLES = ("probe", "probe_layer", "attribution")


def conformed(name: str, rows: pa.Table) -> pa.Table:
    """Return `rows` with the columns and types of table `name`; raises StoreError for others."""
    target = schema.arrow(name)
    if set(rows.column_names) != set(target.names):
        raise StoreError(
            f"Rows for table {name} have the columns {', '.join(rows.column_names) or 'none'}; "
            f"it takes {', '.join(target.names)}."
        )
    try:
        return rows.select(target.names).cast(target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise StoreError(f"Rows for table {name} do not fit its types: {error}; see atlas.schema.arrow.") from error


@dataclass(frozen=True, slots=True)
class RunRows:
    """The three tables of one batch of one run, conformed; scores sorted by prompt as probed, layer, neuron."""

    run: int
    probe: pa.Table
    probe_layer: pa.Table
    attribution: pa.Table

    @classmethod
    def of(cls, tables: Mapping[str, pa.Table]) -> "RunRows | None":
        """Return the batch of `tables`, None if it has no probe; raises StoreError for rows that do not fit."""
        if unknown := set(tables) - set(TABLES):
            raise StoreError(
                f"A batch holds {', '.join(TABLES)}, not {', '.join(sorted(unknown))}; use load for those."
            )
        probe, layers, scores = (conformed(n, tables.get(n, schema.arrow(n).empty_table())) for n in TABLES)
        runs = pc.unique(pa.chunked_array([t["run"].combine_chunks() for t in (probe, layers, scores)])).to_pylist()
        if not runs:
            return None
        if len(runs) > 1:
            raise StoreError(f"A batch belongs to one run, not to {len(runs)}; load each run's rows by themselves.")
        return cls(runs[0], probe, layers, scores)

    def missing(self, done: pa.Array, first: int) -> dict[str, pa.Table]:
        """Return the three tables without the prompts in `done`, with `place` counted from `first`.

        Raises StoreError for a key that comes twice and for rows without a probe.
        """
        probe = self.probe.filter(pc.invert(pc.is_in(self.probe["prompt"], done)))
        prompts = probe["prompt"].combine_chunks()
        if len(pc.unique(prompts)) != len(prompts):
            raise StoreError(f"A batch of run {self.run} holds a prompt twice; the batch was not loaded.")
        places = pa.array(np.arange(first, first + len(prompts), dtype=np.uint32))
        return {
            "probe": probe.add_column(0, "place", places),
            "probe_layer": self._placed("probe_layer", self.probe_layer, prompts, done, first),
            "attribution": self._placed("attribution", self.attribution, prompts, done, first),
        }

    def _placed(self, name: str, rows: pa.Table, prompts: pa.Array, done: pa.Array, first: int) -> pa.Table:
        """Return the rows of `prompts`, sorted and with their `place`; each prompt is in `prompts` or `done`."""
        index = pc.index_in(rows["prompt"], prompts)
        if index.null_count:
            rows, index = self._without_done(name, rows, index, done)
        rows, place = _in_order(rows, index.to_numpy())
        if not _strictly_rising(place, rows):
            raise StoreError(f"A batch of run {self.run} holds a row of {name} twice; the batch was not loaded.")
        return rows.add_column(0, "place", pa.array((place + first).astype(np.uint32)))

    def _without_done(
        self, name: str, rows: pa.Table, index: pa.ChunkedArray, done: pa.Array
    ) -> tuple[pa.Table, pa.ChunkedArray]:
        new = pc.is_valid(index)
        strangers = rows.filter(pc.invert(pc.or_(new, pc.is_in(rows["prompt"], done))))
        if strangers.num_rows:
            prompt = strangers["prompt"][0].as_py()
            raise StoreError(f"A batch of run {self.run} has rows of {name} for prompt {prompt}, but no probe of it.")
        return rows.filter(new), index.filter(new)


def _position(rows: pa.Table) -> np.ndarray:
    """Return one number a row that sorts by layer, then neuron."""
    layer = rows["layer"].to_numpy().astype(np.uint64) << np.uint64(32)
    neuron = rows["neuron"].to_numpy() if "neuron" in rows.column_names else np.uint64(0)
    return np.asarray(layer | neuron)


def _in_order(rows: pa.Table, index: np.ndarray) -> tuple[pa.Table, np.ndarray]:
    """Return rows and index sorted by index, layer and neuron; as they are if they are already."""
    if _strictly_rising(index, rows):
        return rows, index
    order = np.lexsort((_position(rows), index))
    return rows.take(pa.array(order)), index[order]


def _strictly_rising(index: np.ndarray, rows: pa.Table) -> bool:
    position = _position(rows)
    later = index[1:] > index[:-1]
    return bool(np.all(later | ((index[1:] == index[:-1]) & (position[1:] > position[:-1]))))
