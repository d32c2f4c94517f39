"""`atlas compare`: two models side by side."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from .. import diagnostics
from ..options import DEFAULT_DB, IN_USE, Db, Definition, writing
from ..output.emit import STDOUT, Destination

if TYPE_CHECKING:
    from atlas.store.comparison import Comparison


Part = Literal["facts", "neurons", "layers"]


@writing
def compare(
    a: Annotated[str, typer.Argument(help="A model of the atlas, by name or digest, or a run.", metavar="A")],
    b: Annotated[str, typer.Argument(help="Another one.", metavar="B")],
    db: Db = DEFAULT_DB,
    method: Annotated[
        str | None, typer.Option(help="Scorer whose run speaks for each model; if left out, that of A's run in use.")
    ] = None,
    definition: Definition = IN_USE,
    table: Annotated[
        Part | None, typer.Option(help="Table to write; if left out, all as text, and facts in any other format.")
    ] = None,
    to: Destination = STDOUT,
) -> None:
    """Compare two models on the facts and languages that both were probed on.

    facts: how many each knows (the answer is its own choice in most prompts), and in how many it has LIKNs and DKNs.
    neurons: how many a fact has of each kind, their share of its knowledge neurons, and how deep they lie.
    layers: where they lie, by tenths of the relative depth.
    """
    import atlas

    with atlas.open(db) as opened:
        found = opened.compare(a, b, method=method, definition=definition)
    _introduce(found)
    if to.is_talk and to.columns is None:  # every column is there
        _show(found, get_args(Part) if table is None else [table])
    else:
        to.write(getattr(found, table or "facts").to_arrow())


def _introduce(found: "Comparison") -> None:
    """Say who is a and who is b, and warn of unequal settings."""
    for name, run in (("a", found.a), ("b", found.b)):
        shape = f"{run.layers} layers of {run.neurons:,} neurons"
        diagnostics.note(f"{name} is {run.model}, {shape}, run {run.run} ({run.method})")
    if found.unequal:
        diagnostics.note("the settings of these runs differ; `atlas runs` shows them")


def _show(found: "Comparison", parts: Sequence[Part]) -> None:
    """Print tables for eyes."""
    from ..output.cells import rounded

    for number, part in enumerate(parts):
        if number:
            print()
        STDOUT.write(rounded(getattr(found, part).to_arrow()))
