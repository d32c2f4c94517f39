"""Reading facts from any source: the bundled set, or a file or folder whose kind shows in its shape."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, cast

from atlas.errors import DataError, UsageError
from atlas.facts import autorr, bmike, bmlama, hub, klar, mlama, mpararel, pararel, table
from atlas.facts.facts import FactSet
from atlas.facts.leftover import left_out, name
from atlas.facts.reading import files, texts
from atlas.facts.reading.collect import Collector
from atlas.facts.selection import limited, narrow

BUNDLED = "bundled"


class Importer(Protocol):
    """What a module that reads one kind of source offers."""

    NAME: str
    SHAPES: tuple[str, ...]

    def fits(self, path: Path) -> bool:
        """True if `path` has the shape of this source."""

    def load(self, path: Path, into: Collector) -> None:
        """Add the wanted facts and templates of `path`."""


IMPORTERS = cast("tuple[Importer, ...]", (table, mpararel, pararel, mlama, bmlama, autorr, klar, bmike))


def read(
    dataset: str | Path = BUNDLED,
    languages: Sequence[str] | None = None,
    relations: Sequence[str] | None = None,
    limit: int | None = None,
    *,
    skip_bad: bool = False,
    sample: int = 0,
) -> FactSet:
    """Read facts and templates.

    Args:
        dataset: `bundled`, the path of a file or folder, or `hf:OWNER/NAME[/FOLDER][@REVISION]`, a data set of the
            Hugging Face hub; its shape tells the source (`SHAPES` of each importer). A path named `bundled` is
            meant by `./bundled`.
        languages: codes as the source writes them; facts keep their labels in these, those without any
            are left out. None takes all.
        relations: names of relations, such as `P36`. None takes all.
        limit: at most so many facts in all, taken in turn from every relation, those first that can be asked
            in the most of the languages; see `limited`. 0 or None takes all.
        sample: which of equals come first under a limit: another number, another sample.
        skip_bad: leave out and count lines that cannot be used, in place of an error.

    Raises:
        UsageError: no such data set, language or relation, or nothing is left of it.
        DataError: a file or line that cannot be used, named with its line number.
    """
    for what, wanted in (("languages", languages), ("relations", relations)):
        if wanted is not None and not wanted:
            raise UsageError(f"No {what} were asked for; name some, or leave the option out to take all.")
    found = replace(_read(dataset, languages, relations, skip_bad), dataset=str(dataset))
    if not found.facts:
        raise UsageError(f"No facts are left in {name(found)}{_because(found, languages, relations)}.")
    return limited(found, limit, sample)


def _read(
    dataset: str | Path, languages: Collection[str] | None, relations: Collection[str] | None, skip_bad: bool
) -> FactSet:
    if dataset == BUNDLED:
        from atlas.facts import bundled

        return narrow(bundled.load(), languages, relations)
    revision = None
    if str(dataset).startswith(hub.PREFIX):
        dataset, revision = hub.snapshot(str(dataset))
    try:
        path, importer = _source(dataset)
        into = Collector(importer.NAME, languages, relations, skip_bad=skip_bad)
        importer.load(path, into)
    except OSError as error:
        place = texts.printable(str(error.filename or dataset))
        raise DataError(f"{place} cannot be read: {error.strerror}; check that it is there and yours.") from error
    return replace(into.finish(), revision=revision)


def _source(dataset: str | Path) -> tuple[Path, Importer]:
    path = Path(dataset)
    try:
        there = path.exists() and str(dataset) != ""  # which is the folder one is in to Path
    except ValueError:
        there = False
    if not there:
        raise UsageError(f"No data set {texts.shown(str(dataset))}; give '{BUNDLED}', or a path that exists.")
    for importer in IMPORTERS:
        if importer.fits(path):
            return path, importer
    if fault := _no_facts(path):
        raise DataError(f"{files.name(path)} {fault}.")
    if path.is_file() and files.ending(path) in (".csv", ".tsv"):
        named = ", ".join(map(texts.shown, files.table(path).columns))
        raise DataError(
            f"{files.name(path)} has the columns {named or 'none'}; facts have {', '.join(table.NEEDED)}, split by "
            f"comma, semicolon or tab (docs/facts.md)."
        )
    shapes = "; ".join(shape for importer in IMPORTERS for shape in importer.SHAPES)
    raise DataError(f"{files.name(path)} is no known kind of data set; known are: {shapes}.")


def _no_facts(path: Path) -> str | None:
    """Return what speaks against a file of whatever name, None if nothing does at a glance."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        head = file.read(1 << 12)
    if not head.strip():
        return "is empty; write a header and a line for each fact into it (docs/facts.md)"
    if head.startswith(b"%PDF"):
        return "is a PDF, not a table; save its table as CSV"
    if head.startswith(b"PK\x03\x04"):
        return "is a spreadsheet or an archive; save the sheet as CSV, or unpack it"
    first = head.splitlines()[0]
    if first.count(b"|") >= len(table.NEEDED) - 1 and b"," not in first:
        return "is split by |; write it with commas, semicolons or tabs"
    return None


def _because(found: FactSet, languages: Collection[str] | None, relations: Collection[str] | None) -> str:
    """Say what the selection was, what was left out on the way, and what to do."""
    asked = [
        f"{what} {', '.join(names)}" for what, names in (("relations", relations), ("languages", languages)) if names
    ]
    if asked:
        return f" for {' and '.join(asked)}{left_out(found)}; select others, or leave the selection out"
    way = "mend these lines" if found.skips else "write a line for each fact into it"
    return f"{left_out(found)}; {way} (docs/facts.md)"
