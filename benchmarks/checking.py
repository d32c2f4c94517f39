"""The tables of the page of results of fact checking.

    python -m benchmarks.checking shipped demo-mbert FOLDER
    python -m benchmarks.checking train demo-mbert FOLDER
    python -m benchmarks.checking evaluate FOLDER

The first judges claims by a bundled model, whose knowledge neurons and knock-outs go to FOLDER/atlas.duckdb. The second
trains a demo model by its usual recipe, but every bundled fact is told in four languages only; its names are translated
in all six: claims in the others are the hardest there are. It takes some ten CPU minutes of one thread. The third does
with that model what the first does, and tells claims in untaught languages apart.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from atlas.building.job import BuildOptions, build
from atlas.checking.conditions import CONDITIONS
from atlas.checking.evaluation import EVIDENCE, ClaimEvaluation, evaluate
from atlas.checking.job import CheckOptions, opened
from atlas.checking.known_claims import KnownClaim
from atlas.checking.report import DIFFERENCE, compact, evaluation_table
from atlas.demo.train import MODELS, RECIPES, train
from atlas.facts import Fact, read
from atlas.facts.bundled import LANGUAGES
from atlas.ids import stable_id
from atlas.knockouts.job import KnockoutOptions, knockout

LEFT_OUT = 2
FACTS = 100


def untaught_languages(fact: Fact) -> list[str]:
    """Return the languages in which no prompt tells the fact, seeded by the fact."""
    chosen = np.random.default_rng(stable_id("untaught", fact.id)).choice(len(LANGUAGES), LEFT_OUT, replace=False)
    return [LANGUAGES[i] for i in sorted(chosen.tolist())]


def train_variant(name: str, folder: Path) -> None:
    """Train the demo model `name` without the untaught languages of each fact and write it to `folder`."""
    facts = read("bundled")
    untaught = {(fact.id, language) for fact in facts.facts for language in untaught_languages(fact)}
    train(name, RECIPES[MODELS[name]], folder, threads=1, facts=facts, untaught=untaught)


def evaluate_model(model: str, folder: Path, conditions: Sequence[str]) -> ClaimEvaluation:
    """Fill FOLDER/atlas.duckdb with what the claims are judged by, and judge those of the bundled facts."""
    db = folder / "atlas.duckdb"
    build(BuildOptions(model=model, db=db, limit=FACTS, device="cpu"))
    knockout(KnockoutOptions(model=model, db=db, device="cpu"))
    with opened(CheckOptions(model=model, db=db, templates=1, device="cpu"), None) as session:
        facts = [fact for fact in session.world.facts if fact.relation in session.neurons]
        claims = session.claims(facts, LANGUAGES, conditions)
        for reason, left in claims.left_out.items():
            print(f"{left} facts in a language give no claims: {reason}")
        return evaluate(claims.cases, session.of_cases(claims.cases), list(LANGUAGES), seed=0)


def tables(found: ClaimEvaluation) -> Iterator[str]:
    """Yield, as Markdown, every number under `plain`, then the AUROC under every condition."""
    rows = compact(evaluation_table(found, 0)).to_pylist()
    plain = [row for row in rows if row["condition"] == "plain"]
    yield f"{plain[0]['claims']} claims under plain"
    for row in plain:
        short = (row[name].split()[0] for name in ("precision", "recall", "f1"))
        yield _line(row["evidence"], row["unusable"], *short, row["accuracy"], row["auroc"], row[DIFFERENCE])
    conditions = list(dict.fromkeys(row["condition"] for row in rows))
    cells = {(row["evidence"], row["condition"]): row for row in rows}
    yield _line("evidence", *conditions)
    for evidence in EVIDENCE:
        yield _line(evidence, *(cells[evidence, condition]["auroc"] for condition in conditions))
    yield _line("combined less probability", *(cells["combined", condition][DIFFERENCE] for condition in conditions))


def _line(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _with_untaught(case: KnownClaim) -> KnownClaim:
    """Return the claim, under a condition of its own if it is put in a language in which its fact is untaught."""
    untaught = case.language in untaught_languages(case.fact)
    return replace(case, condition=f"{case.condition}, untaught") if untaught else case


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and do one of the two."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.checking", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("shipped", "train", "evaluate"):
        command = commands.add_parser(name)
        if name != "evaluate":
            command.add_argument("model", choices=sorted(MODELS))
        command.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    if options.command == "train":
        train_variant(options.model, options.folder)
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.command == "shipped":
        found = evaluate_model(options.model, options.folder, CONDITIONS)
    else:
        found = evaluate_model(str(options.folder), options.folder, ("plain", "held-out"))
        found = replace(found, cases=[_with_untaught(case) for case in found.cases])
    print("\n".join(tables(found)))


if __name__ == "__main__":
    main(sys.argv[1:])
