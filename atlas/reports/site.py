"""A report as a whole: every kind of page, written one after the other as rows arrive."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from atlas.errors import AtlasError
from atlas.reports import addresses, search, snapshot
from atlas.reports.cells import cut, plain
from atlas.reports.context import FailedPage, Section
from atlas.reports.folder import Folder
from atlas.reports.pages import comparisons, edits, evaluations, facts, languages, neurons, overview, relations, runs
from atlas.reports.pages.shared import Draft
from atlas.reports.rendering import render
from atlas.reports.snapshot import Selection, Snapshot
from atlas.reports.tables import Tables

if TYPE_CHECKING:
    import atlas

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of page: its pages, and sections of the overview that tell of them, each made when it is asked for."""

    pages: Callable[[Snapshot], Iterable[Draft]]
    summary: Callable[[Snapshot], Iterable[Callable[[], Section]]] = lambda snapshot: ()


KINDS: Mapping[str, Kind] = {
    "runs": Kind(runs.pages, runs.summary),
    "relations": Kind(relations.pages),
    "languages": Kind(languages.pages),
    "edits": Kind(edits.pages),
    "evaluations": Kind(evaluations.pages, evaluations.summary),
    "comparisons": Kind(comparisons.pages, comparisons.summary),
    "facts": Kind(facts.pages),
    "neurons": Kind(neurons.pages),
}
"""What kinds of pages there are beside the overview: a new one is a module, a context, a template, and a line here."""

ASSETS = ("style.css", "atlas.js")


@dataclass(frozen=True, slots=True)
class Written:
    """What a report holds: its first page, how many pages of each kind, and why pages that failed could not be made."""

    page: Path
    pages: Mapping[str, int]
    failed: Mapping[str, str]


def write(
    source: "atlas.Atlas",
    folder: Path,
    selection: Selection | None = None,
    step: Callable[[str, int], None] = lambda kind, pages: None,
) -> Written:
    """Write the report of `source` into `folder`; `step` hears how many pages of a kind there are so far.

    A page that cannot be made is named in the result, and says so at its address. Raises UsageError if the folder holds
    files that no report made, and for a relation that the atlas does not have; StoreError if the folder cannot be
    written or the atlas cannot be read.
    """
    with Folder(folder) as site, source.beside() as own:
        taken = snapshot.take(own, selection or Selection())
        for name in ASSETS:
            site.write(name, files("atlas.templates").joinpath(name).read_text("utf-8"))
        attempts = _Attempts(taken)
        counts = dict.fromkeys(("overview", *KINDS), 0)
        for kind, draft in attempts.drafts():
            site.write(draft.address, attempts.html(draft))
            counts[kind] += 1
            step(kind, counts[kind])
        site.write(search.ADDRESS, search.index(taken))
    return Written(folder / addresses.OVERVIEW, counts, attempts.failed)


@dataclass(frozen=True, slots=True)
class _Attempts:
    """Makes pages, and notes those that fail, by address, or by kind where it is unknown which page it was."""

    snapshot: Snapshot
    failed: dict[str, str] = field(default_factory=dict)

    def drafts(self) -> Iterator[tuple[str, Draft]]:
        """Yield every page to be, with its kind; the overview last, so that what it leads to is there."""
        for name, kind in KINDS.items():
            for draft in self._each(name, kind.pages):
                yield name, draft
        yield "overview", overview.draft(self.snapshot, self._summaries)

    def html(self, draft: Draft) -> str:
        """Return a page, or one that says why it could not be made."""
        made = self._made(draft.address, lambda: render(draft.make()))
        if made is not None:
            return made
        page = Tables(self.snapshot, draft.address).site
        return render(FailedPage(page, "Page not made", self.failed[draft.address]))

    def _summaries(self) -> tuple[Section, ...]:
        """Return the sections of the overview that can be made."""
        makers = [make for name, kind in KINDS.items() for make in self._each(f"overview: {name}", kind.summary)]
        made = [self._made(f"overview: part {number}", make) for number, make in enumerate(makers, start=1)]
        return tuple(section for section in made if section is not None)

    def _each(self, name: str, found: Callable[[Snapshot], Iterable[Made]]) -> Iterator[Made]:
        """Yield what is found, as far as it goes."""
        items = self._made(name, lambda: iter(found(self.snapshot))) or iter(())
        while (item := self._made(name, lambda: next(items, None))) is not None:
            yield item

    def _made(self, name: str, make: Callable[[], Made]) -> Made | None:
        """Return what is made, or None if that fails for another reason than the atlas's or the folder's state."""
        try:
            return make()
        except AtlasError:
            raise
        except Exception as error:
            self.failed[name] = plain(cut(f"{type(error).__name__}: {error}"))
            return None
