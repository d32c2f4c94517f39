"""What several kinds of pages have in common."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import atlas
from atlas.reports import addresses
from atlas.reports.cells import shown
from atlas.reports.context.parts import Figure, Link, Site, Warning
from atlas.reports.query import Row
from atlas.reports.snapshot import Snapshot
from atlas.reports.tables import meaning
from atlas.store.warnings import UsageWarning

SHARED = "LIKN"
NOTHING = Link("", "")


@dataclass(frozen=True, slots=True)
class Page:
    """A page to be written: its address in the site, its template and the template's values."""

    address: str
    template: str
    context: object


def site(snapshot: Snapshot, address: str) -> Site:
    """Return what the page at `address` knows of the site."""
    return Site(snapshot.source.path.name, atlas.__version__, addresses.root(address), bool(snapshot.edits))


def figures(row: Mapping[str, object]) -> tuple[Figure, ...]:
    """Return the columns of a row as figures."""
    return tuple(Figure(name.replace("_", " "), shown(value), meaning(name)) for name, value in row.items())


def by(column: str, rows: Sequence[Row]) -> dict[object, list[Row]]:
    """Return rows, which are sorted by `column`, by its values."""
    return {key: list(group) for key, group in groupby(rows, key=itemgetter(column))}


def usage_warnings(rows: Iterable[Row], where: Callable[[Sequence[Row]], str]) -> tuple[Warning, ...]:
    """Return the warnings of rows of `usage_warning`, in the order of the vocabulary; `where` says where they hold."""
    held: dict[str, list[Row]] = {}
    for row in rows:
        held.setdefault(row["warning"], []).append(row)
    return tuple(Warning(kind, kind.meaning, where(held[kind])) for kind in UsageWarning if kind in held)


def parts(here: int, count: int, address: Callable[[int], str]) -> tuple[Link, ...]:
    """Return links between the pages that a long table takes, in one folder; none where there is one."""
    if count == 1:
        return ()
    names = [(number, address(number).rpartition("/")[2]) for number in range(1, count + 1)]
    return tuple(Link(str(number), "" if number == here else name) for number, name in names)


def share(value: float, most: float) -> float:
    """Return `value` as percents of `most`, for a bar."""
    return round(100 * value / most, 1) if most > 0 and math.isfinite(value) and value > 0 else 0.0
