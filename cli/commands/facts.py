"""`atlas facts`: look facts up."""

from typing import Annotated

import typer

from ..options import DEFAULT_DB, Db, FormatOption, Json, Output, Rows, chosen, some
from ..output.emit import emit


def facts(
    text: Annotated[str | None, typer.Argument(help="Part of a subject or object.", metavar="[TEXT]")] = None,
    db: Db = DEFAULT_DB,
    relation: Annotated[str | None, typer.Option(help="Facts of this relation only.")] = None,
    language: Annotated[str | None, typer.Option(help="Labels in this language only.")] = None,
    limit: Rows = 20,
    format_: FormatOption = None,
    json: Json = False,
    output: Output = None,
) -> None:
    """List facts, those with TEXT in a name if given."""
    import atlas

    with atlas.open(db) as opened:
        found = opened.facts(text, relation=relation, language=language, limit=some(limit))
        emit(found.to_arrow(), chosen(format_, json), output)
