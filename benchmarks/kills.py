"""Commands that are killed and run again: `python -m benchmarks.kills [--kills 500] [--seed 0] [--results FILE]`.

Each command is stopped by SIGKILL, SIGTERM or SIGINT, half the times at a random moment of the time that it takes,
half at a random line of the code that stores, each line as likely as any other, and run once more; what it leaves must
equal what it leaves when nothing happens to it. Prints how often a command came to what end, and what differed. `done`
are those that had done all before the signal came, and say at the second time that it is there already; `untouched`
left every file as it was to the byte, so that the second time is the first. Long commands have fewer trials. Every
trial has a seed of its own, so `--commands build,edit` gives the same as their part of the whole; with `--results`
trials that the file holds are not made again, and `--seconds` breaks off after so many.

Model and facts are small and planted. But for `import`, new atlases are copies of one that was made empty, as that
takes longer than all else.
"""

import argparse
import filecmp
import hashlib
import math
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import atlas
from atlas.store import migrate
from atlas.store.digest import digest

from . import forks
from .forks import Recorded
from .small import make_model

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
LEFT = (0, 1, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT)
"""Exit codes of a command that was killed, or was too fast for it."""


@dataclass(frozen=True)
class Case:
    """A command in a folder that holds `start.duckdb`, and what it leaves there."""

    words: str
    result: Callable[[Path], str]
    once: bool = False
    """Whether it refuses to be run again once it is done."""
    share: int = 2
    """How many of the trials it gets, beside the others: long ones get fewer."""


@dataclass(frozen=True)
class Alone:
    """What a command does when nothing happens to it: seconds, how often it comes to each line, and what it leaves."""

    words: str
    seconds: float
    lines: Mapping[str, int]
    left: str


def content(name: str) -> Callable[[Path], str]:
    """Return what tells the content of the atlas `name` of a folder."""

    def of(folder: Path) -> str:
        with atlas.open(folder / name) as opened:
            return digest(opened)

    return of


def tree(name: str, *names: str) -> Callable[[Path], str]:
    """Return what tells all files below `name` in a folder, or those of these names."""

    def of(folder: Path) -> str:
        files = sorted(
            path for path in (folder / name).rglob("*") if path.is_file() and path.name in (names or [path.name])
        )
        lines = [f"{path.relative_to(folder)} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files]
        return "\n".join(lines)

    return of


def both(*results: Callable[[Path], str]) -> Callable[[Path], str]:
    """Return what tells what several results tell."""
    return lambda folder: "\n".join(result(folder) for result in results)


CASES: Mapping[str, Case] = {
    "import": Case("import facts --db new.duckdb", content("new.duckdb"), share=1),
    "import of an export": Case("import --parquet old --db new.duckdb", content("new.duckdb")),
    "merge": Case("merge start.duckdb --into new.duckdb", content("new.duckdb")),
    "export": Case("export --db start.duckdb --out out", tree("out"), share=4),
    "export over an export": Case("export --db start.duckdb --out old --format csv", tree("old"), share=4),
    "upgrade": Case("upgrade --db aged.duckdb", content("aged.duckdb"), share=1),
    "report": Case("report --db start.duckdb --out site --facts 1", tree("site"), share=1),
    "build": Case("build --db new.duckdb --model model --dataset facts", content("new.duckdb")),
    "build --again": Case("build --db start.duckdb --model model --dataset facts --again", content("start.duckdb")),
    "twin": Case("twin --db start.duckdb", content("start.duckdb")),
    "runs forget": Case("runs forget {run} --db start.duckdb", content("start.duckdb"), once=True, share=4),
    "knockout": Case("knockout --db start.duckdb", content("start.duckdb")),
    "edit": Case(
        "edit --db start.duckdb --fact subject0 --object object1 --save edited",
        both(content("start.duckdb"), tree("edited")),
        once=True,
    ),
    "edit apply": Case(
        "edit apply {edit} --db edited.duckdb --save applied",
        both(content("edited.duckdb"), tree("applied")),
        once=True,
        share=4,
    ),
    "edit undo": Case(
        "edit undo {edit} --db edited.duckdb --model changed --save undone",
        both(content("edited.duckdb"), tree("undone")),
        once=True,
        share=4,
    ),
    "edit undo in place": Case(
        "edit undo {edit} --db edited.duckdb --model changed",
        both(content("edited.duckdb"), tree("changed")),
        once=True,
        share=4,
    ),
    "evaluate": Case(
        "evaluate --db judged.duckdb --limit 2 --method amig,random --out tables",
        both(content("judged.duckdb"), tree("tables")),
    ),
    "check": Case("check --db judged.duckdb --evaluate --conditions plain", content("judged.duckdb")),
}


def prepare(folder: Path) -> dict[str, str]:
    """Make what every case starts from, and return what the commands have to know of it."""
    make_model(folder)
    atlas.open(folder / "empty.duckdb", "w").close()
    copied(folder)
    run("build --db start.duckdb --model model --dataset facts", folder)
    run("export --db start.duckdb --out old", folder)
    for name in ("aged", "edited", "judged"):
        shutil.copy(folder / "start.duckdb", folder / f"{name}.duckdb")
    run("knockout --db judged.duckdb", folder)
    with atlas.open(folder / "aged.duckdb", "a") as writer:
        writer.sql("CREATE OR REPLACE VIEW likn AS SELECT 1 AS one")
        number = writer.sql("SELECT run FROM run")["run"][0].as_py()
    run("edit --db edited.duckdb --fact subject0 --object object1 --save changed", folder)
    with atlas.open(folder / "edited.duckdb") as opened:
        edit = opened.sql("SELECT edit FROM edit")["edit"][0].as_py()
    return {"edit": str(edit), "run": str(number)}


def run(words: str, folder: Path) -> None:
    """Run a command in this process, a fork; raises RuntimeError if it fails."""
    code, said = forks.ran(words, folder)
    if code:
        raise RuntimeError(f"{words}: {said}")


def copied(folder: Path) -> None:
    """Let new atlases be copies of the empty one in `folder`."""

    def copy(path: Path, storage: str) -> None:
        shutil.copyfile(folder / "empty.duckdb", path)

    migrate._make = copy


def run_alone(case: Case, words: str, folder: Path) -> dict[str, object]:
    """Run a command twice in copies of `folder`, for its time and for its lines; return the fields of `Alone`."""
    work = fresh(folder)
    began = time.monotonic()
    run(words, work)
    seconds, left = time.monotonic() - began, case.result(work)
    work = fresh(folder)
    _, lines = forks.counted(lambda: run(words, work))
    if case.result(work) != left:
        raise RuntimeError(f"{words} leaves something else each time")
    return {"words": words, "seconds": seconds, "lines": lines, "left": left}


def fresh(start: Path) -> Path:
    """Return a new copy of `start`, beside it."""
    work = start.with_name("work")
    shutil.rmtree(work, ignore_errors=True)
    return Path(shutil.copytree(start, work))


def trial(case: Case, alone: Alone, start: Path, pick: random.Random) -> str:
    """Kill a command once, run it again, and return `equal` or what went wrong."""
    folder, number = fresh(start), pick.choice(SIGNALS)
    if pick.random() < 0.5:
        after = pick.random() * alone.seconds
        how = f"{number.name} after {after:.3f} s"
        code = forks.killed(forks.started(alone.words, folder, lambda: None), number, after)
    else:
        line = pick.choice(sorted(alone.lines))
        nth = 1 + pick.randrange(alone.lines[line])
        how = f"{number.name} at {line}, {nth}"
        code = forks.killed(forks.started(alone.words, folder, lambda: forks.kill_at(line, nth, number)), None, 0)
    if code not in LEFT:
        return f"code {code} after {how}: {folder.with_name('err').read_text('utf-8')}"
    if _same(folder, start):
        return "untouched"
    code, said, left = forks.asked(lambda: (*forks.ran(alone.words, folder), case.result(folder)))
    if code and case.once and left == alone.left:
        return "done"
    if code:
        return f"refused after {how}: {said.strip()}"
    return "equal" if left == alone.left else f"other content after {how}"


def _same(one: Path, other: Path) -> bool:
    """Return whether two folders hold the same files to the byte."""
    names = [{str(path.relative_to(folder)) for path in folder.rglob("*")} for folder in (one, other)]
    files = [name for name in names[0] if (one / name).is_file()]
    return names[0] == names[1] and not any(filecmp.cmpfiles(one, other, files, shallow=False)[1:])


def main() -> None:
    """Run the trials and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", default=",".join(CASES))
    parser.add_argument("--results", type=Path)
    parser.add_argument("--seconds", type=float, default=1e9)
    options = parser.parse_args()
    os.environ.update({"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})
    with TemporaryDirectory() as place:
        start = Path(place) / "start"
        start.mkdir()
        found = Recorded(options.results)
        known, names = forks.asked(lambda: (prepare(start), forks.modules()))
        forks.learn(names)
        _all(options, start, known, found)
    for name, outcomes in found.by_command().items():
        print(f"{name}: {dict(outcomes)}")


def _all(options: argparse.Namespace, start: Path, known: Mapping[str, str], found: Recorded) -> None:
    end = time.monotonic() + options.seconds
    shares = sum(case.share for case in CASES.values())
    for name, case in CASES.items():
        wanted = range(math.ceil(options.kills * case.share / shares))
        lacking = [each for each in wanted if (name, options.seed, each) not in found.trials]
        if name not in options.commands.split(",") or not lacking or time.monotonic() > end:
            continue
        if name != "import":
            copied(start)
        words = case.words.format(**known)
        alone = Alone(**forks.asked(partial(run_alone, case, words, start)))
        for each in lacking:
            if time.monotonic() < end:
                pick = random.Random(f"{options.seed} {name} {each}")
                found.add(name, options.seed, each, trial(case, alone, start, pick))


if __name__ == "__main__":
    main()
