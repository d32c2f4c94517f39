"""`atlas merge`: put atlases that were built apart into one."""

import json as json_module
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atlas.errors import counted

from ..diagnostics import visible
from ..output.summary import united_line

if TYPE_CHECKING:
    from atlas.store.transfer.uniting import United


def merge(
    sources: Annotated[list[Path], typer.Argument(help="Atlases to take rows from.", metavar="ATLAS...")],
    into: Annotated[Path, typer.Option("--into", help="The atlas to add to, made if missing.", metavar="ATLAS")],
    json: Annotated[bool, typer.Option("--json", help="Print what was added as JSON.")] = False,
) -> None:
    """Add to one atlas what others hold and it does not.

    An atlas goes in whole or not at all, and again changes nothing. It is refused if it says other things about the
    same run, probe or other row. Numbers that are equal but for rounding are counted, and those of --into stay.
    """
    from atlas.store.transfer.merging import merge as run_merge

    done = []
    for united in run_merge(sources, into):
        done.append(asdict(united))
        if not json:
            show(united, into)
    if json:
        print(json_module.dumps(done, ensure_ascii=False, indent=2))


def show(united: "United", into: Path) -> None:
    """Print what one source added, table by table."""
    from atlas.store.transfer import agreement

    target = visible(str(into))
    total, there = sum(united.added.values()), sum(united.there.values())
    print(f"Added {counted(total, 'row')} of {visible(united.source)} to {target}; {there:,} were there already.")
    if united.languages:
        taken = ", ".join(f"{code} is {own}" for code, own in united.languages.items())
        print(f"  {counted(len(united.languages), 'language')} had another code there: {visible(taken)}")
    if united.facts:
        print(f"  {united_line(united.facts)}")
    for table, rows in united.added.items():
        if rows:
            print(f"  {rows:,} {table}")
    for table, rows in united.rounded.items():
        if rows:
            most = f"{united.rounding[table]:.1g} of {agreement.scale_of(table)}"
            print(f"  {counted(rows, 'row')} of {table} rounded otherwise, by at most {most}: those of {target} stay")
    for table, rows in united.differing.items():
        if rows:
            print(f"  {counted(rows, 'row')} of {table} with another name or note: those of {target} stay")
