"""A page's queries: written for one page, run for many at once.

`$name` stands for what the page is about. A page shows the query with its own values; the site runs it for a few
hundred pages together, with `= $fact` and the like widened to all of them, and deals the rows out.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from atlas.store import docs
from atlas.store.connection import quoted

if TYPE_CHECKING:
    import atlas

Row = dict[str, Any]
Key = tuple[int, ...]

_NAME = re.compile(r"\$(\w+)")
_ASKED = re.compile(r"(\b[\w.]+) = \$(\w+)")
_OF_SITE = ("run", "model", "definition")


@dataclass(frozen=True, slots=True)
class Query:
    """Rows of a table of a page: `hidden` columns serve the site, `order` sorts the rows of one page.

    Its columns mean what `means` says and otherwise what they do in the view or table `about`, if it names one.
    """

    name: str
    title: str
    sql: str
    order: str
    hidden: tuple[str, ...] = ()
    note: str = ""
    about: str = ""
    means: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def text(self) -> str:
        """The query of one page, its values open."""
        return f"{self.sql.strip()}\nORDER BY {self.order}"

    def of(self, bound: Mapping[str, object]) -> str:
        """Return the query of one page, as it is shown: its values are written out, quoted where they are text."""
        return _NAME.sub(lambda found: _literal(bound[found[1]]), self.text)

    def meaning(self, column: str) -> str:
        """Return what a column means as plain text, empty if nobody says so."""
        told = docs.meaning(self.about, column) if self.about else ""
        return self.means.get(column, told).replace("`", "")

    def id(self, bound: Mapping[str, object]) -> str:
        """Return the id of its table, a page's own if there is one of each run."""
        return f"{self.name}-{bound['run']}" if "run" in bound else self.name

    def asked(self, bound: Mapping[str, object]) -> dict[str, object]:
        """Return those of a page's values that the query asks for."""
        return {name: bound[name] for name in _NAME.findall(self.sql)}

    def of_many(self) -> str:
        """Return the query of all pages in the temporary table `page`, of the runs in `shown_run`."""
        return _ASKED.sub(_widened, self.text)


def deal(
    source: "atlas.Atlas", names: Sequence[str], pages: Sequence[Key], queries: Iterable[Query]
) -> Iterator[dict[str, list[Row]]]:
    """Yield for each of `pages`, given by their values of the columns `names`, its rows of every query by its name."""
    columns = ", ".join(f"unnest(${name}::BIGINT[]) AS {name}" for name in names)
    values = {name: list(column) for name, column in zip(names, zip(*pages, strict=True), strict=True)}
    source.scratch(f"CREATE OR REPLACE TEMP TABLE page AS SELECT {columns}", values)
    dealt: dict[str, dict[Key, list[Row]]] = {}
    for query in queries:
        hands = dealt[query.name] = {page: [] for page in pages}
        for row in source.sql(query.of_many()).to_pylist():
            hand = hands.get(tuple(row[name] for name in names))
            if hand is not None:
                hand.append(row)
    for page in pages:
        yield {name: hands[page] for name, hands in dealt.items()}


def _literal(value: object) -> str:
    return str(value) if isinstance(value, int | list) else quoted(str(value))


def _widened(found: re.Match[str]) -> str:
    column, name = found.groups()
    return f"{column} IN (SELECT {name} FROM {'shown_run' if name in _OF_SITE else 'page'})"
