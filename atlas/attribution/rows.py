"""Attribution records as rows: the Arrow tables `probe`, `probe_layer` and `attribution`."""

import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from atlas import schema
from atlas.attribution.results import PromptAttribution


def to_tables(run: int, results: Sequence[PromptAttribution], floor: float) -> dict[str, pa.Table]:
    """Return the rows of one batch, sorted by prompt, layer and neuron.

    A neuron is stored when its score is not zero and, in absolute value, at least `floor` times the prompt's largest
    (METHOD 2); nothing is where no score is positive.
    """
    ordered = sorted(results, key=lambda result: result.prompt)
    return {
        "probe": _probes(run, ordered),
        "probe_layer": _layers(run, ordered),
        "attribution": _scores(run, ordered, floor),
    }


def _probes(run: int, results: Sequence[PromptAttribution]) -> pa.Table:
    rows = [
        {
            "run": run,
            "prompt": r.prompt,
            "status": r.status,
            "probability": r.probability,
            "mean_probability": r.mean_probability,
            "rank": r.rank,
            "prediction": r.prediction,
            "tokens": json.dumps(r.tokens, ensure_ascii=False),
            "max_score": r.max_score,
            "prediction_text": r.prediction_text,
            "unknown_tokens": r.unknown,
            "argmax": r.argmax,
        }
        for r in results
    ]
    return schema.rows_of("probe", rows)


def _layers(run: int, results: Sequence[PromptAttribution]) -> pa.Table:
    parts = [(r.prompt, r.layers) for r in results if r.layers is not None]
    columns: dict[str, list[np.ndarray]] = {field.name: [] for field in schema.arrow("probe_layer")}
    for prompt, record in parts:
        count = len(record.nodes)
        columns["run"].append(np.full(count, run))
        columns["prompt"].append(np.full(count, prompt))
        columns["layer"].append(np.arange(count))
        for name in ("score_sum", "f", "f_baseline", "completeness_error", "score_error", "nodes"):
            columns[name].append(getattr(record, name))
    return _table("probe_layer", columns)


def _scores(run: int, results: Sequence[PromptAttribution], floor: float) -> pa.Table:
    columns: dict[str, list[np.ndarray]] = {field.name: [] for field in schema.arrow("attribution")}
    for r in results:
        if r.scores is None:
            continue
        largest = r.scores.max()
        layer, neuron = np.nonzero((r.scores != 0) & (largest > 0) & (np.abs(r.scores) >= np.float32(floor) * largest))
        columns["run"].append(np.full(len(layer), run))
        columns["prompt"].append(np.full(len(layer), r.prompt))
        columns["layer"].append(layer)
        columns["neuron"].append(neuron)
        columns["score"].append(r.scores[layer, neuron])
        rounds = np.zeros(len(layer)) if r.rounds is None else r.rounds[layer, neuron]
        columns["round"].append(np.where(rounds == 0, np.nan, rounds))
    return _table("attribution", columns)


def _table(name: str, columns: dict[str, list[np.ndarray]]) -> pa.Table:
    """Join the parts of each column; NaN becomes NULL, as a scorer without a path has no value there."""
    target = schema.arrow(name)
    arrays = [
        pa.array(
            np.concatenate(columns[field.name]) if columns[field.name] else [],
            type=field.type,
            from_pandas=True,
        )
        for field in target
    ]
    return pa.Table.from_arrays(arrays, schema=target)
