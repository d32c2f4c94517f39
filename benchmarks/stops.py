"""How long commands go on after Ctrl-C and SIGTERM: `python -m benchmarks.stops [--trials 2] [--results FILE]`.

Every command is started in a fork, gets either signal within its first second or some seconds later, and must end
within 10 s (`SECONDS`). An atlas of some millions of made-up scores and a random model of BERT's size make queries,
pages and batches long; `ended` are trials in which the command had ended by itself. With `--results` trials that the
file holds are not made again.
"""

import argparse
import os
import random
import shutil
import signal
import time
from collections import defaultdict
from collections.abc import Mapping
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import atlas

from . import forks, store
from .kills import fresh, run
from .small import make_model

SECONDS = 10.0
"""How long a command may go on."""
LATEST = (1.0, 8.0)
"""Seconds until which a signal comes, of early and of late trials."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)
LARGE = store.Size(facts=600, relations=6, languages=8)
SLOW = "SELECT count(*) FROM attribution AS a, attribution AS b WHERE hash(a.score, b.score) % 7 = 0"
CASES: Mapping[str, str] = {
    "build": "build --model wide --dataset facts --db new.duckdb",
    "build of a small model": "build --dataset bundled --languages en,fr --limit 0 --db new.duckdb",
    "twin": "twin --db small.duckdb",
    "knockout": "knockout --db small.duckdb --max-order 3 --all-pairs",
    "evaluate": "evaluate --db small.duckdb --out tables --limit 0",
    "check": "check --evaluate --db small.duckdb",
    "edit": "edit --db small.duckdb --batch edits.csv --force --neurons kn --save edited",
    "edit list": "edit list --db small.duckdb",
    "edit show": "edit show {edit} --db small.duckdb",
    "edit apply": "edit apply {edit} --db small.duckdb --save applied",
    "edit undo": "edit undo {edit} --db small.duckdb --model changed --save undone",
    "edit convert": "edit convert edits.csv --db small.duckdb --out requests.json",
    "exam": "exam --seeds 1 --method amig,kn",
    "study": "study --dataset bundled --out study",
    "doctor": "doctor --db large.duckdb",
    "doctor --digest": "doctor --digest --db large.duckdb",
    "doctor --model": "doctor --model wide",
    "sql": "sql --db large.duckdb --timeout 600 {slow}",
    "report": "report --db large.duckdb --out site",
    "export": "export --db large.duckdb --out out --format csv",
    "import": "import bundled --db new.duckdb",
    "import --parquet": "import --parquet old --db new.duckdb",
    "merge": "merge large.duckdb --into new.duckdb",
    "upgrade": "upgrade --db aged.duckdb",
    "compare": "compare demo-mbert untrained-0:demo-mbert --db small.duckdb",
    "facts": "facts --db large.duckdb --limit 0",
    "neurons": "neurons --db large.duckdb --limit 0",
    "runs": "runs --db large.duckdb",
    "runs forget": "runs forget {run} --db large.duckdb",
    "use": "use --newest --db large.duckdb",
    "schema": "schema",
    "models": "models",
}
"""Commands, without what is written to stdout."""


def prepare(folder: Path) -> dict[str, str]:
    """Make what every command starts from, and return what the commands have to know of it."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForMaskedLM

    make_model(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    torch.manual_seed(0)
    BertForMaskedLM(BertConfig(vocab_size=len(tokenizer))).save_pretrained(folder / "wide")
    tokenizer.save_pretrained(folder / "wide")
    store.make(folder / "large.duckdb", LARGE)
    shutil.copy(folder / "large.duckdb", folder / "aged.duckdb")
    with atlas.open(folder / "aged.duckdb", "a") as writer:
        writer.sql("CREATE OR REPLACE VIEW likn AS SELECT 1 AS one")
        number = writer.sql("SELECT run FROM run")["run"][0].as_py()
    run("export --db large.duckdb --out old", folder)
    run("build --dataset bundled --languages en,fr --limit 12 --twin --db small.duckdb", folder)
    with atlas.open(folder / "small.duckdb") as opened:
        facts = opened.sql("SELECT fact, object FROM fact ORDER BY fact").to_pylist()
    rows = [f"{one['fact']},{other['object']}" for one, other in pairwise(facts)]
    (folder / "edits.csv").write_text("\n".join(["fact,object", *rows]) + "\n", "utf-8")
    run(f"edit --db small.duckdb --fact {facts[0]['fact']} --object {facts[1]['object']} --method kn --force", folder)
    with atlas.open(folder / "small.duckdb") as opened:
        edit = opened.sql("SELECT edit FROM edit")["edit"][0].as_py()
    run(f"edit apply {edit} --db small.duckdb --save changed", folder)
    return {"run": str(number), "edit": str(edit)}


def trial(words: list[str], folder: Path, number: signal.Signals, after: float) -> str:
    """Send a signal to a command after so many seconds; return how long it went on, or that it had `ended`."""
    process = forks.started(words, folder, lambda: None)
    if forks.ended(process, after) is not None:
        return "ended"
    began = time.monotonic()
    os.kill(process, number)
    code = forks.ended(process, 2 * SECONDS)
    if code is None:
        os.kill(process, signal.SIGKILL)
        forks.ended(process, 60)
    return f"{time.monotonic() - began:.2f} {code}"


def main() -> None:
    """Run the trials and print the longest of each command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=2, help="of each signal, early and late in turn")
    parser.add_argument("--commands", default=",".join(CASES))
    parser.add_argument("--results", type=Path)
    options = parser.parse_args()
    if lacking := set(import_module("atlas.cli.main").COMMANDS) - {name.partition(" ")[0] for name in CASES}:
        raise SystemExit(f"no case of {', '.join(sorted(lacking))}")
    os.environ.update({"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})
    with TemporaryDirectory() as place:
        start = Path(place) / "start"
        start.mkdir()
        found = forks.Recorded(options.results)
        known, names = forks.asked(lambda: (prepare(start), forks.modules()))
        forks.learn(names)
        _all(options, start, known, found)
    _print(found)


def _all(options: argparse.Namespace, start: Path, known: Mapping[str, str], found: forks.Recorded) -> None:
    for name in options.commands.split(","):
        words = [SLOW if word == "{slow}" else word.format(**known) for word in CASES[name].split()]
        for each in range(options.trials * len(SIGNALS)):
            if (name, 0, each) not in found.trials:
                pick, number = random.Random(f"{name} {each}"), SIGNALS[each % len(SIGNALS)]
                after = pick.random() * LATEST[(each + each // len(SIGNALS)) % len(LATEST)]
                found.trials[name, 0, each] = outcome = trial(words, fresh(start), number, after)
                found.keep(name, 0, each, outcome)


def _print(found: forks.Recorded) -> None:
    by_name: dict[str, list[str]] = defaultdict(list)
    for (name, *_), outcome in found.trials.items():
        by_name[name].append(outcome)
    for name, outcomes in by_name.items():
        stopped = [outcome.split() for outcome in outcomes if outcome != "ended"]
        longest = max((float(seconds) for seconds, _ in stopped), default=0.0)
        codes = sorted({code for _, code in stopped})
        ended = f"{outcomes.count('ended')} ended"
        print(f"{name}: {len(stopped)} stopped, longest {longest:.2f} s, exit {', '.join(codes)}; {ended}")
        if longest > SECONDS or "None" in codes:
            print(f"{name}: too long")


if __name__ == "__main__":
    main()
