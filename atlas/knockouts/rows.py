"""Knock-outs as rows of the table `knockout`."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from atlas import schema
from atlas.engine.cuts import NeuronSet
from atlas.knockouts.sets import set_id


@dataclass(frozen=True, slots=True)
class Trial:
    """A set to be tried; `twin` is, for a control, the set whose size and layers it has."""

    neurons: NeuronSet
    twin: NeuronSet | None = None

    @property
    def control(self) -> bool:
        """True for random sets."""
        return self.twin is not None


def to_table(
    run: int,
    prompt: int,
    before: float,
    measured: Sequence[tuple[Trial, float]],
    replace: str = "zero",
    other: int | None = None,
    pool: int | None = None,
) -> pa.Table:
    """Return one prompt's rows: each trial with the probability after its neurons were cut, that is became `replace`.

    `other` is the fact whose values they took, `pool` the prompts whose mean.
    """
    trials = [trial for trial, _ in measured]
    columns = {
        "run": [run] * len(trials),
        "prompt": [prompt] * len(trials),
        "set": [set_id(trial.neurons) for trial in trials],
        "control": [trial.control for trial in trials],
        "size": [len(trial.neurons) for trial in trials],
        "layers": [[layer for layer, _ in trial.neurons] for trial in trials],
        "neurons": [[neuron for _, neuron in trial.neurons] for trial in trials],
        "before": [before] * len(trials),
        "after": [after for _, after in measured],
        "twin": [None if trial.twin is None else set_id(trial.twin) for trial in trials],
        "replace": [replace] * len(trials),
        "other": [other] * len(trials),
        "pool": [pool] * len(trials),
    }
    return pa.table(columns, schema=schema.arrow("knockout"))
