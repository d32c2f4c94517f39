"""`atlas report`: pages for readers."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atlas.matching import names

from .. import diagnostics
from ..asked import NOTHING, Asked, shown
from ..exits import ExitCode
from ..options import DEFAULT_DB, IN_USE, Db, Definition, Relations, Run, RunMethod, RunModel

if TYPE_CHECKING:
    from atlas.reports import Written

MEMORY = "500MB"
"""What the database may use while it writes a report; it spills to disk beyond that."""

MOST_FAILURES = 10
"""How many pages that could not be made are named."""


def report(
    db: Db = DEFAULT_DB,
    out: Annotated[
        Path, typer.Option(help="Folder to write; new, empty or made by this command.", metavar="FOLDER")
    ] = Path("site"),
    facts: Annotated[
        int | None, typer.Option(min=1, help="Fact pages at most, in turn from every relation; all if left out.")
    ] = None,
    relations: Relations = None,
    run: Run = None,
    model: RunModel = None,
    method: RunMethod = None,
    definition: Definition = IN_USE,
) -> None:
    """Write a site of plain files that shows what the atlas holds.

    It opens from disk or from any web server, and needs no network. Start at its index.html. Of each model it shows the
    run that is meant where that model is; --run, --model and --method choose one run.
    """
    written = write(db, out, facts, names(relations), (run, model, method), definition)
    print(diagnostics.visible(line_of(written)))
    pages = ", ".join(f"{count:,} {kind}" for kind, count in written.pages.items() if count)
    print(f"Pages: {pages}.")
    if written.failed:
        raise typer.Exit(ExitCode.FAILED)


def write(
    db: Path,
    out: Path,
    facts: int | None = None,
    relations: Sequence[str] | None = None,
    asked: Asked = NOTHING,
    definition: str = IN_USE,
) -> "Written":
    """Write the report of `db` into `out`, and warn of the pages that could not be made."""
    import atlas
    from atlas import reports

    from ..output.progress import PageProgress

    with atlas.open(db, memory_limit=MEMORY) as opened, PageProgress() as progress:
        runs = shown(opened, *asked)
        selection = reports.Selection(facts, relations, runs, definition)
        written = reports.write(opened, out, selection, progress.step)
    for address, why in list(written.failed.items())[:MOST_FAILURES]:
        diagnostics.warning(f"{address} could not be made: {why}")
    if len(written.failed) > MOST_FAILURES:
        diagnostics.warning(f"{len(written.failed) - MOST_FAILURES:,} further pages could not be made")
    return written


def check(out: Path) -> None:
    """Raise UsageError for a folder that no report may be written into."""
    from atlas.reports.folder import files_of

    files_of(out)


def line_of(written: "Written") -> str:
    """Return a line that says where a report is."""
    return f"The report is {written.page}"
