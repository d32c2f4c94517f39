"""`atlas report`: pages for readers."""

from pathlib import Path
from typing import Annotated

import typer

from .. import diagnostics
from ..options import DEFAULT_DB, Db


def report(
    db: Db = DEFAULT_DB,
    out: Annotated[
        Path, typer.Option(help="Folder to write; new, empty or made by this command.", metavar="FOLDER")
    ] = Path("site"),
) -> None:
    """Write a page that shows what the atlas holds.

    It is one file, which opens from disk and needs no network.
    """
    print(diagnostics.visible(write_report(db, out)))


def write_report(db: Path, out: Path) -> str:
    """Write the report of `db` into `out` and return a line that says where the page is."""
    import atlas
    from atlas.reports import write

    with atlas.open(db) as opened:
        return f"The report is {write(opened, out)}"
