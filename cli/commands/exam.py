"""`atlas exam`: the scorers on models whose circuits are known."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from atlas import scorers
from atlas.errors import AtlasError
from atlas.matching import names, option
from atlas.outputs import check_file, whole_file

from .. import diagnostics
from ..options import writing
from ..output.emit import STDOUT, Destination

if TYPE_CHECKING:
    from atlas.exam.job import Exam

MOST_WORKERS = 8
"""Processes that share the models out, at most; each takes some 600 MB."""


@writing
def exam(
    family: Annotated[str, typer.Option(help="bert or gpt2.")] = "bert",
    method: Annotated[str | None, typer.Option(help="Scorers to compare, such as amig,kn; all if left out.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Models in each setting.")] = 2,
    setting: Annotated[
        str | None, typer.Option(help="Settings to take, such as base,translations compete; all if left out.")
    ] = None,
    figure: Annotated[Path | None, typer.Option(help="Write a picture of the results too.", metavar="FILE.svg")] = None,
    to: Destination = STDOUT,
) -> None:
    """Examine the scorers on planted models, small ones with known circuits in their weights.

    Precision, recall and F1 of knowledge neurons, LIKN and DKN over a grid of settings, then recall by kind of circuit
    in the base setting, then the area under precision over recall as the thresholds `tau` and `least` go down, with
    intervals over models. The formats other than `table` write every count, a row each.
    """
    if figure is not None:
        check_file(figure, "--figure")
    methods = scorers.asked(names(method), "exam")
    family = option("--family", family, ("bert", "gpt2"))
    from atlas.exam import standard_grid
    from atlas.exam.job import examine

    from ..output.progress import TerminalProgress

    grid = {one.name: one for one in standard_grid(cast('Literal["bert", "gpt2"]', family))}
    settings = [grid[name] for name in dict.fromkeys(option("--setting", own, grid) for own in names(setting) or grid)]
    workers = min(os.cpu_count() or 1, MOST_WORKERS)
    found = examine(settings, methods, seeds, TerminalProgress(), workers)
    for failure in found.failures:
        diagnostics.note(f"setting {failure.setting!r}, seed {failure.seed} could not be planted: {failure.reason}")
    diagnostics.note(f"{found.seconds:.0f} s")
    _show(found, to)
    if figure is not None:
        _draw(found, figure)


def _show(found: "Exam", to: Destination) -> None:
    from atlas.exam import all_rows, by_area, by_circuit, by_setting

    if not found.rows:
        raise AtlasError("No model could be planted; the notes above say why.")
    if not to.for_eyes:
        to.write(all_rows(found.rows))
        return
    STDOUT.write(by_setting(found.rows))
    print()
    STDOUT.write(by_circuit(found.rows, found.rows[0].setting))
    if found.points:
        print()
        STDOUT.write(by_area(found.rows, found.points))


def _draw(found: "Exam", path: Path) -> None:
    from atlas.exam import figure

    with whole_file(path, "--figure") as part:
        part.write_text(figure(found.rows), "utf-8")
