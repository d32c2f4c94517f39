"""What the atlas finds where there is nothing, and whether it finds what is there (docs/evidence.md).

    python -m benchmarks.evidence make FOLDER [--seeds 10] [--models demo-mbert,demo-mgpt] [--planted 3]
    python -m benchmarks.evidence ask FOLDER [--cases 3] [--labels own,exchanged]

`make` has each model and its untrained twins score the prompts of the same 60 facts under the default settings, and
planted models those of circuits that are nothing but independent, each into an atlas of its own; one that is there is
not made again. `ask` asks each for its own labels and, but for planted ones, for exchanged labels (every fact has in
every language the prompts of another fact of its relation), keeps the answers beside the atlases, and prints tables.
"""

import argparse
import json
import random
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
from scipy.stats import kstest

import atlas
from atlas.attribution import Settings
from atlas.building.job import SAMPLE
from atlas.engine.label_tokens import label_tokens
from atlas.facts import FactSet, read
from atlas.models import LanguageModel, load_model
from atlas.models.twin import untrained
from atlas.planted import Circuit, PlantConfig, plant
from atlas.running.scores import fill_run
from benchmarks.tables import Cell, Table

CASES = {
    "all": ("min_languages := NULL", False),
    "2, across scripts": ("min_languages := 2", True),
    "2": ("min_languages := 2", False),
    "all, no least": ("min_languages := NULL, least := 0", False),
    "2, across scripts, no least": ("min_languages := 2, least := 0", True),
    "2, no least": ("min_languages := 2, least := 0", False),
}
"""Languages that a LIKN must be found in: thresholds, and whether across scripts; the definition is `default` else."""
LABELLED = ("fact_label", "label_token", "prompt")
"""Tables that say what belongs to a fact in a language."""
GROUP = 64

Answers = dict[str, dict[str, list[float | None]]]
"""By case, the p_exchange, q and p_even of every fact, those of other relations as `..._other`."""


def make(folder: Path, names: Sequence[str], seeds: int, planted: int) -> None:
    """Score the prompts of all models that `folder` has no atlas of."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, scored in _scored(names, seeds, planted):
        path = folder / f"{name}.duckdb"
        if not path.exists():
            print(name, file=sys.stderr, flush=True)
            _score(path, *scored())


def _scored(
    names: Sequence[str], seeds: int, planted: int
) -> Iterator[tuple[str, Callable[[], tuple[LanguageModel, FactSet]]]]:
    """Yield the name of every model with what makes it and its facts."""
    for name in names:
        yield name, partial(_model, name)
    for seed in range(seeds):
        for name in names:
            yield f"{name} untrained {seed}", partial(_model, name, seed)
    for family in ("bert", "gpt2"):
        for seed in range(planted):
            yield f"{family} planted {seed}", partial(_planted, family, seed)


def _model(name: str, seed: int | None = None) -> tuple[LanguageModel, FactSet]:
    """Return a model, or its untrained twin of `seed`, and the facts."""
    model = load_model(name)
    return model if seed is None else untrained(model, seed), read("bundled", limit=SAMPLE)


def _planted(family: str, seed: int) -> tuple[LanguageModel, FactSet]:
    config = PlantConfig(family=family)  # type: ignore[arg-type]  # one of the two
    planted = plant(config, [Circuit("independent", fact) for fact in range(20)], seed)
    return planted.language_model(), planted.facts


def _score(path: Path, model: LanguageModel, facts: FactSet) -> None:
    prompts, part = list(facts.prompts()), path.with_suffix(".part")
    for left in path.parent.glob(f"{part.name}*"):
        left.unlink()
    with atlas.open(part, "w") as writer:
        writer.add_facts(facts)
        fill_run(writer, model, [prompts[at : at + GROUP] for at in range(0, len(prompts), GROUP)], Settings())
        writer.load("label_token", label_tokens(model, prompts))
    part.rename(path)


def ask(folder: Path, cases: int, asked: Sequence[str]) -> list[Table]:
    """Ask all atlases of `folder` for the first `cases`, with the labels that are `asked`, and return the tables."""
    answers, names = {}, list(CASES)[:cases]
    for path in sorted(folder.glob("*.duckdb")):
        for labels in ("own",) if "planted" in path.stem else asked:
            kept = path.with_name(f"{path.stem} {labels}.json")
            held: Answers = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
            if not held.keys() >= set(names):
                print(kept.stem, file=sys.stderr, flush=True)
                held |= _labelled(path, labels, [name for name in names if name not in held])
                kept.write_text(json.dumps(held), "utf-8")
            answers[path.stem, labels] = {name: held[name] for name in names}
    return [_by_model(answers, names), _by_kind(answers, names), _uniform(answers, names)]


def _labelled(path: Path, labels: str, cases: Sequence[str]) -> Answers:
    """Return what an atlas answers to some cases, with its own labels or in a copy with exchanged ones."""
    with TemporaryDirectory() as folder:
        asked = Path(folder) / "asked.duckdb"
        shutil.copy(path, asked)
        if labels == "exchanged":
            exchange_labels(asked)
        with atlas.open(asked) as opened:
            return {name: _case(opened, *CASES[name]) for name in cases}


def exchange_labels(path: Path, seed: int = 0) -> None:
    """Give every fact in every language the labels, prompts and scores of one of its relation, drawn anew in each."""
    draw = random.Random(seed)
    with duckdb.connect(str(path)) as opened:
        held = opened.sql("""
            SELECT language, list(fact ORDER BY fact) AS facts
            FROM (SELECT DISTINCT relation, language, fact FROM fact JOIN prompt USING (fact))
            GROUP BY relation, language ORDER BY relation, language
        """).fetchall()
        opened.execute("CREATE TEMP TABLE lent (language VARCHAR, fact BIGINT, given BIGINT)")
        for language, facts in held:
            lent = zip(facts, draw.sample(facts, len(facts)), strict=True)
            opened.executemany("INSERT INTO lent VALUES (?, ?, ?)", [(language, *each) for each in lent])
        for name in LABELLED:
            opened.execute(
                f"UPDATE {name} SET fact = lent.given FROM lent "
                f"WHERE lent.fact = {name}.fact AND lent.language = {name}.language"
            )


def _case(opened: atlas.Atlas, thresholds: str, across: bool) -> dict[str, list[float | None]]:
    exchange = f"""
        SELECT
            any_value(p_exchange) FILTER (control = 'same relation') AS p_exchange,
            any_value(q) FILTER (control = 'same relation') AS q,
            any_value(p_exchange) FILTER (control = 'other relations') AS p_exchange_other,
            any_value(q) FILTER (control = 'other relations') AS q_other
        FROM likn_exchange_at({thresholds}, across_scripts := {across})
        GROUP BY run, fact ORDER BY fact
    """
    control = f"""
        SELECT p_exchange, q, p_exchange_other, q_other, p_even FROM likn_control_at({thresholds}) ORDER BY fact
    """
    found: dict[str, list[float | None]] = opened.sql(exchange if across else control).to_pydict()
    return found


def _below(values: Sequence[float | None], limit: float = 0.05) -> int:
    return sum(value is not None and value < limit for value in values)


def _by_model(answers: Mapping[tuple[str, str], Answers], cases: Sequence[str]) -> Table:
    """Return, by model and labels, how many facts each case calls significant."""
    rows: list[list[Cell]] = []
    for (model, labels), found in answers.items():
        cells = [
            " / ".join(
                str(_below(case[column], limit))
                for column, limit in (("q", 0.05), ("q_other", 0.05), ("p_even", 0.05 / 60))
                if column in case
            )
            for case in found.values()
        ]
        rows.append([model, labels, len(found["all"]["q"]), *cells])
    return Table(
        "Facts with q < 0.05, by the relation's facts / others' / p_even < 0.05 / 60",
        ("model", "labels", "facts", *cases),
        rows,
    )


def _kind(model: str) -> str:
    return " ".join(word for word in model.split() if not word.isdecimal())


def _by_kind(answers: Mapping[tuple[str, str], Answers], cases: Sequence[str]) -> Table:
    """Return, over all models of a kind, the share of facts with a q below 0.05, exchanged with the relation's."""
    held: dict[tuple[str, str], list[Answers]] = defaultdict(list)
    for (model, labels), found in answers.items():
        held[_kind(model), labels].append(found)
    rows: list[list[Cell]] = []
    for (kind, labels), every in held.items():
        facts = sum(len(each["all"]["q"]) for each in every)
        shares = [sum(_below(each[case]["q"]) for each in every) / facts for case in cases]
        rows.append([kind, labels, len(every), facts, *shares])
    return Table("Share of facts with q < 0.05", ("models", "labels", "number", "facts", *cases), rows)


def _uniform(answers: Mapping[tuple[str, str], Answers], cases: Sequence[str]) -> Table:
    """Return how far the p_exchange of untrained models lie below a uniform p (Kolmogorov and Smirnov, one-sided)."""
    rows = []
    for labels in ("own", "exchanged"):
        found = [each for (model, own), each in answers.items() if "untrained" in model and own == labels]
        for case in cases if found else ():
            values = [value for each in found for value in each[case]["p_exchange"] if value is not None]
            test = kstest(values, "uniform", alternative="greater")
            rows.append((labels, case, len(values), _below(values) / len(values), test.statistic, test.pvalue))
    columns = ("labels", "case", "facts", "share of p < 0.05", "largest excess", "p of the excess")
    return Table("p_exchange of untrained models beside a uniform p", columns, rows)


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("make", "ask"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=10, help="untrained twins of each model")
    parser.add_argument("--models", default="demo-mbert,demo-mgpt")
    parser.add_argument("--planted", type=int, default=3, help="planted models of each family")
    parser.add_argument("--cases", type=int, default=len(CASES), help="cases to ask; three keep `least`")
    parser.add_argument("--labels", default="own,exchanged", help="whose labels are asked for")
    options = parser.parse_args()
    if options.what == "make":
        make(options.folder, options.models.split(","), options.seeds, options.planted)
        return
    for table in ask(options.folder, options.cases, options.labels.split(",")):
        print(table.text(), flush=True)


if __name__ == "__main__":
    main()
