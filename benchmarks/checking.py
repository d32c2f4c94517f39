"""Fact checking in languages in which the model was never taught the fact, the hardest claims there are.

    python -m benchmarks.checking train demo-mbert FOLDER
    python -m benchmarks.checking evaluate FOLDER

The first command trains a demo model by its usual recipe, but every bundled fact is told in four languages only; its
names are translated in all six. It takes some ten CPU minutes of one thread. The second fills FOLDER/atlas.duckdb with
that model's knowledge neurons and knock-outs, judges claims in taught and untaught languages, and prints the table.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from atlas.building.job import BuildOptions, build
from atlas.checking.evaluation import evaluate
from atlas.checking.job import CheckOptions, opened
from atlas.checking.known_claims import KnownClaim, make_cases
from atlas.checking.report import evaluation_table
from atlas.demo.train import MODELS, RECIPES, train
from atlas.facts import Fact, read
from atlas.facts.bundled import LANGUAGES
from atlas.ids import stable_id
from atlas.knockout.job import KnockoutOptions, knockout

LEFT_OUT = 2
FACTS = 100
CONDITIONS = ("plain", "held-out")


def untaught_languages(fact: Fact) -> list[str]:
    """Return the languages in which no prompt tells the fact, seeded by the fact."""
    chosen = np.random.default_rng(stable_id("untaught", fact.id)).choice(len(LANGUAGES), LEFT_OUT, replace=False)
    return [LANGUAGES[i] for i in sorted(chosen.tolist())]


def train_variant(name: str, folder: Path) -> None:
    """Train the demo model `name` without the untaught languages of each fact and write it to `folder`."""
    facts = read("bundled")
    untaught = {(fact.id, language) for fact in facts.facts for language in untaught_languages(fact)}
    train(name, RECIPES[MODELS[name]], folder, threads=1, facts=facts, untaught=untaught)


def evaluate_variant(folder: Path) -> None:
    """Print how well each evidence tells true claims from wrong ones in taught and in untaught languages."""
    db, model = folder / "atlas.duckdb", str(folder)
    build(BuildOptions(model=model, db=db, limit=FACTS, device="cpu"))
    knockout(KnockoutOptions(model=model, db=db, device="cpu"))
    with opened(CheckOptions(model=model, db=db, templates=1, device="cpu"), None) as session:
        facts = [fact for fact in session.world.facts if fact.relation in session.neurons]
        cases = make_cases(session.world, facts, LANGUAGES, CONDITIONS, causal=session.causal, count=1, seed=0).cases
        found = evaluate(cases, session.of_cases(cases), list(LANGUAGES), seed=0)
        found = replace(found, cases=[_with_untaught(case) for case in cases])
        for row in evaluation_table(found, 0, compact=True).to_pylist():
            print("| " + " | ".join(map(str, row.values())) + " |")


def _with_untaught(case: KnownClaim) -> KnownClaim:
    """Return the claim, under a condition of its own if it is put in a language in which its fact is untaught."""
    untaught = case.language in untaught_languages(case.fact)
    return replace(case, condition=f"{case.condition}, untaught") if untaught else case


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and do one of the two."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.checking", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    trains = commands.add_parser("train")
    trains.add_argument("model", choices=sorted(MODELS))
    for command in (trains, commands.add_parser("evaluate")):
        command.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    if options.command == "train":
        train_variant(options.model, options.folder)
    else:
        evaluate_variant(options.folder)


if __name__ == "__main__":
    main(sys.argv[1:])
