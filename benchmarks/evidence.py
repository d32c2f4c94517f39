"""What the atlas finds where there is nothing: LIKN of untrained models under the exchange null, beside a trained one.

    python -m benchmarks.evidence FILE [--seeds 10] [--models demo-mbert,demo-mgpt]

FILE is a new atlas. Each model's weights are drawn anew from its configuration's initialiser, once a seed; all answer
the same 60 facts under the default settings.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch

import atlas
from atlas.attribution import Settings
from atlas.building.job import SAMPLE
from atlas.facts import read
from atlas.models import LanguageModel, load_model
from atlas.running.scores import fill_run
from benchmarks.tables import Table

CASES = tuple((least, languages) for least in (None, 0.0) for languages in (None, 2))
"""The definition's `least`, the scorer's own or none, and the languages asked for, all or two."""


def untrained(name: str, seed: int) -> LanguageModel:
    """Return a model of the configuration and tokenizer of `name` with weights drawn anew."""
    known = load_model(name)
    torch.manual_seed(seed)
    fresh = type(known.model)(known.model.config).eval()
    return LanguageModel.wrap(fresh, known.tokenizer, f"{name} untrained {seed}", None)


def models(names: list[str], seeds: int) -> Iterator[LanguageModel]:
    """Yield each trained model and its untrained ones."""
    for name in names:
        yield load_model(name)
        yield from (untrained(name, seed) for seed in range(seeds))


def table(path: Path, names: list[str], seeds: int) -> Table:
    """Fill the atlas at `path` and return, by model, how many facts each p calls significant."""
    facts = read("bundled", limit=SAMPLE)
    prompts = list(facts.prompts())
    groups = [prompts[first : first + 64] for first in range(0, len(prompts), 64)]
    rows: list[tuple[str | float, ...]] = []
    with atlas.open(path, "w") as writer:
        writer.add_facts(facts)
        for model in models(names, seeds):
            run = fill_run(writer, model, groups, Settings())
            rows += [
                (model.info.name, "own" if least is None else least, n or "all", *_counted(writer, run, least, n))
                for least, n in CASES
            ]
    columns = (
        "model",
        "least",
        "languages",
        "facts",
        "p_value < 0.05 / 60",
        "q < 0.05 (relation)",
        "q < 0.05 (others)",
    )
    return Table("LIKN called significant", columns, rows)


def _counted(writer: atlas.Atlas, run: int, least: float | None, languages: int | None) -> tuple[int, ...]:
    thresholds = "least := $least, min_languages := $languages"
    even = f"SELECT count(*), count(*) FILTER (p_value < 0.05 / 60) FROM likn_control_at({thresholds})"
    exchange = f"""
SELECT count(*) FILTER (q < 0.05 AND control = 'same relation'),
    count(*) FILTER (q < 0.05 AND control = 'other relations')
FROM likn_exchange_at({thresholds})
"""
    params = {"run": run, "least": least, "languages": languages}
    found = [writer.sql(f"{query} WHERE run = $run", params).to_pylist()[0] for query in (even, exchange)]
    return tuple(value for row in found for value in row.values())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--models", default="demo-mbert,demo-mgpt")
    options = parser.parse_args()
    print(table(options.file, options.models.split(","), options.seeds).text())


if __name__ == "__main__":
    main()
