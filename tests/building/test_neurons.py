"""What is stored of neurons once a run is whole."""

from dataclasses import replace
from types import SimpleNamespace

import pyarrow as pa
import pytest
from store.world import Probed, World, add_facts, batch

import atlas
from atlas import schema
from atlas.building.neurons import describe_neurons, name_neurons
from atlas.engine import replacing
from atlas.ids import stable_id

MODEL = stable_id("model", "made")
WORLD = World(
    ("P1",), tuple(Probed(0, "en", number, "ok", tuple(float(n == number) for n in range(12))) for number in range(3))
)
"""A fact with a neuron of its own in each of its prompts."""


class Worker:
    """Says in which prompts it reads neurons, in place of what they are there."""

    workbench = SimpleNamespace(info=SimpleNamespace(id=MODEL))

    def activations(self, prompts, neurons):
        row = dict.fromkeys(("mean", "deviation", "q05", "q25", "q50", "q75", "q95"), float(prompts[0].id % 1000))
        row |= {"model": MODEL, "language": prompts[0].language, "position": "query", "prompts": len(prompts)}
        rows = [{**row, "layer": layer, "neuron": neuron} for layer, neuron in neurons]
        return pa.Table.from_pylist(rows, schema=schema.arrow("neuron_activation"))

    def tokens(self, layer, neurons):
        named = {"direction": "promotes", "rank": 1, "token": "a", "text": "a", "score": 1.0}
        rows = [{"model": MODEL, "layer": layer, "neuron": neuron, **named} for neuron in neurons]
        return schema.rows_of("neuron_token", rows)


def _read(path, *parts, world=WORLD):
    """Return what is stored after the probes of `world` were loaded in parts, the neurons described after each."""
    with atlas.open(path, "w") as writer:
        add_facts(writer, [world])
        run = writer.start_run(model=MODEL, method="amig", settings={"floor": 0.05}, seed=0, versions={})
        for part in parts:
            added = {(0, world.probes[number].language) for number in part}
            writer.load_batch(batch(world, run, part))
            describe_neurons(writer, Worker(), run, "query", print, added)
        return writer.sql("FROM neuron_activation ORDER BY ALL").to_pylist()


@pytest.mark.slow
def test_neurons_are_of_the_prompts_that_the_run_has_however_many_a_mean_takes(tmp_path, monkeypatch):
    monkeypatch.setattr(replacing, "MEAN_PROMPTS", 1)
    at_once = _read(tmp_path / "once.duckdb", range(3))
    assert [row["prompts"] for row in at_once] == [1, 1, 1]
    for first in (0, 1):
        assert _read(tmp_path / f"{first}.duckdb", [first], range(3)) == at_once


def test_neurons_are_of_the_prompts_that_the_run_has_where_later_ones_bring_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(replacing, "MEAN_PROMPTS", 1)
    same = World(WORLD.relations, tuple(replace(probe, scores=WORLD.probes[0].scores) for probe in WORLD.probes))
    (at_once,) = _read(tmp_path / "once.duckdb", range(3), world=same)
    for last in range(3):
        first = [number for number in range(3) if number != last]
        assert _read(tmp_path / f"{last}.duckdb", first, range(3), world=same) == [at_once]


def test_neurons_that_more_templates_make_no_knowledge_neurons_keep_no_tokens(tmp_path):
    with atlas.open(tmp_path / "a.duckdb", "w") as writer:
        add_facts(writer, [WORLD])
        run = writer.start_run(model=MODEL, method="amig", settings={"floor": 0.05}, seed=0, versions={})
        for part, named in (([0], 1), (range(3), 0)):
            writer.load_batch(batch(WORLD, run, part))
            name_neurons(writer, Worker(), run)
            assert writer.one("SELECT count(*) FROM neuron_token") == named
