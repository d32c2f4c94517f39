"""The job of `atlas exam`: every scorer on planted models, from attribution to the atlas's views."""

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.util import Finalize
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import TYPE_CHECKING, Any

import atlas
from atlas.ids import Neuron
from atlas.running.progress import Progress
from atlas.running.scores import fill_run
from atlas.store.stored import neuron_sets

if TYPE_CHECKING:
    from atlas.exam import Failure, Found, Mark, Row, Setting, Swept
    from atlas.models import LanguageModel, Position
    from atlas.planted import Planted
    from atlas.store import Writer

    Case = tuple[Setting, int, tuple[str, ...]]
    Marks = tuple[list[Row], list[Swept], list[Failure]]


LEAST = 0.01
"""Share of the answer's probability that a neuron must carry on the axis `position`: where a fact has no neuron at all,
a threshold relative to the largest score takes noise for neurons."""
TRIES = 4
"""Seeds tried for one model before the setting goes without it."""


@dataclass(frozen=True)
class Exam:
    """All marks, the models that could not be planted, how long it took, and the marks at other thresholds."""

    rows: Sequence["Row"]
    failures: Sequence["Failure"]
    seconds: float
    points: Sequence["Swept"] = ()


def examine(
    settings: Iterable["Setting"],
    methods: Sequence[str],
    seeds: int = 2,
    progress: Progress | None = None,
    workers: int = 1,
) -> Exam:
    """Put `methods` to models planted in each of `settings`, `seeds` models each, and mark what they find.

    Knowledge neurons and LIKN are those of the definition `default`, DKN those of `strict`, all read from the views of
    an atlas made for each model and thrown away; on the axis `position` they ask for
    LEAST too. `workers` processes share the models out.
    """
    started, progress = monotonic(), progress or Progress()
    cases = [(setting, seed, tuple(methods)) for setting in settings for seed in range(seeds)]
    rows: list[Row] = []
    points: list[Swept] = []
    failures: list[Failure] = []
    with progress.counting(sum(map(_prompts, cases)), "prompts"):
        for case, (marked, swept, failed) in zip(cases, _all(cases, workers), strict=True):
            rows += marked
            points += swept
            failures += failed
            progress.advance(_prompts(case))
    return Exam(rows, failures, monotonic() - started, points)


def _prompts(case: "Case") -> int:
    return case[0].prompts * len(case[2])


def _all(cases: Sequence["Case"], workers: int) -> Iterator["Marks"]:
    """Yield the marks of every case, in order."""
    if workers == 1:
        yield from map(_examine_one, cases)
        return
    # A process that DuckDB and torch have run threads in must not be forked.
    spawn = get_context("spawn")
    with TemporaryDirectory() as folder, ProcessPoolExecutor(workers, spawn, _prepare_worker, (folder,)) as pool:
        asked = [pool.submit(_examine_one, case) for case in cases]
        try:
            yield from (each.result() for each in asked)
        except BaseException:
            # Not cancelled, as `map` would: the pool fails at what is cancelled where a signal ended its workers too.
            for worker in list(pool._processes.values()):
                worker.kill()
            raise


def _prepare_worker(folder: str) -> None:
    import torch

    torch.set_num_threads(1)
    tempfile.tempdir = folder  # which goes with all that is in it, however a worker ends
    # DuckDB takes a spawned process for an interactive one and writes progress, where only results belong.
    os.dup2(2, 1)
    # torch and DuckDB's bindings report each other's objects as leaks when the interpreter is taken down.
    Finalize(None, os._exit, args=(0,), exitpriority=-1)


def _examine_one(case: "Case") -> "Marks":
    """Plant one model and mark every method on it; no marks if it cannot be planted."""
    setting, seed, methods = case
    failures: list[Failure] = []
    planted, used = _plant(setting, seed, failures)
    rows, points = ([], []) if planted is None else _sit(setting, used, planted, methods)
    return rows, points, failures


def _plant(setting: "Setting", seed: int, failures: list["Failure"]) -> tuple["Planted | None", int]:
    """Return a model and the seed that it could be planted with; what failed on the way goes into `failures`."""
    from atlas.exam import Failure
    from atlas.planted import PlantingError, plant, recall_circuits, standard_circuits

    for used in range(seed * TRIES, (seed + 1) * TRIES):
        try:
            circuits = (
                recall_circuits(setting.config, setting.facts, seed=used)
                if setting.axis == "position"
                else standard_circuits(
                    setting.config,
                    setting.facts,
                    seed=used,
                    attention=setting.attention,
                    suppressors=setting.suppressors,
                    several=setting.several,
                    pairs=setting.pairs,
                )
            )
            return plant(setting.config, circuits, used), used
        except PlantingError as error:
            failures.append(Failure(setting.name, used, str(error)))
    return None, seed


def _sit(setting: "Setting", seed: int, planted: "Planted", methods: Sequence[str]) -> "tuple[list[Row], list[Swept]]":
    """Return the marks of every method on one model, by the definitions and at other thresholds."""
    import pyarrow as pa

    from atlas.exam import mark
    from atlas.exam.knockouts import knock_out_all
    from atlas.exam.sweeping import Swept, swept

    model, name = planted.language_model(), (setting.config.family, setting.name, seed)
    with TemporaryDirectory() as folder, atlas.open(Path(folder) / "exam.duckdb", "w") as writer:
        if setting.axis == "position":
            for definition in ("default", "strict"):
                writer.define(definition, least=LEAST, strict=definition == "strict")
        runs = {_attribute(writer, model, planted, method, setting.at): method for method in methods}
        tables = knock_out_all(model, list(planted.facts.prompts()), _by_run(writer, _KNOWLEDGE), setting.at)
        if tables:
            writer.load("knockout", pa.concat_tables(tables))
        found = _found(writer, runs)
        points = [
            Swept(*name, method, sweep, threshold, one.right, one.wrong, one.missed)
            for run, method in runs.items()
            for sweep, threshold, one in swept(writer, run, planted.truth_at(setting.at))
        ]
    marks = {method: mark(planted.truth_at(setting.at), found[run]) for run, method in runs.items()}
    return [_row(setting, seed, method, *key, one) for method, own in marks.items() for key, one in own.items()], points


def _row(setting: "Setting", seed: int, method: str, target: str, circuit: str, one: "Mark") -> "Row":
    from atlas.exam import Row

    config = setting.config
    place = (config.family, setting.name, setting.axis, config.background, setting.facts, config.layers, seed)
    return Row(*place, method, target, circuit, one.right, one.wrong, one.missed)


def _attribute(writer: "Writer", model: "LanguageModel", planted: "Planted", method: str, at: "Position") -> int:
    """Score all prompts with `method` `at` a position, store the scores and return the run."""
    from atlas.attribution import Settings

    writer.add_facts(planted.facts)
    return fill_run(writer, model, [list(planted.facts.prompts())], Settings(method=method, at=at))


def _by_run(writer: "Writer", query: str) -> dict[int, dict[Any, list[Neuron]]]:
    """Return the neurons of a query by run, and by what else stands before them, in its order."""
    found: dict[int, dict[Any, list[Neuron]]] = {}
    for (run, *key), neurons in neuron_sets(writer, query).items():
        found.setdefault(run, {})[tuple(key)] = neurons
    return found


def _found(writer: "Writer", runs: Iterable[int]) -> Mapping[int, "Found"]:
    """Return what each run leads to, as the views say."""
    from atlas.exam import Found

    degenerate: dict[int, dict[tuple[int, str], set[frozenset[Neuron]]]] = {}
    for row in writer.sql(_DEGENERATE).to_pylist():
        own = degenerate.setdefault(row["run"], {}).setdefault((row["fact"], row["language"]), set())
        own.add(frozenset(zip(row["layers"], row["neurons"], strict=True)))
    knowledge, independent, suppressing = (_by_run(writer, q) for q in (_KNOWLEDGE, _INDEPENDENT, _SUPPRESSING))
    return {
        run: Found(
            knowledge.get(run, {}),
            {fact: set(neurons) for (fact,), neurons in independent.get(run, {}).items()},
            degenerate.get(run, {}),
            {key: set(neurons) for key, neurons in suppressing.get(run, {}).items()},
        )
        for run in runs
    }


_KNOWLEDGE = """
SELECT run, fact, language, layer, neuron
FROM knowledge_neuron_all
WHERE definition = 'default'
ORDER BY run, fact, language, score DESC, layer, neuron
"""

_INDEPENDENT = "SELECT run, fact, layer, neuron FROM likn_all WHERE definition = 'default'"

_SUPPRESSING = "SELECT run, fact, language, layer, neuron FROM suppressing_neuron_all WHERE definition = 'default'"

_DEGENERATE = "SELECT run, fact, language, layers, neurons FROM dkn_all WHERE definition = 'strict'"
