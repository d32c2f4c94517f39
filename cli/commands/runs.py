"""`atlas runs`: what was computed, with which model and settings."""

from ..options import DEFAULT_DB, Db, writing
from ..output.emit import STDOUT, Destination

COLUMNS = ("model", "kind", "method", "seed", "status", "usable", "prompts", "started", "run")
SPARE = ("kind", "seed", "prompts", "started")


@writing
def runs(db: Db = DEFAULT_DB, to: Destination = STDOUT) -> None:
    """List runs: model, method, status and number of prompts."""
    import atlas

    with atlas.open(db) as opened:
        to.write(opened.runs().to_arrow(), COLUMNS, spare=SPARE)
