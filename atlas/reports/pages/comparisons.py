"""Comparison pages: every two models by one scorer, on the facts and languages that both were asked."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from atlas.reports import addresses, charts
from atlas.reports.cells import shown
from atlas.reports.context.pages import ComparisonPage
from atlas.reports.context.parts import Figure, Link, Table
from atlas.reports.context.pictures import Picture
from atlas.reports.context.section import Section
from atlas.reports.pages.shared import NOTHING, Page, site
from atlas.reports.query import Query, Row
from atlas.reports.snapshot import DEFINITION, Run, Snapshot
from atlas.reports.svg import svg
from atlas.reports.tables import Tables
from atlas.store.comparison import ORDERS, TABLES


def _query(table: str, title: str, note: str) -> Query:
    return Query(f"compared-{table}", title, TABLES[table], ORDERS[table], note=note)


FACTS = _query(
    "facts",
    "Facts known, and facts with neurons",
    "A model knows a fact if the answer's first token is its own choice in most prompts. `expected`: in both, if they "
    "were independent. Rows without a language are of all together. A share of LIKNs says little where different facts "
    "of the relation have as many.",
)
NEURONS = _query(
    "neurons",
    "Neurons of a fact",
    "Mean over facts, the share of the facts' knowledge neurons, and the mean relative depth, from 0 to 1.",
)
LAYERS = _query(
    "layers", "Where the neurons lie", "By tenths of the relative depth, for models of any number of layers."
)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs with the rows of each table; `facts` are never empty."""

    a: Run
    b: Run
    facts: list[Row]
    neurons: list[Row]
    layers: list[Row]

    @property
    def bound(self) -> dict[str, object]:
        """What the queries ask for."""
        return {"definition": DEFINITION, "run_a": self.a.run, "run_b": self.b.run}

    @property
    def title(self) -> str:
        """The models' names."""
        return f"{self.a.name} and {self.b.name}"

    @property
    def address(self) -> str:
        """Its page."""
        return addresses.comparison(self.a.run, self.b.run)

    def picture(self, href: str) -> Picture:
        """Return where the neurons of both lie; `href` leads to the numbers."""
        identity = f"comparison-{self.a.run}-{self.b.run}"
        chart = charts.compared_layers(self.layers, self.a.name, self.b.name)
        text = f"Share of the neurons by relative depth, {self.title}"
        return Picture(identity, "Where the neurons lie", "By relative depth.", svg(chart, identity, text), href)


def pairs(snapshot: Snapshot) -> Iterator[Pair]:
    """Yield every two of the runs shown that are by the same scorer and have a usable prompt in common."""
    for a, b in combinations(snapshot.runs, 2):
        bound = {"definition": DEFINITION, "run_a": a.run, "run_b": b.run}
        if a.method == b.method and (facts := snapshot.rows(FACTS, bound)):
            yield Pair(a, b, facts, snapshot.rows(NEURONS, bound), snapshot.rows(LAYERS, bound))


def pages(snapshot: Snapshot) -> Iterator[Page]:
    """Yield the page of every pair."""
    for pair in pairs(snapshot):
        tables = Tables(snapshot, addresses.root(pair.address))
        made = (
            tables.table(FACTS, pair.facts, pair.bound),
            tables.table(NEURONS, pair.neurons, pair.bound),
            tables.table(LAYERS, pair.layers, pair.bound),
        )
        picture = pair.picture(f"#{made[2].id}")
        section = _section(pair, "results", pair.title, (picture,), made)
        context = ComparisonPage(site(snapshot, pair.address), pair.title, pair.a.name, pair.b.name, (section,))
        yield Page(pair.address, "comparison.html", context)


def summary(snapshot: Snapshot) -> tuple[Section, ...]:
    """Return what the overview shows of the pairs: each one's numbers of facts known, and the way to its page."""
    return tuple(
        _section(pair, f"comparison-{pair.a.run}-{pair.b.run}", f"{pair.title}, compared", (), ())
        for pair in pairs(snapshot)
    )


def _section(
    pair: Pair, identity: str, title: str, pictures: tuple[Picture, ...], tables: tuple[Table, ...]
) -> Section:
    return Section(
        id=identity,
        title=title,
        method=pair.a.method,
        run="",
        more=NOTHING if tables else Link("The comparison", pair.address),
        figures=_figures(pair),
        warnings=(),
        layers=(),
        pictures=pictures,
        tables=tables,
    )


def _figures(pair: Pair) -> tuple[Figure, ...]:
    """Return how many facts in languages are compared, and how many each model and both know."""
    known = next(row for row in pair.facts if row["kind"] == "known" and row["language"] is None)
    return (
        Figure("facts in languages", shown(known["facts"]), "compared: both models have a usable prompt of each"),
        Figure(f"known to {pair.a.name}", shown(known["in_a"]), "the answer is its own choice in most prompts"),
        Figure(f"known to {pair.b.name}", shown(known["in_b"]), "the answer is its own choice in most prompts"),
        Figure("known to both", shown(known["in_both"]), "the answer is the choice of both"),
    )
