"""What `least` and `known` do to the knowledge neurons of planted models: precision and recall over all circuits.

    python -m benchmarks.least [--family bert] [--methods amig,kn] [--kinds] [--against]

The base setting of the exam, seed 0; `own` is the scorer's own `least`. With `--kinds` a row for each kind of circuit
at 0.00006 and at the scorer's own, with `--against` how large a prompt's largest scores are: for the answer, as a share
of its probability, and against it, as a multiple of those for it; the least and the most over the prompts of a kind.
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

LEASTS = (None, 0.0, 1e-5, 4e-5, 6e-5, 6.5e-5, 7e-5, 7.5e-5, 8e-5, 5e-4)


def table(family: str, methods: list[str], what: str = "leasts") -> Table:
    """Plant one model, score it with every method and return marks at every `least`, or those `kinds` and `against`."""
    setting = base_setting(family)  # type: ignore[arg-type]  # checked by argparse
    planted = plant(setting.config, standard_circuits(setting.config, setting.facts, seed=0), 0)
    model, prompts = planted.language_model(), list(planted.facts.prompts())
    with TemporaryDirectory() as folder, atlas.open(Path(folder) / "least.duckdb", "w") as writer:
        writer.add_facts(planted.facts)
        runs = {method: fill_run(writer, model, [prompts], Settings(method=method)) for method in methods}
        if what != "leasts":
            return (_by_kind if what == "kinds" else _against)(writer, planted.truth, runs)
        rows = [
            (method, _named(least), str(known).lower(), one.precision, one.recall, one.f1)
            for method, run in runs.items()
            for least in LEASTS
            for known in (False, True)
            for one in [_marked(writer, planted.truth, run, least, known=known)]
        ]
    return Table(f"Knowledge neurons, {family}", ("method", "least", "known", "precision", "recall", "F1"), rows)


def _by_kind(opened: atlas.Atlas, truth: Truth, runs: dict[str, int]) -> Table:
    rows = [
        (method, _named(least), kind, one.right, one.wrong, one.missed)
        for method, run in runs.items()
        for least in (6e-5, None)
        for kind, one in _marks(opened, truth, run, least, known=False).items()
    ]
    return Table("Knowledge neurons by circuit", ("method", "least", "circuit", "right", "wrong", "missed"), rows)


def _against(opened: atlas.Atlas, truth: Truth, runs: dict[str, int]) -> Table:
    rows = []
    for method, run in runs.items():
        of: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for row in opened.sql(_LARGEST, {"run": run}).to_pylist():
            if (row["fact"], row["language"]) in truth.knowledge:
                of[truth.kinds[row["fact"]]].append((row["largest"], row["against"]))
        for kind, found in sorted(of.items()):
            largest, against = zip(*found, strict=True)
            rows.append((method, kind, min(largest), max(largest), min(against), max(against)))
    columns = ("method", "circuit", "largest, least", "largest, most", "against, least", "against, most")
    return Table("Largest scores of a prompt", columns, rows)


_LARGEST = """
SELECT
    prompt.fact, prompt.language, any_value(probe.max_score / probe.mean_probability) AS largest,
    greatest(0, max(-a.score)) / any_value(probe.max_score) AS against
FROM attribution AS a
JOIN probe ON probe.run = a.run AND probe.prompt = a.prompt
JOIN prompt ON prompt.prompt = a.prompt
WHERE a.run = $run
GROUP BY a.prompt, prompt.fact, prompt.language
"""


def _named(least: float | None) -> float | str:
    return "own" if least is None else least


def _marked(opened: atlas.Atlas, truth: Truth, run: int, least: float | None, *, known: bool) -> Mark:
    return sum(_marks(opened, truth, run, least, known=known).values(), Mark())


def _marks(opened: atlas.Atlas, truth: Truth, run: int, least: float | None, *, known: bool) -> dict[str, Mark]:
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
    asked = parser.add_mutually_exclusive_group()
    asked.add_argument("--kinds", dest="what", action="store_const", const="kinds", help="by kind of circuit")
    asked.add_argument("--against", dest="what", action="store_const", const="against", help="largest scores by kind")
    options = parser.parse_args()
    print(table(options.family, options.methods.split(","), options.what or "leasts").text())


if __name__ == "__main__":
    main()
