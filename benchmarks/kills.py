"""Commands that are killed at random moments and run again: `python -m benchmarks.kills [--kills 500] [--seed 0]`.

Each command is killed by SIGKILL, SIGTERM or SIGINT at a random moment of the time that it takes alone, and run once
more; what it leaves must equal what it leaves when nothing happens to it. Prints a line a command, and what differed.
`done` are those that had done all before the signal came, and say at the second time that it is there already. Kills
are drawn by command, so `--commands build,edit` gives the same as their part of the whole.
"""

import argparse
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import atlas
from atlas.store.digest import digest

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
LEFT = (0, 1, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT)
"""Exit codes of a command that was killed, or was too fast for it."""
ATLAS = (sys.executable, "-m", "atlas.cli")


@dataclass(frozen=True)
class Case:
    """A command in a folder that holds `start.duckdb`, and what it leaves there."""

    words: str
    result: Callable[[Path], str]
    once: bool = False
    """Whether it refuses to be run again once it is done."""


def content(name: str) -> Callable[[Path], str]:
    """Return what tells the content of the atlas `name` of a folder."""

    def of(folder: Path) -> str:
        with atlas.open(folder / name) as opened:
            return digest(opened)

    return of


def tree(name: str) -> Callable[[Path], str]:
    """Return what tells all files below `name` in a folder."""

    def of(folder: Path) -> str:
        files = sorted(path for path in (folder / name).rglob("*") if path.is_file())
        lines = [f"{path.relative_to(folder)} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files]
        return "\n".join(lines)

    return of


def both(*results: Callable[[Path], str]) -> Callable[[Path], str]:
    """Return what tells what several results tell."""
    return lambda folder: "\n".join(result(folder) for result in results)


CASES: Mapping[str, Case] = {
    "import": Case("import bundled --limit 30 --db new.duckdb", content("new.duckdb")),
    "merge": Case("merge start.duckdb --into new.duckdb", content("new.duckdb")),
    "export": Case("export --db start.duckdb --out out", tree("out")),
    "export over an export": Case("export --db start.duckdb --out old --format csv", tree("old")),
    "upgrade": Case("upgrade --db aged.duckdb", content("aged.duckdb")),
    "report": Case("report --db start.duckdb --out site", tree("site")),
    "build": Case("build --db new.duckdb --limit 6 --languages en,fr", content("new.duckdb")),
    "knockout": Case("knockout --db start.duckdb", content("start.duckdb")),
    "edit": Case("edit --db start.duckdb --fact {fact} --object Rome --force --save edited", content("start.duckdb")),
    "edit apply": Case(
        "edit apply {edit} --db edited.duckdb --save applied",
        both(content("edited.duckdb"), tree("applied")),
        once=True,
    ),
    "edit undo": Case(
        "edit undo {edit} --db edited.duckdb --model model --save undone",
        both(content("edited.duckdb"), tree("undone")),
        once=True,
    ),
    "edit undo in place": Case(
        "edit undo {edit} --db edited.duckdb --model model", both(content("edited.duckdb"), tree("model")), once=True
    ),
    "evaluate": Case(
        "evaluate --db judged.duckdb --limit 2 --method amig,random --out tables",
        both(content("judged.duckdb"), tree("tables")),
    ),
    "check": Case("check --db judged.duckdb --evaluate --limit 6 --conditions plain", content("judged.duckdb")),
}


def prepare(folder: Path) -> dict[str, str]:
    """Make what every case starts from, and return what the commands have to know of it."""
    _run("build --db start.duckdb --limit 4 --languages en,fr", folder)
    _run("export --db start.duckdb --out old", folder)
    shutil.copy(folder / "start.duckdb", folder / "aged.duckdb")
    with atlas.open(folder / "aged.duckdb", "a") as writer:
        writer.sql("CREATE OR REPLACE VIEW likn AS SELECT 1 AS one")
        fact = writer.sql("SELECT min(fact) AS fact FROM likn_specificity_all")["fact"][0].as_py()
    _run("build --db judged.duckdb --relations P36 --limit 12 --languages en,fr --no-twin --knockout", folder)
    shutil.copy(folder / "start.duckdb", folder / "edited.duckdb")
    made = _run(f"edit --db edited.duckdb --fact {fact} --object Rome --force --save model --json", folder)
    return {"fact": str(fact), "edit": str(json.loads(made)[0]["edit"])}


def _run(words: str, folder: Path) -> str:
    return subprocess.run([*ATLAS, *words.split()], cwd=folder, check=True, capture_output=True, text=True).stdout


def killed(words: str, folder: Path, after: float, number: signal.Signals) -> int:
    """Run a command, send it a signal after so many seconds, and return its exit code."""
    with subprocess.Popen(
        [*ATLAS, *words.split()], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            return process.wait(after)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
        try:
            return process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            return 999


def trial(case: Case, words: str, start: Path, wanted: str, seconds: float, pick: random.Random) -> str:
    """Kill a command once, run it again, and return `equal` or what went wrong."""
    with TemporaryDirectory() as place:
        folder = Path(shutil.copytree(start, Path(place) / "work"))
        number = pick.choice(SIGNALS)
        code = killed(words, folder, pick.uniform(0.05, 1) * seconds, number)
        if code not in LEFT:
            return f"code {code} after {number.name}"
        again = subprocess.run([*ATLAS, *words.split()], cwd=folder, capture_output=True, text=True, check=False)
        equal = case.result(folder) == wanted
        if again.returncode != 0 and case.once and equal:
            return "done"
        if again.returncode != 0:
            return f"refused after {number.name}: {again.stderr.strip()}"
        return "equal" if equal else f"other content after {number.name}"


def main() -> None:
    """Run the trials and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", default=",".join(CASES))
    options = parser.parse_args()
    with TemporaryDirectory() as place:
        start = Path(place) / "start"
        start.mkdir()
        known = prepare(start)
        share, rest = divmod(options.kills, len(CASES))
        for number, (name, case) in enumerate(CASES.items()):
            if name not in options.commands.split(","):
                continue
            pick = random.Random(f"{options.seed} {name}")
            words = case.words.format(**known)
            with TemporaryDirectory() as alone:
                folder = Path(shutil.copytree(start, Path(alone) / "work"))
                began = time.monotonic()
                _run(words, folder)
                seconds, wanted = time.monotonic() - began, case.result(folder)
            found = Counter(trial(case, words, start, wanted, seconds, pick) for _ in range(share + (number < rest)))
            print(f"{name}: {dict(found)} ({seconds:.1f} s alone)", flush=True)


if __name__ == "__main__":
    main()
