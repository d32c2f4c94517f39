"""`atlas evaluate`: how well the scorers do."""

from pathlib import Path
from typing import Annotated

import typer

from atlas.outputs import check_folder
from atlas.running.choice import OpenChoice

from .. import diagnostics
from ..options import DEFAULT_DB, IN_USE, OPEN, At, Db, Definition, Languages, Relations, choosing_model, writing
from ..output.emit import STDOUT, Destination
from ..output.evaluation import show
from .exam import exam


@choosing_model
@writing
def evaluate(
    planted: Annotated[bool, typer.Option("--planted", help="The same as `atlas exam`.")] = False,
    family: Annotated[str, typer.Option(hidden=True)] = "bert",
    method: Annotated[str | None, typer.Option(help="Scorers to compare, such as amig,kn; all if left out.")] = None,
    choice: Annotated[OpenChoice, "Model of the atlas; if left out, that of the run in use."] = OPEN,
    languages: Languages = None,
    relations: Relations = None,
    limit: Annotated[
        int, typer.Option(min=0, help="Facts to take at most, in turn from every relation; 0 for all.")
    ] = 40,
    neurons: Annotated[int, typer.Option(min=1, help="Neurons of each scorer in the localisation table.")] = 10,
    curve: Annotated[
        bool, typer.Option("--curve", help="Cut and inject the first 1, 2, 5, 10 and 20 neurons, as curves.")
    ] = False,
    likn_method: Annotated[
        str,
        typer.Option(
            show_default=False,
            help="Scorer of another fact's neurons and of the LIKN; amig, or the first of --method without it.",
        ),
    ] = "",
    definition: Definition = IN_USE,
    at: At = "query",
    scope: Annotated[
        str, typer.Option(help="Where neurons are changed: query, which is the position that --at names, or all.")
    ] = "query",
    replace: Annotated[
        str, typer.Option(help="What a suppressed neuron becomes: zero, mean or swap.", metavar="VALUE")
    ] = "zero",
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Write both tables here, as CSV and Markdown.", metavar="FOLDER")
    ] = None,
    db: Db = DEFAULT_DB,
    seeds: Annotated[int, typer.Option(min=1, hidden=True)] = 2,
    figure: Annotated[Path | None, typer.Option(hidden=True)] = None,
    to: Destination = STDOUT,
) -> None:
    """Print what localisation is worth: what suppressing, enhancing and injecting the neurons of each scorer does.

    The first table compares the scorers at equal numbers of neurons, the second measures neurons of one language in
    another, of two together, and LIKN, all on the same facts. To inject is to put the neurons' values into the same
    template filled with another fact, and to ask for this fact's object. Scores that the atlas lacks are computed
    first. With `--curve`: what cutting the first neurons of each scorer costs its own and unrelated facts, and what
    injecting them raises, by how many they are.
    """
    if planted:
        diagnostics.note("`atlas evaluate --planted` is `atlas exam` now")
        exam(family=family, method=method, seeds=seeds, figure=figure, to=to)
        return
    if out is not None:
        check_folder(out, "--out")
    from atlas import jobs

    from ..output.progress import TerminalProgress

    found = jobs.evaluate(
        **choice.given(), method=method, languages=languages, relations=relations, limit=limit, neurons=neurons,
        curve=curve, likn_method=likn_method, definition=definition, at=at, scope=scope, replace=replace,
        seed=seed, db=db, progress=TerminalProgress(),
    )  # fmt: skip
    show(found, to, out)
