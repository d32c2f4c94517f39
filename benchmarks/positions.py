"""The subject's last token beside the query: what attribution there costs, and what lies there.

    python -m benchmarks.positions cost [PROMPTS]
    python -m benchmarks.positions profile MODEL [--method amig] [--limit 60] [--languages en,fr] [--dataset FACTS]
        [--known] [--ask] [--examples N] [--db FILE]

`cost`: CPU seconds of one thread, the best of three, the same prompts and as many nodes at both positions. In a causal
model a copy is the tokens from the subject to the query, so what it may cost is their mean number, and a fifth more.
Returns 1 beyond 1.3 times in a masked model, or beyond that in a causal one.

`profile`: the view `position_profile`, of a build at each position: neurons common to all of a fact's languages, and to
two of them, beside those of exchanged facts; and the mean overlap of two languages by `language_overlap`. `--known`
takes the facts that the model knows in every language. With `--db` the atlas is kept, and a build that was cut off goes
on.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import torch

import atlas
from atlas.attribution import Settings, attribute
from atlas.building.job import BuildOptions, build
from atlas.engine.answers import usable
from atlas.facts import Prompt, read
from atlas.models import LanguageModel, Position, load_model
from benchmarks.tables import Table

METHODS = {"kn": 8, "amig-mean": 4}
"""Scorers and the nodes that they are given."""
MASKED, CAUSAL = 1.3, 1.2
POSITIONS: tuple[Position, ...] = ("query", "subject")
SHARED = {"default": "all", "two": "2"}
"""Definitions and the languages that a neuron must be found in."""


def main(words: Sequence[str]) -> int:
    """Print what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(required=True)
    one = parts.add_parser("cost")
    one.add_argument("prompts", type=int, nargs="?", default=40)
    one.set_defaults(work=lambda given: cost(given.prompts))
    other = parts.add_parser("profile")
    other.add_argument("model")
    other.add_argument("--method", default="amig")
    other.add_argument("--limit", type=int)
    other.add_argument("--languages")
    other.add_argument("--dataset", default="bundled")
    other.add_argument("--known", action="store_true")
    other.add_argument("--ask", action="store_true")
    other.add_argument("--examples", type=int)
    other.add_argument("--db", type=Path)
    other.set_defaults(work=profile)
    given = parser.parse_args(words)
    torch.set_num_threads(1)
    return int(given.work(given))


def cost(count: int) -> int:
    """Print seconds and ratios of each model and scorer."""
    wrong = False
    for name in ("demo-mbert", "demo-mgpt"):
        model = load_model(name, device="cpu")
        prompts = usable(model, list(read("bundled").prompts()), "subject")
        prompts = prompts[:: max(1, len(prompts) // count)][:count]
        allowed = MASKED if model.two_way else CAUSAL * _tokens(model, prompts)
        for method, nodes in METHODS.items():
            query, subject = (_seconds(model, prompts, method, nodes, at) for at in POSITIONS)
            wrong |= subject > allowed * query
            print(
                f"{name:12} {method:10} {len(prompts)} prompts: query {query:.2f} s, subject {subject:.2f} s, "
                f"{subject / query:.2f} times of {allowed:.2f} allowed"
            )
    return int(wrong)


def _tokens(model: LanguageModel, prompts: Sequence[Prompt]) -> float:
    """Return the mean number of tokens from the subject's last to the query, over all steps."""
    steps = [step for prompt in prompts for step in model.steps(prompt, "subject")]
    return sum(step.query - step.at + 1 for step in steps) / len(steps)


def _seconds(model: LanguageModel, prompts: Sequence[Prompt], method: str, nodes: int, at: Position) -> float:
    """Return the least CPU seconds of three attributions."""
    settings, taken = Settings(method=method, nodes=nodes, max_nodes=nodes, at=at), []
    for _ in range(3):
        started = process_time()
        attribute(model, prompts, settings)
        taken.append(process_time() - started)
    return min(taken)


def profile(given: argparse.Namespace) -> int:
    """Build at each position and print what lies there."""
    with TemporaryDirectory() as folder:
        db = given.db or Path(folder) / "positions.duckdb"
        runs = {at: _built(given, db, at) for at in POSITIONS}
        with atlas.open(db, "a") as writer:
            writer.define("two", min_languages=2)
            for table in (_totals(writer, runs), _overlaps(writer, runs), _layers(writer, runs)):
                print(table.text(), flush=True)
    return 0


def _built(given: argparse.Namespace, db: Path, at: Position) -> int:
    options = BuildOptions(
        model=given.model, device="cpu", threads=1, db=db, dataset=given.dataset, limit=given.limit, ask=given.ask,
        known=given.known, everywhere=given.known, examples=given.examples,
        languages=given.languages and given.languages.split(","), settings={"method": given.method, "at": at},
    )  # fmt: skip
    return build(options).run


def _totals(opened: atlas.Atlas, runs: dict[Position, int]) -> Table:
    rows = [
        (at, languages, *opened.sql(_TOTALS, [run, definition]).to_pylist()[0].values())
        for definition, languages in SHARED.items()
        for at, run in runs.items()
    ]
    columns = ("position", "languages", "known facts", "neurons", "LIKN", "same relation", "other relations")
    scripts = ("across scripts", "same relation, across", "other relations, across", "facts with one across")
    return Table("Neurons of a fact that languages share, and in exchanged facts", (*columns, *scripts), rows)


def _overlaps(opened: atlas.Atlas, runs: dict[Position, int]) -> Table:
    rows = [
        (at, apart, *row.values())
        for at, run in runs.items()
        for apart, scripts in (("one script", False), ("two scripts", True))
        for row in opened.sql(_OVERLAP, [run, scripts]).to_pylist()
    ]
    columns = ("position", "languages of", "pairs", "common", "Jaccard", "of exchanged facts")
    return Table("Knowledge neurons that two languages have in common, mean over pairs and facts", columns, rows)


def _layers(opened: atlas.Atlas, runs: dict[Position, int]) -> Table:
    rows = [(at, *row.values()) for at, run in runs.items() for row in opened.sql(_LAYERS, [run]).to_pylist()]
    columns = ("position", "layer", "neurons", "LIKN", "across scripts", "same relation, across")
    return Table("By layer, neurons common to all languages", columns, rows)


_TOTALS = """
SELECT
    (SELECT count(DISTINCT fact) FROM knowledge_neuron_all WHERE run = $1 AND definition = $2) AS facts,
    sum(knowledge_neurons)::BIGINT, sum(likn)::BIGINT, sum(same_relation)::BIGINT, sum(other_relations)::BIGINT,
    sum(across_scripts)::BIGINT, sum(same_relation_across)::BIGINT, sum(other_relations_across)::BIGINT,
    (SELECT count(DISTINCT fact) FROM likn_all WHERE run = $1 AND definition = $2 AND across_scripts)
FROM position_profile_all
WHERE run = $1 AND definition = $2 AND language IS NULL
"""

_OVERLAP = """
WITH pair AS (
    SELECT language_a, language_b, avg(scripts_differ::INTEGER) > 0.5 AS apart -- some names are the same in all
    FROM label_overlap JOIN run ON run.model = label_overlap.model
    WHERE run.run = $1
    GROUP BY ALL
)
SELECT
    count(*), avg(o.overlap), avg(o.jaccard), avg(o.in_exchanged_facts)
FROM language_overlap_all AS o JOIN pair USING (language_a, language_b)
WHERE o.run = $1 AND o.definition = 'default' AND pair.apart = $2
"""

_LAYERS = """
SELECT layer, knowledge_neurons, likn, across_scripts, same_relation_across
FROM position_profile_all
WHERE run = $1 AND definition = 'default' AND language IS NULL
ORDER BY layer
"""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
