"""`atlas study`: the paper's experiments with all controls, and which of its claims hold."""

from pathlib import Path
from typing import Annotated

import typer

from atlas import scorers
from atlas.matching import names
from atlas.running.choice import ModelChoice, replace_of
from atlas.schema import REPLACES

from .. import diagnostics
from ..exits import ExitCode
from ..options import DEMO, Ask, Examples, Languages, Relations, choosing_model


@choosing_model
def study(
    choice: Annotated[ModelChoice, "The model: whatever `atlas build` takes."] = DEMO,
    dataset: Annotated[str, typer.Option(help="`bundled`, or a folder or file of facts (docs/facts.md).")] = "bundled",
    out: Annotated[
        Path, typer.Option(help="Folder of the study: new, empty, or that of the same study.", metavar="FOLDER")
    ] = Path("study"),
    languages: Languages = None,
    relations: Relations = None,
    limit: Annotated[int, typer.Option(min=0, help="Facts to take at most; 0 for all.")] = 40,
    known: Annotated[
        bool, typer.Option("--known", help="Take only facts that the model knows in every one of the languages.")
    ] = False,
    ask: Ask = False,
    examples: Examples = None,
    method: Annotated[
        str, typer.Option(help="The scorer that is studied, then those that stand beside it.", metavar="NAMES")
    ] = f"{scorers.DEFAULT},kn,activation,random",
    replace: Annotated[
        str, typer.Option(help="What cut neurons become, an evaluation each.", metavar="VALUES")
    ] = ",".join(REPLACES),
    edits: Annotated[int, typer.Option(min=0, help="Facts to edit, each at three kinds of neurons.")] = 10,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    page: Annotated[
        bool, typer.Option("--page", help="Write the pages of the steps that are done, and no more.")
    ] = False,
) -> None:
    """Do the paper's experiments with all controls on one atlas, and write which of its claims hold.

    A build with the untrained twin, knock-outs, evaluations, fact checks and edits, in this order; then study.md and
    study.html in the folder, with every verdict's numbers and rule. After Ctrl-C or a crash, the same command goes on;
    with --page it writes the pages of what is done so far.
    """
    from atlas.study.job import StudyOptions, so_far
    from atlas.study.job import study as run_study
    from atlas.study.page import write

    from ..output.progress import TerminalProgress

    methods = scorers.asked(names(method), "localisation")
    replaces = tuple(filter(None, map(replace_of, names(replace) or ())))
    options = StudyOptions(
        **choice.given(), dataset=dataset, languages=names(languages), relations=names(relations), limit=limit,
        known=known, ask=ask, examples=examples, out=out, methods=methods, replaces=replaces, edits=edits, seed=seed,
    )  # fmt: skip
    found = so_far(options) if page else run_study(options, TerminalProgress())
    if found.left and not page:
        diagnostics.error(
            f"interrupted with {len(found.left)} steps left ({found.left[0]} is next); nothing is lost",
            "the same command goes on where this one stopped; with --page it writes the pages of what is done",
        )
        raise typer.Exit(ExitCode.FAILED)
    for text in found.cuts:
        diagnostics.note(text)
    for path in write(found):
        print(diagnostics.visible(f"The study is {path}"))
