"""`atlas facts`: look facts up."""

from typing import Annotated

import typer

from ..options import DEFAULT_DB, Db, Rows, writing
from ..output.emit import STDOUT, Destination

COLUMNS = ("relation_name", "language", "subject", "object")


@writing
def facts(
    text: Annotated[str | None, typer.Argument(help="Part of a subject or object.", metavar="[TEXT]")] = None,
    db: Db = DEFAULT_DB,
    relation: Annotated[str | None, typer.Option(help="Facts of this relation only.")] = None,
    language: Annotated[str | None, typer.Option(help="Labels in this language only.")] = None,
    limit: Rows = 20,
    to: Destination = STDOUT,
) -> None:
    """List facts, those with TEXT in a name if given."""
    import atlas

    with atlas.open(db) as opened:
        found = opened.facts(text, relation=relation, language=language, limit=limit + 1 if limit else None)
        to.write(found.to_arrow(), COLUMNS, limit)
