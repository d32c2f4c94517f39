"""`atlas runs`: what was computed, with which model and settings; taking a run out."""

from pathlib import Path
from typing import Annotated

import typer

from atlas.errors import UsageError

from ..options import DEFAULT_DB, Db, writing
from ..output.emit import STDOUT, Destination

COLUMNS = ("model", "kind", "method", "position", "seed", "status", "usable", "prompts", "started", "run")
SPARE = ("kind", "seed", "prompts", "started")


@writing
def runs(
    what: Annotated[str | None, typer.Argument(help="`forget` takes a run out.", metavar="[forget]")] = None,
    run: Annotated[int | None, typer.Argument(help="The run to forget.", metavar="[RUN]")] = None,
    db: Db = DEFAULT_DB,
    to: Destination = STDOUT,
) -> None:
    """List runs: model, method, status and number of prompts; `atlas runs forget RUN` takes one out.

    With a run goes all that it measured and all that was measured of its neurons: scores, knock-outs, evaluations and
    verdicts. Facts, prompts, models and edits stay.
    """
    import atlas

    if what is not None:
        _forget(db, what, run, to)
        return
    with atlas.open(db) as opened:
        to.write(opened.runs().to_arrow(), COLUMNS, spare=SPARE)


def _forget(db: Path, what: str, run: int | None, to: Destination) -> None:
    import pyarrow as pa

    import atlas
    from atlas.store.connection import check_file
    from atlas.store.forgetting import forget

    if what != "forget" or run is None:
        raise UsageError("Runs are listed by `atlas runs` and taken out by `atlas runs forget RUN`.")
    check_file(db)
    with atlas.open(db, "a") as writer:
        removed = forget(writer, run)
    if not to.for_eyes:
        to.write(pa.table({"table": list(removed), "rows": list(removed.values())}))
        return
    print(f"Forgot run {run}: {', '.join(f'{rows:,} of {table}' for table, rows in removed.items())}")
