"""Random damages of files that people send each other: `python -m benchmarks.damages [--damages 2000] [--seed 0]`.

An atlas, an export, an edit and a model's folder are damaged at random, bytes flipped, cut, blanked or repeated in one
of their files, and then used. Each must be told in one sentence, or leave the result as it is without the damage.
Counted as `silent` is another result with exit code 0, as `traceback` an error that nobody foresaw.
"""

import argparse
import contextlib
import io
import json
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import atlas
from atlas.store.digest import digest

command = import_module("atlas.cli.main").main
ATLAS = (sys.executable, "-m", "atlas.cli")


@dataclass(frozen=True)
class Case:
    """What is damaged (files of a folder, by pattern), the commands that use it, and what they leave."""

    files: str
    words: tuple[str, ...]
    result: Callable[[Path], str]


def _content(folder: Path) -> str:
    with atlas.open(folder / "into.duckdb") as opened:
        return digest(opened)


def _weights(folder: Path) -> str:
    from atlas.models import load_model

    return load_model(str(folder / "edited")).info.digest


CASES: Mapping[str, Case] = {
    "atlas": Case("start.duckdb", ("merge start.duckdb --into into.duckdb",), _content),
    "export": Case("out/**/*", ("import --parquet out --db into.duckdb",), _content),
    "edit": Case("start.edits/*", ("edit apply {edit} --db start.duckdb --model model --save edited",), _weights),
    "model": Case("model/*", ("edit apply {edit} --db start.duckdb --model model --save edited",), _weights),
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
    from atlas.models import load_model

    _checked("build --db start.duckdb --limit 4 --languages en,fr", folder)
    with atlas.open(folder / "start.duckdb") as opened:
        fact = opened.sql("SELECT min(fact) AS fact FROM likn")["fact"][0].as_py()
    made = json.loads(_checked(f"edit --db start.duckdb --fact {fact} --object Rome --force --json", folder))
    _checked("export --db start.duckdb --out out", folder)
    model = load_model("demo-mbert")
    model.model.save_pretrained(folder / "model")  # type: ignore[operator]
    model.tokenizer.save_pretrained(folder / "model")
    return {"edit": str(made[0]["edit"])}


def _checked(words: str, folder: Path) -> str:
    return subprocess.run([*ATLAS, *words.split()], cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout


def used(case: Case, known: Mapping[str, str], folder: Path) -> tuple[int, str]:
    """Run the commands of a case in this process; return the exit code and what stood on stderr."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = max(int(command(words.format(**known).split())) for words in case.words)
    return code, err.getvalue()


def trial(case: Case, known: Mapping[str, str], start: Path, wanted: str, pick: random.Random) -> str:
    """Damage one file, use it, and return what became of it."""
    with TemporaryDirectory() as place:
        folder = Path(shutil.copytree(start, Path(place) / "work"))
        path = pick.choice(sorted(each for each in folder.glob(case.files) if each.is_file() and each.stat().st_size))
        path.write_bytes(damaged(path.read_bytes(), pick))
        code, err = used(case, known, folder)
        if "unexpected" in err or "Traceback" in err:
            return f"traceback: {path.name}: {err.strip()}"
        if code:
            return "told"
        return "equal" if case.result(folder) == wanted else f"silent: {path.name}"


def main() -> None:
    """Run the trials and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--damages", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    pick = random.Random(options.seed)
    with TemporaryDirectory() as place:
        start = Path(place) / "start"
        start.mkdir()
        known = prepare(start)
        for name, case in CASES.items():
            with TemporaryDirectory() as alone:
                folder = Path(shutil.copytree(start, Path(alone) / "work"))
                code, err = used(case, known, folder)
                if code:
                    raise SystemExit(f"{name} fails undamaged: {err}")
                wanted = case.result(folder)
            found = Counter(trial(case, known, start, wanted, pick) for _ in range(options.damages // len(CASES)))
            print(f"{name}: {dict(found)}", flush=True)


if __name__ == "__main__":
    main()
