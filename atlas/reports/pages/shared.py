"""What several kinds of pages have in common."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeVar

from atlas.reports.cells import shown
from atlas.reports.context import Figure, Link, Page, Picture, Section, Warning
from atlas.reports.pictures import layer_heat
from atlas.reports.query import Key, Query, Row, deal
from atlas.reports.snapshot import Run, Snapshot
from atlas.store.warnings import UsageWarning

SHARED = "LIKN"
COUNTS = {"facts": "number of facts", "prompts": "number of prompts", "usable": "usable prompts"}
"""What queries count that no view does."""
PROMPTS_CHOSEN = "usable prompts whose answer is the model's own choice"
PROMPT = {"language": "language of the prompt", "text": "the prompt, with the answer in its place"}

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Draft:
    """A page to be made and written: its address in the site, and what makes it."""

    address: str
    make: Callable[[], Page]


def dealt(
    snapshot: Snapshot,
    names: Sequence[str],
    keys: Sequence[Key],
    queries: Sequence[Query],
    address: Callable[..., str],
    make: Callable[[Snapshot, Key, Mapping[str, list[Row]]], Page],
    *,
    at_once: int,
) -> Iterator[Draft]:
    """Yield a page for each of `keys`, the values of the columns `names`: `make` gets its rows of every query."""
    for first in range(0, len(keys), at_once):
        chunk = keys[first : first + at_once]
        for key, rows in zip(chunk, deal(snapshot.source, names, chunk, queries), strict=True):
            yield Draft(address(*key), partial(make, snapshot, key, rows))


def section(run: Run, **parts: Any) -> Section:
    """Return what a page says of a run."""
    return Section(f"run-{run.run}", run.name, run.scorer, str(run.run), **parts)


def of_run(run: Run, rows: Iterable[Row]) -> list[Row]:
    """Return those rows that are of a run, or of its model where they are of all runs of a model."""
    return [row for row in rows if (row["run"] == run.run if "run" in row else row["model"] == run.model)]


def heats(title: str, counts: Mapping[str, Sequence[int]], what: str) -> tuple[Picture, ...]:
    """Return the picture of how many of `what` each layer has, a row for each key of `counts`; none without rows."""
    return (layer_heat(title, counts, SHARED, what),) if counts else ()


def counted(rows: Iterable[Row], layers: int, name: Callable[[Row], str]) -> dict[str, list[int]]:
    """Return the column `neurons` of rows as `[layer]`, by what `name` calls a row."""
    counts: dict[str, list[int]] = {}
    for row in rows:
        counts.setdefault(name(row), [0] * layers)[row["layer"]] = row["neurons"]
    return counts


def figures(query: Query, row: Mapping[str, object]) -> tuple[Figure, ...]:
    """Return the columns of a row of a query as figures."""
    names = (name for name in row if name not in query.hidden)
    return tuple(Figure(name.replace("_", " "), shown(row[name]), query.meaning(name)) for name in names)


def by(column: str, rows: Sequence[Row]) -> dict[object, list[Row]]:
    """Return rows, which are sorted by `column`, by its values."""
    return {key: list(group) for key, group in groupby(rows, key=itemgetter(column))}


def usage_warnings(rows: Iterable[Row], where: Callable[[Sequence[Row]], str]) -> tuple[Warning, ...]:
    """Return the warnings of rows of `usage_warning`, in the order of the vocabulary; `where` says where they hold."""
    held: dict[str, list[Row]] = {}
    for row in rows:
        held.setdefault(row["warning"], []).append(row)
    return tuple(Warning(kind, kind.meaning, where(held[kind])) for kind in UsageWarning if kind in held)


def parts(
    items: Sequence[Item], size: int, address: Callable[[int], str]
) -> Iterator[tuple[int, Sequence[Item], tuple[Link, ...]]]:
    """Yield the pages that a long table takes: number, rows, and links between them; at least one page, even of none.

    The links are of one folder; where there is one page alone there are none.
    """
    count = max(1, -(-len(items) // size))
    names = [address(number).rpartition("/")[2] for number in range(1, count + 1)]
    for here in range(1, count + 1):
        links = (Link(str(number), "" if number == here else name) for number, name in enumerate(names, start=1))
        yield here, items[(here - 1) * size : here * size], tuple(links) if count > 1 else ()


def of_facts(count: int) -> str:
    """Return how many facts something is of."""
    return f"{count:,} fact{'' if count == 1 else 's'}"


def share(value: float, most: float) -> float:
    """Return `value` as percents of `most`, for a bar."""
    return round(100 * value / most, 1) if most > 0 and math.isfinite(value) and value > 0 else 0.0
