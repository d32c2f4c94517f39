"""`atlas doctor`: is everything in order?"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from atlas.errors import UsageError
from atlas.running.choice import OpenChoice

from ..exits import ExitCode
from ..options import DEFAULT_DB, OPEN, Db, choosing_model, writing
from ..output.emit import STDOUT, Destination


@choosing_model
@writing
def doctor(
    db: Db = DEFAULT_DB,
    choice: Annotated[
        OpenChoice,
        "Check this model, not the atlas: a short name, a Hugging Face id or a folder.",
    ] = OPEN,
    digest: Annotated[
        bool, typer.Option("--digest", help="Print a digest of the atlas' content and nothing else.")
    ] = False,
    to: Destination = STDOUT,
) -> None:
    """Check the installation and the atlas, or whether a model is computed as its own code does.

    The exit code is 1 if something is wrong; warnings alone leave it 0. Atlases of the same content have the same
    digest, in whatever order and in however many pieces they were filled.
    """
    import pyarrow as pa

    _check_named(choice)
    if digest:
        if choice.model is not None:
            raise UsageError("--digest is of an atlas: leave out --model.")
        _print_digest(db, to)
        return

    from atlas.doctor.job import examine, examine_model

    from ..output.progress import TerminalProgress

    found = examine(db) if choice.model is None else examine_model(choice.filled(), TerminalProgress())
    findings = list(found)
    to.write(pa.Table.from_pylist([asdict(finding) for finding in findings]))
    if any(finding.status == "wrong" for finding in findings):
        raise typer.Exit(ExitCode.FAILED)


def _check_named(choice: OpenChoice) -> None:
    """Raise UsageError for an option that says how a model is loaded where none is named."""
    given = [name for name, value in choice.given().items() if value != getattr(OPEN, name)]
    if choice.model is None and given:
        raise UsageError(f"--{given[0].replace('_', '-')} is of a model: name one with --model, or leave it out.")


def _print_digest(db: Path, to: Destination) -> None:
    import pyarrow as pa

    import atlas
    from atlas.store.digest import digest

    with atlas.open(db) as opened:
        found = digest(opened)
    if to.for_eyes:
        print(found)
    else:
        to.write(pa.table({"digest": [found]}))
