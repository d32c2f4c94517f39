"""The job of `atlas evaluate --planted`: every scorer on planted models, from attribution to the atlas's views."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import TYPE_CHECKING

import atlas
from atlas.jobs.identity import identity, versions
from atlas.jobs.progress import Progress, Silent

if TYPE_CHECKING:
    from atlas.attribution.settings import Method
    from atlas.facts import Prompt
    from atlas.models import LanguageModel
    from atlas.planted import Planted
    from atlas.planted.exam import Failure, Found, Row, Setting
    from atlas.store import Writer

Neuron = tuple[int, int]

TOP = 8
"""Knowledge neurons whose sets are knocked out: twice what the largest circuit has."""
ORDER = 3
"""Neurons of the largest set that is knocked out."""
TRIES = 4
"""Seeds tried for one model before the setting goes without it."""


@dataclass(frozen=True)
class Exam:
    """All marks, the models that could not be planted, and how long it took."""

    rows: Sequence["Row"]
    failures: Sequence["Failure"]
    seconds: float


def examine(
    settings: Iterable["Setting"],
    methods: Sequence["Method"],
    seeds: int = 2,
    progress: Progress | None = None,
) -> Exam:
    """Put `methods` to models planted in each of `settings`, `seeds` models each, and mark what they find.

    Knowledge neurons and LIKN are those of the definition `default`, DKN those of `strict`, all read from the views of
    an atlas made for each model and thrown away.
    """
    started, progress = monotonic(), progress or Silent()
    rows: list[Row] = []
    failures: list[Failure] = []
    cases = [(setting, seed) for setting in settings for seed in range(seeds)]
    progress.start(sum(setting.prompts for setting, _ in cases) * len(methods), 0)
    try:
        for setting, seed in cases:
            planted, used = _plant(setting, seed, failures)
            if planted is None:
                progress.advance(len(methods) * setting.prompts)
            else:
                rows += _sit(setting, used, planted, methods, progress)
    finally:
        progress.finish()
    return Exam(rows, failures, monotonic() - started)


def _plant(setting: "Setting", seed: int, failures: list["Failure"]) -> tuple["Planted | None", int]:
    """Return a model and the seed that it could be planted with; what failed on the way goes into `failures`."""
    from atlas.planted import PlantingError, plant, standard_circuits
    from atlas.planted.exam import Failure

    for used in range(seed * TRIES, (seed + 1) * TRIES):
        try:
            circuits = standard_circuits(setting.config, setting.facts, seed=used)
            return plant(setting.config, circuits, used), used
        except PlantingError as error:
            failures.append(Failure(setting.name, used, str(error)))
    return None, seed


def _sit(
    setting: "Setting", seed: int, planted: "Planted", methods: Sequence["Method"], progress: Progress
) -> Iterator["Row"]:
    """Yield the marks of every method on one model."""
    from atlas.planted.exam import Row, mark

    model = planted.language_model()
    with TemporaryDirectory() as folder, atlas.open(Path(folder) / "exam.duckdb", "w") as writer:
        runs = {_attribute(writer, model, planted, method, progress): method for method in methods}
        _knock_out(writer, model, planted, runs)
        found = _found(writer, runs)
    for run, method in runs.items():
        for (target, circuit), one in mark(planted.truth, found[run]).items():
            yield Row(
                family=setting.config.family,
                setting=setting.name,
                axis=setting.axis,
                background=setting.config.background,
                facts=setting.facts,
                layers=setting.config.layers,
                seed=seed,
                method=method,
                target=target,
                circuit=circuit,
                right=one.right,
                wrong=one.wrong,
                missed=one.missed,
            )


def _attribute(
    writer: "Writer", model: "LanguageModel", planted: "Planted", method: "Method", progress: Progress
) -> int:
    """Score all prompts with `method`, store the scores and return the run."""
    from atlas.attribution import Settings, attribute
    from atlas.attribution.rows import to_tables

    settings = Settings(method=method)
    prompts = list(planted.facts.prompts())
    writer.add_facts(planted.facts)
    writer.add_prompts(prompts)
    run = writer.start_run(
        model=writer.add_model(model.info.row()),
        method=method,
        settings=identity(settings, "float32"),
        seed=settings.seed,
        versions=versions(str(model.device)),
    )
    writer.load_batch(to_tables(run, attribute(model, prompts, settings), settings.floor))
    writer.finish_run(run)
    progress.advance(len(prompts))
    return run


def _knock_out(writer: "Writer", model: "LanguageModel", planted: "Planted", runs: Iterable[int]) -> None:
    """Knock out the best knowledge neurons of every run, and store what that costs."""
    import pyarrow as pa

    from atlas.interventions.knockout_search import Known, Limits, Search

    limits = Limits(top=TOP, max_order=ORDER, control=False)
    candidates = _candidates(writer)
    batches: dict[tuple[int, str], list[Prompt]] = {}
    for prompt in planted.facts.prompts():
        batches.setdefault((prompt.fact.id, prompt.language), []).append(prompt)
    for run in runs:
        own = candidates.get(run, {})
        search = Search(model, run, own, limits, lambda _: Known())
        tables = [table for key, batch in batches.items() if key in own for table in search.measure(batch)]
        if tables:
            writer.load("knockout", pa.concat_tables(tables))


def _candidates(writer: "Writer") -> dict[int, dict[tuple[int, str], list[Neuron]]]:
    """Return the knowledge neurons of each run, fact and language, best first."""
    found: dict[int, dict[tuple[int, str], list[Neuron]]] = {}
    for row in writer.sql(_KNOWLEDGE).to_pylist():
        own = found.setdefault(row["run"], {}).setdefault((row["fact"], row["language"]), [])
        own.append((row["layer"], row["neuron"]))
    return found


def _found(writer: "Writer", runs: Iterable[int]) -> Mapping[int, "Found"]:
    """Return what each run leads to, as the views say."""
    from atlas.planted.exam import Found

    independent: dict[int, dict[int, set[Neuron]]] = {}
    for row in writer.sql(_INDEPENDENT).to_pylist():
        independent.setdefault(row["run"], {}).setdefault(row["fact"], set()).add((row["layer"], row["neuron"]))
    degenerate: dict[int, dict[tuple[int, str], set[frozenset[Neuron]]]] = {}
    for row in writer.sql(_DEGENERATE).to_pylist():
        own = degenerate.setdefault(row["run"], {}).setdefault((row["fact"], row["language"]), set())
        own.add(frozenset(zip(row["layers"], row["neurons"], strict=True)))
    knowledge = _candidates(writer)
    return {run: Found(knowledge.get(run, {}), independent.get(run, {}), degenerate.get(run, {})) for run in runs}


_KNOWLEDGE = """
SELECT run, fact, language, layer, neuron
FROM knowledge_neuron
WHERE definition = 'default'
ORDER BY run, fact, language, score DESC, layer, neuron
"""

_INDEPENDENT = "SELECT run, fact, layer, neuron FROM likn WHERE definition = 'default'"

_DEGENERATE = "SELECT run, fact, language, layers, neurons FROM dkn WHERE definition = 'strict'"
