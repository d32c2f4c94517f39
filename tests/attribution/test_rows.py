"""Records as Arrow rows."""

import json

import numpy as np
import pytest
from tiny import PROMPTS, make_prompt

from atlas import schema
from atlas.attribution import PromptAttribution, Settings, attribute
from atlas.attribution.rows import to_tables


def test_rows_have_the_schema_and_the_scores(tiny):
    results = attribute(tiny, PROMPTS, Settings(method="kn"))
    tables = to_tables(7, results, floor=0.05)
    for name, table in tables.items():
        assert table.schema.equals(schema.arrow(name))
        assert set(table["run"].to_pylist()) == {7}
    by_prompt = {result.prompt: result for result in results}
    stored = tables["attribution"].to_pylist()
    for row in stored:
        assert row["score"] == by_prompt[row["prompt"]].scores[row["layer"], row["neuron"]]
    wanted = sum(int((np.abs(r.scores) >= np.float32(0.05) * r.scores.max()).sum()) for r in results)
    assert len(stored) == wanted
    assert any(row["score"] < 0 for row in stored)
    keys = [(row["prompt"], row["layer"], row["neuron"]) for row in stored]
    assert keys == sorted(keys)
    sums = tables["probe_layer"].to_pylist()
    assert len(sums) == len(PROMPTS) * tiny.info.layers


def test_what_reaches_the_floor_is_stored_where_a_score_is_positive():
    """Not what is zero, though a floor of 0 asks for all, nor of a prompt whose scores are all negative or zero."""
    scores = [[[0.5, 0.025, -0.025, 0.024, -0.024, 0]], [[-0.5, -0.1, 0, 0, 0, 0]], [[-0.5] * 6], [[0] * 6]]
    results = [PromptAttribution(i, "ok", scores=np.array(own, np.float32)) for i, own in enumerate(scores)]
    for floor, stored in ((0.05, 3), (0, 5)):
        rows = to_tables(1, results, floor)["attribution"].to_pylist()
        assert [(row["prompt"], row["neuron"]) for row in rows] == [(0, neuron) for neuron in range(stored)]


def test_unusable_prompts_have_a_row_without_numbers(tiny):
    prompts = [make_prompt("[Y] is the capital of [X]", "France", "Paris"), make_prompt("[X] : [Y]", "France", "")]
    results = attribute(tiny, prompts)
    rows = {row["prompt"]: row for row in to_tables(1, results, 0.05)["probe"].to_pylist()}
    first = "ok" if tiny.kind == "masked" else "not_final"
    assert rows[prompts[0].id]["status"] == first
    assert rows[prompts[1].id]["status"] == "unspellable"
    assert rows[prompts[1].id]["probability"] is None
    assert json.loads(rows[prompts[1].id]["tokens"]) == []


@pytest.mark.quick(2)
@pytest.mark.parametrize("method", ["greedy", "activation"])
def test_a_scorer_without_a_path_stores_no_completeness(tiny, method):
    table = to_tables(1, attribute(tiny, PROMPTS[:1], Settings(method=method)), 0.05)["probe_layer"]
    assert table["completeness_error"].null_count == table.num_rows
    assert table["f_baseline"].null_count == table.num_rows
    assert table["f"].null_count == 0
