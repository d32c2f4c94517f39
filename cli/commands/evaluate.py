"""`atlas evaluate`: how well the scorers do."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from atlas.errors import AtlasError, UsageError

from .. import diagnostics
from ..options import DEFAULT_DB, Db, FormatOption, Json, Languages, Output, Relations, chosen, split
from ..output.emit import emit
from ..output.evaluation import show_tables
from ..output.formats import Format

if TYPE_CHECKING:
    from atlas.attribution.settings import Method
    from atlas.exam.job import Exam

MOST_WORKERS = 8
"""Processes that share the models out, at most; each takes some 600 MB."""


def evaluate(
    planted: Annotated[
        bool, typer.Option("--planted", help="Examine the scorers on models with known circuits in their weights.")
    ] = False,
    family: Annotated[str, typer.Option(help="Of --planted: bert or gpt2.")] = "bert",
    method: Annotated[str | None, typer.Option(help="Scorers to compare, such as amig,kn; all if left out.")] = None,
    model: Annotated[str | None, typer.Option(help="Model of the atlas; that of the newest run if left out.")] = None,
    languages: Languages = None,
    relations: Relations = None,
    limit: Annotated[
        int, typer.Option(min=0, help="Facts to take at most, in turn from every relation; 0 for all.")
    ] = 40,
    neurons: Annotated[int, typer.Option(min=1, help="Neurons of each scorer in the localisation table.")] = 10,
    likn_method: Annotated[str, typer.Option(help="Scorer whose LIKN the cross-lingual table takes.")] = "amig",
    definition: Annotated[str, typer.Option(help="Named thresholds of those LIKN.")] = "default",
    scope: Annotated[str, typer.Option(help="Where neurons are changed: query or all positions.")] = "query",
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Write both tables here, as CSV and Markdown.", metavar="FOLDER")
    ] = None,
    db: Db = DEFAULT_DB,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ..., mps or offload.")] = "auto",
    seeds: Annotated[int, typer.Option(min=1, help="Of --planted: models in each setting.")] = 2,
    figure: Annotated[
        Path | None, typer.Option(help="Of --planted: write a picture of the results too.", metavar="FILE.svg")
    ] = None,
    format_: FormatOption = None,
    json: Json = False,
    output: Output = None,
) -> None:
    """Print what localisation is worth: what suppressing and enhancing the neurons of each scorer does.

    The first table compares the scorers at equal numbers of neurons, the second measures neurons of one language in
    another, of two together, and LIKN, all on the same facts. Scores that the atlas lacks are computed first.

    With --planted, precision, recall and F1 of knowledge neurons, LIKN and DKN over a grid of settings, then recall by
    kind of circuit in the base setting. The formats other than `table` write every count, a row each.
    """
    from ..output.progress import TerminalProgress

    if not planted:
        from atlas.evaluation.job import METHODS, EvaluateOptions
        from atlas.evaluation.job import evaluate as run_evaluate

        options = EvaluateOptions(
            db=db, model=model, languages=split(languages), relations=split(relations), limit=limit,
            methods=split(method) or METHODS, method=likn_method, neurons=neurons, definition=definition, scope=scope,
            seed=seed, device=device,
        )  # fmt: skip
        show_tables(run_evaluate(options, TerminalProgress()), chosen(format_, json), output, out)
        return
    from atlas.exam import standard_grid
    from atlas.exam.job import examine

    workers = min(os.cpu_count() or 1, MOST_WORKERS)
    exam = examine(standard_grid(_family(family)), _methods(method), seeds, TerminalProgress(), workers)
    _tell(exam)
    _show(exam, chosen(format_, json), output)
    if figure is not None:
        _draw(exam, figure)


def _family(name: str) -> Literal["bert", "gpt2"]:
    if name not in ("bert", "gpt2"):
        raise UsageError(f"--family cannot be {name!r}: choose bert or gpt2.")
    return cast('Literal["bert", "gpt2"]', name)


def _methods(names: str | None) -> "tuple[Method, ...]":
    from atlas.attribution import METHODS

    wanted = split(names) or METHODS
    for name in wanted:
        if name not in METHODS:
            raise UsageError(f"--method cannot be {name!r}: choose among {', '.join(METHODS)}.")
    return cast("tuple[Method, ...]", wanted)


def _tell(exam: "Exam") -> None:
    """Say what was left out and how long it took."""
    for failure in exam.failures:
        diagnostics.note(f"setting {failure.setting!r}, seed {failure.seed} could not be planted: {failure.reason}")
    diagnostics.note(f"{exam.seconds:.0f} s")


def _show(exam: "Exam", format_: Format | None, output: Path | None) -> None:
    from atlas.exam import all_rows, by_circuit, by_setting

    if not exam.rows:
        raise AtlasError("No model could be planted; the notes above say why.")
    if output is not None or format_ not in (None, Format.table):
        emit(all_rows(exam.rows), format_, output)
        return
    emit(by_setting(exam.rows), Format.table, None)
    print()
    emit(by_circuit(exam.rows, exam.rows[0].setting), Format.table, None)


def _draw(exam: "Exam", path: Path) -> None:
    from atlas.exam import figure

    try:
        path.write_text(figure(exam.rows), "utf-8")
    except OSError as error:
        raise AtlasError(f"{path} cannot be written: {error.strerror}; choose another --figure.") from error
