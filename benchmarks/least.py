"""What `least` and `known` do to the knowledge neurons of planted models: precision and recall over all circuits.

    python -m benchmarks.least [--family bert] [--methods amig,kn] [--kinds]

The base setting of the exam, seed 0; with `--kinds` a row for each kind of circuit at the `least` of `amig`.
"""

import argparse
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

import atlas
from atlas.attribution import Settings
from atlas.exam.grid import base_setting
from atlas.exam.marking import Found, Mark, mark
from atlas.ids import Neuron
from atlas.planted import plant, standard_circuits
from atlas.planted.truth import Truth
from atlas.running.scores import fill_run
from benchmarks.tables import Table

LEASTS = (0.0, 1e-5, 4e-5, 6e-5, 6.5e-5, 7e-5, 7.5e-5, 8e-5, 5e-4)


def table(family: str, methods: list[str], *, kinds: bool = False) -> Table:
    """Plant one model, score it with every method and return the marks at every `least`."""
    setting = base_setting(family)  # type: ignore[arg-type]  # checked by argparse
    planted = plant(setting.config, standard_circuits(setting.config, setting.facts, seed=0), 0)
    model, prompts = planted.language_model(), list(planted.facts.prompts())
    with TemporaryDirectory() as folder, atlas.open(Path(folder) / "least.duckdb", "w") as writer:
        writer.add_facts(planted.facts)
        runs = {method: fill_run(writer, model, [prompts], Settings(method=method)) for method in methods}
        if kinds:
            return _by_kind(writer, planted.truth, runs)
        rows = [
            (method, least, str(known).lower(), one.precision, one.recall, one.f1)
            for method, run in runs.items()
            for least in LEASTS
            for known in (False, True)
            for one in [_marked(writer, planted.truth, run, least, known=known)]
        ]
    return Table(f"Knowledge neurons, {family}", ("method", "least", "known", "precision", "recall", "F1"), rows)


def _by_kind(opened: atlas.Atlas, truth: Truth, runs: dict[str, int]) -> Table:
    rows = [
        (method, kind, one.right, one.wrong, one.missed)
        for method, run in runs.items()
        for kind, one in _marks(opened, truth, run, 6e-5, known=False).items()
    ]
    return Table("Knowledge neurons by circuit", ("method", "circuit", "right", "wrong", "missed"), rows)


def _marked(opened: atlas.Atlas, truth: Truth, run: int, least: float, *, known: bool) -> Mark:
    return sum(_marks(opened, truth, run, least, known=known).values(), Mark())


def _marks(opened: atlas.Atlas, truth: Truth, run: int, least: float, *, known: bool) -> dict[str, Mark]:
    found: dict[tuple[int, str], set[Neuron]] = defaultdict(set)
    query = "FROM knowledge_neuron_at(least := $least, known := $known) WHERE run = $run"
    for row in opened.sql(query, {"least": least, "known": known, "run": run}).to_pylist():
        found[row["fact"], row["language"]].add((row["layer"], row["neuron"]))
    marks = mark(truth, Found(knowledge=found))
    return {kind: one for (target, kind), one in marks.items() if target == "KN"}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", choices=("bert", "gpt2"), default="bert")
    parser.add_argument("--methods", default="amig")
    parser.add_argument("--kinds", action="store_true", help="by kind of circuit")
    options = parser.parse_args()
    print(table(options.family, options.methods.split(","), kinds=options.kinds).text())


if __name__ == "__main__":
    main()
