"""Comparison pages: every two models by one scorer, on the facts and languages that both were asked."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

from atlas.reports import addresses, charts
from atlas.reports.cells import shown
from atlas.reports.context import ComparisonPage, Figure, Link, Picture, Section
from atlas.reports.pages.shared import Draft
from atlas.reports.query import Query, Row
from atlas.reports.snapshot import Run, Snapshot
from atlas.reports.svg import svg
from atlas.reports.tables import Tables
from atlas.store.comparison import ORDERS, TABLES


def _query(table: str, title: str, note: str, means: Mapping[str, str]) -> Query:
    of_kind = {"kind": "what is looked for: facts that a model knows, a kind of neuron, or a control"}
    return Query(f"compared-{table}", title, TABLES[table], ORDERS[table], note=note, means={**of_kind, **means})


MOST = 8
"""Models by one scorer of which every two are compared; of more, the one in use is compared with each other one."""

KNOWN = Query(
    "known",
    "Facts known",
    """
SELECT
    count(*) AS facts, count(*) FILTER (known_a) AS in_a, count(*) FILTER (known_b) AS in_b,
    count(*) FILTER (known_a AND known_b) AS in_both
FROM common_ground($run_a, $run_b)
""",
    "ALL",
)
FACTS = _query(
    "facts",
    "Facts known, and facts with neurons",
    "A model knows a fact if the answer is its own choice in most prompts. Expected: in both, if they "
    "were independent. Rows without a language are of all together. A share of LIKNs says little where different facts "
    "of the relation have as many.",
    {
        "language": "language of the facts; none for all together",
        "facts": "facts in languages that were looked at; facts alone for LIKNs",
        "in_a": "number of these of which it holds in the first model",
        "in_b": "number of these of which it holds in the second model",
        "in_both": "number of these of which it holds in both",
        "expected": "number expected in both, if the two were independent",
        "share_a": "share of these of which it holds in the first model",
        "share_b": "share of these of which it holds in the second model",
        "jaccard": "those in both as a share of those in either",
    },
)
NEURONS = _query(
    "neurons",
    "Neurons of a fact",
    "Mean over facts, the share of the facts' knowledge neurons, and the mean relative depth, from 0 to 1.",
    {
        "facts": "facts in languages that were looked at; facts alone for LIKNs",
        "neurons_a": "neurons of a fact in the first model, mean over these",
        "neurons_b": "neurons of a fact in the second model, mean over these",
        "share_a": "share of the facts' knowledge neurons in the first model",
        "share_b": "share of the facts' knowledge neurons in the second model",
        "depth_a": "mean relative depth in the first model",
        "depth_b": "mean relative depth in the second model",
    },
)
LAYERS = _query(
    "layers",
    "Where the neurons lie",
    "By tenths of the relative depth, for models of any number of layers.",
    {
        "depth_from": "relative depth where the tenth begins: 0 is the first layer's input",
        "depth_to": "relative depth where it ends: 1 is the last layer's output",
        "share_a": "share of the first model's neurons that lie there",
        "share_b": "share of the second model's neurons that lie there",
    },
)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs by the same scorer; `known` counts the facts in languages that both were asked, never none."""

    a: Run
    b: Run
    known: Row

    @property
    def bound(self) -> dict[str, object]:
        """What the queries ask for."""
        return {"run_a": self.a.run, "run_b": self.b.run}

    @property
    def title(self) -> str:
        """The models' names."""
        return f"{self.a.name} and {self.b.name}"

    @property
    def id(self) -> str:
        """What its section of the overview is called."""
        return f"comparison-{self.a.run}-{self.b.run}"

    @property
    def address(self) -> str:
        """Its page."""
        return addresses.page("comparisons", self.a.run, self.b.run)


def pairs(snapshot: Snapshot) -> Iterator[Pair]:
    """Yield two runs each of those shown by one scorer at one position that have a usable prompt in common."""
    for scorer in sorted({run.scorer for run in snapshot.runs}):
        for a, b in _chosen([run for run in snapshot.runs if run.scorer == scorer], snapshot):
            (known,) = snapshot.rows(KNOWN, Pair(a, b, {}).bound)
            if known["facts"]:
                yield Pair(a, b, known)


def _chosen(runs: Sequence[Run], snapshot: Snapshot) -> Iterator[tuple[Run, Run]]:
    """Yield every two of a few runs; of many, the one in use, or the first where that is none of them, with each."""
    in_use = snapshot.source.sql("SELECT run FROM run_in_use")["run"].to_pylist()
    middle = next((run for run in runs if run.run in in_use), runs[0])
    return ((a, b) for a, b in combinations(runs, 2) if len(runs) <= MOST or middle in (a, b))


def pages(snapshot: Snapshot) -> Iterator[Draft]:
    """Yield the page of every pair."""
    for pair in pairs(snapshot):
        yield Draft(pair.address, partial(_page, snapshot, pair))


def summary(snapshot: Snapshot) -> Iterator[Callable[[], Section]]:
    """Yield what the overview shows of each pair: its numbers of facts known, and the way to its page."""
    for pair in pairs(snapshot):
        yield partial(_summary, pair)


def _summary(pair: Pair) -> Section:
    more = Link("The comparison", pair.address)
    return Section(pair.id, f"{pair.title}, compared", pair.a.scorer, more=more, figures=_figures(pair))


def _page(snapshot: Snapshot, pair: Pair) -> ComparisonPage:
    tables = Tables(snapshot, pair.address)
    layers = snapshot.rows(LAYERS, pair.bound)
    made = (
        tables.asked(FACTS, pair.bound),
        tables.asked(NEURONS, pair.bound),
        tables.table(LAYERS, layers, pair.bound),
    )
    pictures = (_picture(pair, layers, f"#{made[2].id}"),)
    section = Section("results", pair.title, pair.a.scorer, figures=_figures(pair), pictures=pictures, tables=made)
    return ComparisonPage(tables.site, pair.title, (section,), pair.a.name, pair.b.name)


def _picture(pair: Pair, layers: list[Row], numbers: str) -> Picture:
    """Return where the neurons of both lie; `numbers` leads to them."""
    chart = charts.compared_layers(layers, pair.a.name, pair.b.name)
    text = svg(chart, pair.id, f"Share of the neurons by relative depth, {pair.title}")
    return Picture("Where the neurons lie", text, id=pair.id, caption="By relative depth.", numbers=numbers)


def _figures(pair: Pair) -> tuple[Figure, ...]:
    """Return how many facts in languages are compared, and how many each model and both know."""
    known = pair.known
    return (
        Figure("facts in languages", shown(known["facts"]), "compared: both models have a usable prompt of each"),
        Figure(f"known to {pair.a.name}", shown(known["in_a"]), "the answer is its own choice in most prompts"),
        Figure(f"known to {pair.b.name}", shown(known["in_b"]), "the answer is its own choice in most prompts"),
        Figure("known to both", shown(known["in_both"]), "the answer is the choice of both"),
    )
