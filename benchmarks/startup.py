"""What commands take before their work begins: processor seconds of the whole process, the least of several runs.

    OMP_NUM_THREADS=1 python -m benchmarks.startup atlas.duckdb [--runs 5]

The atlas is one of `atlas build`. The build is stopped before its first prompt, in a new file. Python keeps what it
compiles, as where the package is installed; the first of the runs fills its cache.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.tables import Table

COMMANDS: dict[str, Sequence[str]] = {
    "atlas --help": ("--help",),
    'atlas sql "select 1"': ("sql", "select 1", "--db", "{db}"),
    "atlas facts": ("facts", "--db", "{db}"),
    "atlas neurons": ("neurons", "--db", "{db}"),
    "atlas neurons --fact Paris": ("neurons", "--fact", "Paris", "--db", "{db}"),
    "atlas neurons L3.486": ("neurons", "L3.486", "--db", "{db}"),
}
RUN = "from atlas.cli.main import run; run()"
STOPPED = """
import os
from atlas.cli.main import run
from atlas.cli.output.progress import TerminalProgress

def start(self, total, done, unit):
    if unit == "prompts":
        os._exit(0)

TerminalProgress.start = start
run()
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("db", type=Path, help="an atlas of `atlas build`")
    parser.add_argument("--runs", type=int, default=5, help="runs of each command, of which the least counts")
    options = parser.parse_args()
    rows = [
        (name, least(RUN, [word.format(db=options.db) for word in words], options.runs))
        for name, words in COMMANDS.items()
    ]
    with tempfile.TemporaryDirectory() as folder:
        rows.append(("atlas build, to its first prompt", min(build(Path(folder), n) for n in range(options.runs))))
    print(Table("Start-up", ("command", "processor seconds"), rows).text())


def build(folder: Path, number: int) -> float:
    """Return the processor seconds of a build of a new file up to its first prompt."""
    return least(STOPPED, ["build", "--db", str(folder / f"{number}.duckdb")], 1)


def least(code: str, words: Sequence[str], runs: int) -> float:
    """Return the least processor seconds, those of the system among them, of `runs` processes; raises if one fails."""
    return min(_seconds([sys.executable, "-c", code, *words]) for _ in range(runs))


def _seconds(command: Sequence[str]) -> float:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
    said = process.stderr.read() if process.stderr else b""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command} failed: {said.decode()}")
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
