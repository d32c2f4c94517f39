"""`atlas facts`: look facts up."""

from typing import Annotated

import typer

from atlas.matching import names

from ..diagnostics import note
from ..options import DEFAULT_DB, Db, Languages, OldName, Relations, Rows, writing
from ..output.emit import STDOUT, Destination

COLUMNS = ("relation_name", "language", "subject", "object")


@writing
def facts(
    text: Annotated[str | None, typer.Argument(help="Part of a subject or object.", metavar="[TEXT]")] = None,
    db: Db = DEFAULT_DB,
    relations: Relations = None,
    languages: Languages = None,
    relation: OldName = None,
    language: OldName = None,
    limit: Rows = 20,
    to: Destination = STDOUT,
) -> None:
    """List facts, those with TEXT in a name if given."""
    import atlas
    from atlas.store.naming import names_like

    with atlas.open(db) as opened:
        found = opened.facts(
            text,
            relation=names(relations or relation),
            language=names(languages or language),
            limit=limit + 1 if limit else None,
        )
        rows = found.to_arrow()
        if text and not rows.num_rows and (near := names_like(opened, text)):
            note(f"no fact's name holds {text!r}; did you mean {' or '.join(near)}?")
        to.write(rows, COLUMNS, limit)
