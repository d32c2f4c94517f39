"""`atlas use`: which run and which definition are meant where none is named."""

from typing import Annotated

import typer

from atlas.errors import UsageError

from ..options import DEFAULT_DB, Db, writing
from ..output.emit import STDOUT, Destination

_SHOWN = """
SELECT
    run_name.model, run_name.method, meant.definition, EXISTS (FROM in_use WHERE run IS NOT NULL) AS chosen, meant.run
FROM run_in_use AS meant JOIN run_name ON run_name.run = meant.run
"""


@writing
def use(
    model: Annotated[str | None, typer.Option(help="Take this model's run.")] = None,
    method: Annotated[str | None, typer.Option(help="Take this scorer's run.")] = None,
    run: Annotated[int | None, typer.Option(help="Take this run.")] = None,
    definition: Annotated[str | None, typer.Option(help="Take these named thresholds.")] = None,
    newest: Annotated[
        bool, typer.Option("--newest", help="Take the newest run again, whichever that will be.")
    ] = False,
    db: Db = DEFAULT_DB,
    to: Destination = STDOUT,
) -> None:
    """Choose the run and the definition that views, lookups and jobs mean where none is named, or show them.

    The choice stands in the atlas, for every client. Unless one is chosen it is the newest finished run of `amig`,
    or of the next scorer that `atlas build --help` lists, on the model that was built last, never of `random` or an
    untrained twin, and `default`.
    """
    import atlas

    named = (model, method, run) != (None, None, None)
    if newest and named:
        raise UsageError("--newest takes no run by name: leave out --model, --method and --run.")
    if named or newest or definition is not None:
        with atlas.open(db, "a") as writer, writer.transaction():
            writer.use(model=model, method=method, run=run, definition=definition).keep(newest=newest)
            to.write(writer.sql(_SHOWN))
        return
    with atlas.open(db) as opened:
        to.write(opened.sql(_SHOWN))
