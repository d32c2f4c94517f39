"""`atlas import`: add facts without a model."""

from pathlib import Path
from typing import Annotated

import typer

from atlas.errors import UsageError, counted
from atlas.matching import names

from ..options import DEFAULT_DB, Db, Languages, Relations, SkipBad
from ..output.summary import marked_line, renamed_line, show_skips, united_line
from .merge import show


def import_(
    dataset: Annotated[
        str | None,
        typer.Argument(
            help="`bundled`, a folder or file of facts, or hf:OWNER/NAME[@REVISION] (docs/facts.md).", metavar="DATASET"
        ),
    ] = None,
    parquet: Annotated[
        Path | None, typer.Option(help="An export to read back, all its tables, in place of DATASET.", metavar="FOLDER")
    ] = None,
    db: Db = DEFAULT_DB,
    languages: Languages = None,
    relations: Relations = None,
    limit: Annotated[int, typer.Option(min=0, help="Facts to take at most; 0 for all.")] = 0,
    skip_bad: SkipBad = False,
) -> None:
    """Add facts to the atlas without a model, or an export's rows.

    Labels and templates come with them. What is there already stays as it is.
    """
    if parquet is not None:
        if dataset is not None or languages or relations or limit or skip_bad:
            raise UsageError("--parquet takes an export whole; leave out DATASET and the options that select facts.")
        _read_back(parquet, db)
        return
    if dataset is None:
        raise UsageError("Nothing to import is named: give a DATASET, or an export with --parquet.")
    import atlas
    from atlas.facts import read
    from atlas.store.meeting import met

    found = read(
        dataset, languages=names(languages), relations=names(relations), limit=limit or None, skip_bad=skip_bad
    )
    with atlas.open(db, "a") as writer:
        found = met(writer, found)
        added = writer.add_facts(found)
    counts = ", ".join(f"{count:,} {table}" for table, count in added.items())
    facts, templates = counted(len(found.facts), "fact"), counted(len(found.templates), "template")
    print(f"Read {facts} and {templates} of {found.source}.")
    print(f"Added to {db}: {counts} rows.")
    if found.united:
        print(united_line(found.united))
    if found.renamed:
        print(renamed_line(found.renamed))
    if found.marked:
        print(marked_line(found.marked))
    show_skips(found.skips)


def _read_back(folder: Path, db: Path) -> None:
    from atlas.store.transfer.importing import import_parquet

    show(import_parquet(folder, db), db)
