"""Random damages of files that people send each other: `python -m benchmarks.damages [--damages 2000] [--seed 0]`.

An atlas, an export, an edit and a model's folder are damaged at random, bytes flipped, cut, blanked or repeated in one
of their files, and then used. Each must be told in one sentence, or leave the result as it is without the damage.
Counted as `silent` is another result with exit code 0, as `traceback` an error that nobody foresaw. Of a model the
result is its weights and its configuration. Every trial has a seed of its own; with `--results FILE` trials that the
file holds are not made again, and `--seconds` breaks off after so many. Model and facts are small and planted.
"""

import argparse
import hashlib
import os
import random
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import atlas
from atlas.errors import AtlasError

from . import forks
from .forks import Recorded
from .kills import both, content, copied, fresh, run, tree
from .small import make_model

Left = tuple[str, str]
"""What a command leaves, and what that means."""


@dataclass(frozen=True)
class Case:
    """What is damaged (files of a folder, by pattern), the command that uses it, and what it leaves."""

    files: str
    words: str
    result: Callable[[Path], str]
    meaning: Callable[[Path], str] | None = None
    """What decides where the result is another one."""


def views(name: str) -> Callable[[Path], str]:
    """Return what tells the rows of all views of the atlas `name` of a folder."""

    def of(folder: Path) -> str:
        with atlas.open(folder / name) as opened:
            names = opened.sql("SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY ALL").to_pydict()
            rows = (sorted(map(repr, opened.sql(f'FROM "{view}"').to_pylist())) for view in names["view_name"])
            return hashlib.sha256(repr(list(rows)).encode()).hexdigest()

    return of


def rows(folder: Path) -> str:
    """Return what tells the rows that a build with the saved model makes, which lie in an atlas of their own."""
    try:
        run("build --db judged.duckdb --model edited --dataset facts", folder)
    except RuntimeError as error:
        return str(error)
    return content("judged.duckdb")(folder)


APPLY = "edit apply {edit} --db start.duckdb --model model --save edited"
CASES: Mapping[str, Case] = {
    "atlas": Case(
        "start.duckdb",
        "merge start.duckdb --into into.duckdb",
        both(content("into.duckdb"), views("start.duckdb")),
    ),
    "export": Case("out/**/*", "import --parquet out --db into.duckdb", content("into.duckdb")),
    "edit": Case("start.edits/*", APPLY, tree("edited"), rows),
    "model": Case("model/*", APPLY, tree("edited"), rows),
}


def damaged(data: bytes, pick: random.Random) -> bytes:
    """Return `data` with one damage."""
    place, size = pick.randrange(len(data)), pick.choice((1, 1, 16, 512, 4096))
    match pick.choice(("flip", "cut", "blank", "repeat")):
        case "flip":
            return data[:place] + bytes([data[place] ^ (1 << pick.randrange(8))]) + data[place + 1 :]
        case "cut":
            return data[:place]
        case "blank":
            return data[:place] + b"\0" * len(data[place : place + size]) + data[place + size :]
        case _:
            return data[:place] + data[place : place + size] + data[place:]


def prepare(folder: Path) -> dict[str, str]:
    """Make what is damaged, and return what the commands have to know of it."""
    make_model(folder)
    atlas.open(folder / "empty.duckdb", "w").close()
    copied(folder)
    run("build --db start.duckdb --model model --dataset facts", folder)
    run("edit --db start.duckdb --fact subject0 --object object1", folder)
    run("export --db start.duckdb --out out", folder)
    with atlas.open(folder / "start.duckdb") as opened:
        return {"edit": str(opened.sql("SELECT edit FROM edit")["edit"][0].as_py())}


def trial(case: Case, words: str, start: Path, wanted: Left, pick: random.Random) -> str:
    """Damage one file, use it, and return what became of it."""
    folder = fresh(start)
    path = pick.choice(sorted(each for each in folder.glob(case.files) if each.is_file() and each.stat().st_size))
    before = after = path.read_bytes()
    while after == before:  # blanks where nothing stands
        after = damaged(before, pick)
    path.write_bytes(after)
    code, err, left, meaning = forks.asked(partial(used, case, words, folder, wanted))
    if "error: unexpected" in err or "Traceback" in err or code not in (0, 1, 2):
        return f"traceback: {path.name}: {err.strip()}"
    if code:
        return "told" if err.count("error: ") == 1 else f"not told in one sentence: {path.name}: {err}"
    if left == wanted[0]:
        return "equal"
    return "harmless" if meaning and meaning == wanted[1] else f"silent: {path.name}: {meaning[:200]}"


def used(case: Case, words: str, folder: Path, wanted: Left | None = None) -> tuple[int, str, str, str]:
    """Run the command of a case in this process; return its exit code, what stood on stderr, what it left and, where
    that is not what is `wanted`, what it means.
    """
    code, err = forks.ran(words, folder)
    if code:
        return code, err, "", ""
    try:
        left = case.result(folder)
        other = case.meaning is not None and (wanted is None or left != wanted[0])
        return 0, err, left, case.meaning(folder) if case.meaning and other else ""
    except AtlasError as error:
        return 1, f"error: {error}", "", ""


def main() -> None:
    """Run the trials and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--damages", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--of", default=",".join(CASES))
    parser.add_argument("--results", type=Path)
    parser.add_argument("--seconds", type=float, default=1e9)
    options = parser.parse_args()
    os.environ.update({"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})
    found = Recorded(options.results)
    with TemporaryDirectory() as place:
        start = Path(place) / "start"
        start.mkdir()
        known, names = forks.asked(lambda: (prepare(start), forks.modules()))
        forks.learn(names)
        copied(start)
        _all(options, start, known, found)
    for name, outcomes in found.by_command().items():
        print(f"{name}: {dict(outcomes)}")


def _all(options: argparse.Namespace, start: Path, known: Mapping[str, str], found: Recorded) -> None:
    end = time.monotonic() + options.seconds
    for name in options.of.split(","):
        case, words, folder = CASES[name], CASES[name].words.format(**known), fresh(start)
        code, err, *wanted = forks.asked(partial(used, case, words, folder))
        if code:
            raise SystemExit(f"{name} fails undamaged: {err}")
        for each in range(options.damages // len(CASES)):
            if (name, options.seed, each) not in found.trials and time.monotonic() < end:
                pick = random.Random(f"{options.seed} {name} {each}")
                found.add(name, options.seed, each, trial(case, words, start, (wanted[0], wanted[1]), pick))
    shutil.rmtree(start.with_name("work"), ignore_errors=True)


if __name__ == "__main__":
    main()
