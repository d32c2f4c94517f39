"""What the atlas finds where there is nothing, and whether it finds what is there (docs/evidence.md).

    python -m benchmarks.evidence [--seeds 10] [--models demo-mbert,demo-mgpt] [--planted 3]

Each model, the model asked for exchanged labels (in every language the names of another fact of the relation), and its
untrained twins answer the same 60 facts under the default settings, each in an atlas of its own. Planted models hold
nothing but independent circuits. Every row is told on stderr as it is found.
"""

import argparse
import random
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import atlas
from atlas.attribution import Settings
from atlas.building.job import SAMPLE
from atlas.engine.label_tokens import label_tokens
from atlas.facts import Fact, FactSet, read
from atlas.models import LanguageModel, load_model
from atlas.models.twin import untrained
from atlas.planted import Circuit, PlantConfig, plant
from atlas.running.scores import fill_run
from benchmarks.tables import Cell, Table

CASES = (
    ("all", "min_languages := NULL", False),
    ("2, across scripts", "min_languages := 2", True),
    ("2", "min_languages := 2", False),
    ("all, no least", "min_languages := NULL, least := 0", False),
    ("2, across scripts, no least", "min_languages := 2, least := 0", True),
    ("2, no least", "min_languages := 2, least := 0", False),
)
"""Languages that a LIKN must be found in, thresholds, and whether across scripts; the definition is `default` else."""
COLUMNS = ("facts", *(name for name, _, _ in CASES))
GROUP = 64


def exchanged(facts: FactSet, seed: int = 0) -> FactSet:
    """Return facts that have in every language the names of another fact of the relation, drawn anew in each."""
    draw, found = random.Random(seed), []
    for relation in sorted({fact.relation for fact in facts.facts}):
        own = [fact for fact in facts.facts if fact.relation == relation]
        languages = sorted(set.intersection(*(set(fact.labels) for fact in own)))
        lent = {code: draw.sample(own, len(own)) for code in languages}
        for place, fact in enumerate(own):
            labels = {code: lent[code][place].labels[code] for code in languages}
            found.append(Fact(relation, f"exchanged {fact.subject}", fact.object, labels))
    return replace(facts, facts=found)


def untrained_table(names: Sequence[str], seeds: int) -> Table:
    """Return, by model, how many facts each case calls significant."""
    facts, models = read("bundled", limit=SAMPLE), [load_model(name) for name in names]
    rows = [_row(model.info.name, "exchanged", _significant(model, exchanged(facts))) for model in models]
    for seed in range(seeds):
        for twin in (untrained(model, seed) for model in models):
            rows.append(_row(twin.info.name, "own", _significant(twin, facts)))
    rows += [_row(model.info.name, "own", _significant(model, facts)) for model in models]
    return Table(
        "Facts with q < 0.05, by the relation's facts / others' / p_even < 0.05 / 60",
        ("model", "labels", *COLUMNS),
        rows,
    )


def planted_table(seeds: int) -> Table:
    """Return how many of the facts planted as independent circuits are called significant."""
    rows = []
    for family in ("bert", "gpt2"):
        config = PlantConfig(family=family)
        for seed in range(seeds):
            planted = plant(config, [Circuit("independent", fact) for fact in range(20)], seed)
            rows.append(_row(family, seed, _significant(planted.language_model(), planted.facts)))
    return Table("Planted independent circuits with q < 0.05", ("family", "seed", *COLUMNS), rows)


def _row(*cells: Cell | Iterable[Cell]) -> list[Cell]:
    """Return a row of cells, the last of them many, and tell it."""
    *first, rest = cells
    found: list[Cell] = [*first, *rest]  # type: ignore[list-item, misc]  # all but the last are single cells
    print(*found, file=sys.stderr, flush=True)
    return found


def _significant(model: LanguageModel, facts: FactSet) -> list[Cell]:
    """Score all prompts; return the number of facts, and of those that each case calls significant.

    By exchanged facts of the relation, by those of other relations, and by even draws, where these can be asked.
    """
    prompts = list(facts.prompts())
    groups = [prompts[first : first + GROUP] for first in range(0, len(prompts), GROUP)]
    with TemporaryDirectory() as folder, atlas.open(Path(folder) / "evidence.duckdb", "w") as writer:
        writer.add_facts(facts)
        fill_run(writer, model, groups, Settings())
        writer.load("label_token", label_tokens(model, prompts))
        counts = [_counts(writer, thresholds, across=across) for _, thresholds, across in CASES]
    return [len(facts.facts), *(" / ".join(map(str, each)) for each in counts)]


def _counts(writer: atlas.Writer, thresholds: str, *, across: bool) -> list[int]:
    exchange = f"""
SELECT
    count(*) FILTER (q < 0.05 AND control = 'same relation') AS relation,
    count(*) FILTER (q < 0.05 AND control = 'other relations') AS others
FROM likn_exchange_at({thresholds}, across_scripts := {across})
"""
    even = f"SELECT count(*) FILTER (p_even < 0.05 / 60) FROM likn_control_at({thresholds}, draws := 0)"
    queries = [exchange] if across else [exchange, even]
    return [count for query in queries for count in writer.sql(query).to_pylist()[0].values()]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--models", default="demo-mbert,demo-mgpt")
    parser.add_argument("--planted", type=int, default=3, help="planted models of each family")
    options = parser.parse_args()
    print(untrained_table(options.models.split(","), options.seeds).text(), flush=True)
    print(planted_table(options.planted).text(), flush=True)


if __name__ == "__main__":
    main()
