"""A report as a whole: every kind of page, written one after the other as rows arrive."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from atlas.reports import addresses, search, snapshot
from atlas.reports.folder import Folder
from atlas.reports.pages import comparisons, edits, evaluations, facts, languages, neurons, overview, relations, runs
from atlas.reports.pages.shared import Page
from atlas.reports.rendering import render
from atlas.reports.snapshot import Selection, Snapshot

if TYPE_CHECKING:
    import atlas

KINDS: Mapping[str, Callable[[Snapshot], Iterable[Page]]] = {
    "overview": overview.pages,
    "runs": runs.pages,
    "relations": relations.pages,
    "languages": languages.pages,
    "edits": edits.pages,
    "evaluations": evaluations.pages,
    "comparisons": comparisons.pages,
    "facts": facts.pages,
    "neurons": neurons.pages,
}
"""What kinds of pages there are: a new one is a module with `pages`, a context, a template, and a line here."""

ASSETS = ("style.css", "atlas.js")


@dataclass(frozen=True, slots=True)
class Written:
    """What a report holds: its first page, and how many pages of each kind."""

    page: Path
    pages: Mapping[str, int]


def write(
    source: "atlas.Atlas",
    folder: Path,
    selection: Selection | None = None,
    step: Callable[[str, int], None] = lambda kind, pages: None,
) -> Written:
    """Write the report of `source` into `folder`; `step` hears how many pages of a kind there are so far.

    Raises UsageError if the folder holds files that no report made, or cannot be written, and for a relation that the
    atlas does not have.
    """
    with Folder(folder) as site, source.beside() as own:
        taken = snapshot.take(own, selection or Selection())
        for name in ASSETS:
            site.write(name, files("atlas.templates").joinpath(name).read_text("utf-8"))
        site.write(search.ADDRESS, search.index(taken))
        counts = dict.fromkeys(KINDS, 0)
        for kind, pages in KINDS.items():
            for page in pages(taken):
                site.write(page.address, render(page.template, page.context))
                counts[kind] += 1
                step(kind, counts[kind])
    return Written(folder / addresses.OVERVIEW, counts)
