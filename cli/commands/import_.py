"""`atlas import`: add facts without a model."""

from typing import Annotated

import typer

from ..options import DEFAULT_DB, Db, Languages, Relations, SkipBad, some, split
from ..output.summary import show_skips


def import_facts(
    dataset: Annotated[
        str,
        typer.Argument(help="`bundled`, or a folder or file of facts (docs/facts.md).", metavar="DATASET"),
    ],
    db: Db = DEFAULT_DB,
    languages: Languages = None,
    relations: Relations = None,
    limit: Annotated[int, typer.Option(min=0, help="Facts to take at most; 0 for all.")] = 0,
    skip_bad: SkipBad = False,
) -> None:
    """Add facts to the atlas without a model.

    Labels and templates come with them. What is there already stays as it is.
    """
    import atlas
    from atlas.facts import read

    found = read(
        dataset,
        languages=split(languages),
        relations=split(relations),
        limit=some(limit),
        skip_bad=skip_bad,
    )
    with atlas.open(db, "a") as writer:
        added = writer.add_facts(found)
    counts = ", ".join(f"{count:,} {table}" for table, count in added.items())
    print(f"Read {len(found.facts):,} facts and {len(found.templates):,} templates of {found.source}.")
    print(f"Added to {db}: {counts} rows.")
    show_skips(found.skips)
