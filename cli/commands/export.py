"""`atlas export`: tables and views as files that other tools read."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from atlas.errors import counted
from atlas.matching import names

from .. import diagnostics
from ..asked import NOTHING, choose
from ..diagnostics import visible
from ..options import DEFAULT_DB, IN_USE, Db, Definition, Run, RunMethod, RunModel


def export(
    out: Annotated[Path, typer.Option("--out", help="New or empty folder, or an older export.", metavar="FOLDER")],
    db: Db = DEFAULT_DB,
    format_: Annotated[
        Literal["parquet", "csv", "jsonl"],
        typer.Option("--format", help="How files are written; parquet can be imported again."),
    ] = "parquet",
    tables: Annotated[
        str | None, typer.Option(help="Tables and views to write, such as fact,likn; all tables if left out.")
    ] = None,
    run: Run = None,
    model: RunModel = None,
    method: RunMethod = None,
    definition: Definition = IN_USE,
) -> None:
    """Write tables and views into a folder, with a manifest.

    Large tables get a file for each run. `atlas import --parquet FOLDER` reads them back. Views answer for one run,
    which --run, --model and --method choose; tables hold all.
    """
    import atlas
    from atlas.store.transfer.exporting import TABLES
    from atlas.store.transfer.exporting import export as run_export

    views = [name for name in names(tables) or () if name not in TABLES]
    asked = (run, model, method)
    if views or asked != NOTHING or definition != IN_USE:
        with atlas.open(db) as opened:
            said = choose(opened, *asked)
            run = None if asked == NOTHING or opened.in_use is None else opened.in_use.run
        if said:
            diagnostics.note(said)
    done = run_export(db, out, format_, names(tables), run=run, definition=definition)
    rows, size = sum(file.rows for file in done.files), sum(file.bytes for file in done.files)
    print(visible(f"Wrote {counted(rows, 'row')} in {counted(len(done.files), 'file')} ({size:,} bytes) to {out}."))
