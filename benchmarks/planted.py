"""The exam of all scorers on planted models of both families: tables and pictures for docs/planted.md.

    python -m benchmarks.planted FOLDER

FOLDER receives, for bert and gpt2 each, every count (CSV), the tables by setting and by circuit (Markdown) and the
picture (SVG). Settings that could not be planted are listed on stderr.
"""

import os
import sys
from pathlib import Path
from typing import Literal

import pyarrow as pa
from pyarrow import csv

from atlas.attribution import METHODS
from atlas.exam import all_rows, by_area, by_circuit, by_setting, figure, standard_grid
from atlas.exam.job import examine

SEEDS = 2


def main(folder: Path) -> None:
    """Examine both families and write the results into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for family in ("bert", "gpt2"):
        examine_family(family, folder)


def examine_family(family: Literal["bert", "gpt2"], folder: Path) -> None:
    """Examine one family and write its four files."""
    exam = examine(standard_grid(family), METHODS, SEEDS, workers=os.cpu_count() or 1)
    for failure in exam.failures:
        print(f"{family}, {failure.setting}, seed {failure.seed}: {failure.reason}", file=sys.stderr)
    csv.write_csv(all_rows(exam.rows), folder / f"planted-{family}.csv")
    (folder / f"planted-{family}.md").write_text(
        "\n".join(
            map(markdown, (by_setting(exam.rows), by_circuit(exam.rows, "base"), by_area(exam.rows, exam.points)))
        ),
        "utf-8",
    )
    (folder / f"planted-{family}.svg").write_text(figure(exam.rows), "utf-8")
    print(f"{family}: {exam.seconds:.0f} s")


def markdown(table: pa.Table) -> str:
    """Return `table` as Markdown."""
    lines = [table.column_names, ["---"] * table.num_columns]
    lines += [["" if value is None else str(value) for value in row.values()] for row in table.to_pylist()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
