"""`atlas runs`: what was computed, with which model and settings."""

from ..options import DEFAULT_DB, Db, FormatOption, Json, Output, chosen
from ..output.emit import emit


def runs(db: Db = DEFAULT_DB, format_: FormatOption = None, json: Json = False, output: Output = None) -> None:
    """List runs: model, method, status and number of prompts."""
    import atlas

    with atlas.open(db) as opened:
        emit(opened.runs().to_arrow(), chosen(format_, json), output)
