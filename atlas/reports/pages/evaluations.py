"""Evaluation pages: the localisation, cross-lingual and fact-check tables, each with its picture and intervals."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from atlas.reports import addresses, charts
from atlas.reports.cells import cut, shown
from atlas.reports.context import EvaluationPage, Figure, Link, Picture, Section
from atlas.reports.pages.fact_check_intervals import with_intervals
from atlas.reports.pages.shared import Draft, parts
from atlas.reports.query import Query, Row
from atlas.reports.snapshot import Snapshot
from atlas.reports.svg import svg
from atlas.reports.tables import Tables

ROWS_A_PAGE = 120
_MEASURES = """
    log_odds_change, log_odds_change_low, log_odds_change_high, log_change, log_change_unrelated,
    rank_change, rank_change_low, rank_change_high, lost, lost_low, lost_high, gained, gained_low, gained_high,
    success_rate, success_rate_low, success_rate_high, success_rate_both
"""

LOCALISATION = Query(
    "localisation",
    "Localisation",
    f"""
SELECT action, replace, language, method, source, facts, neurons, prompts, {_MEASURES.strip()}
FROM localisation WHERE evaluation = $evaluation
""",
    "action DESC, language, method, source",
    note="Suppressing sets the neurons to what replace says, enhancing doubles them. Injecting puts their values "
    "into the same template filled with another fact, and asks for the injected fact's object. Intervals are bootstrap "
    "95 % over facts. Read the change of log-odds first: the success rate is a ratio without bound.",
    about="localisation",
)
CROSS_LINGUAL = Query(
    "cross-lingual",
    "Across languages",
    f"""
SELECT action, replace, measured, source, languages, method, facts, neurons, prompts, {_MEASURES.strip()}
FROM cross_lingual WHERE evaluation = $evaluation
""",
    "action DESC, measured, source, languages, method",
    note="Neurons of languages measured in another language, all on the same facts; both are two languages' "
    "neurons together. Intervals are bootstrap 95 % over facts.",
    about="cross_lingual",
)
CHECKS = Query(
    "fact-check",
    "Fact checking",
    """
SELECT condition, evidence, claims, unusable, auroc, accuracy, precision, recall, f1
FROM fact_check_metrics
WHERE evaluation = $evaluation AND source_language IS NULL AND relation IS NULL AND language IS NULL
""",
    "condition, auroc DESC, evidence",
    note="All kinds of evidence on the same claims, about subjects that nothing was fitted to. The ends are those of "
    "bootstrap 95 % intervals over subjects, drawn anew from the verdicts; the query gives the values.",
    about="fact_check_metrics",
)
BY_LANGUAGE = Query(
    "fact-check-languages",
    "Fact checking by language",
    """
SELECT condition, language, evidence, claims, unusable, auroc, accuracy, f1
FROM fact_check_metrics
WHERE evaluation = $evaluation AND source_language IS NULL AND relation IS NULL AND language IS NOT NULL
    AND condition = 'plain'
""",
    "condition, language, auroc DESC, evidence",
    about="fact_check_metrics",
)

_LIST = Query(
    "evaluations",
    "Evaluations",
    """
SELECT
    evaluation, purpose AS kind, string_agg(DISTINCT model.name, ', ' ORDER BY model.name) AS model,
    count(DISTINCT fact) AS facts
FROM intervention_effect JOIN run USING (run) JOIN model USING (model) GROUP BY evaluation, purpose
UNION ALL
SELECT verdict.evaluation, 'fact checking' AS kind, any_value(model.name) AS model, NULL AS facts
FROM verdict JOIN claim USING (claim) JOIN run ON run.run = verdict.run JOIN model ON model.model = run.model
WHERE claim.split = 'test' GROUP BY verdict.evaluation
""",
    "kind DESC, evaluation",
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of evaluation: its title, its tables, and the chart of the first table's rows."""

    title: str
    tables: tuple[Query, ...]
    chart: Callable[[Sequence[Row], str], Any]
    views: Mapping[str, str]


_ACTIONS = {
    "suppress": "The neurons cut",
    "enhance": "The neurons doubled",
    "inject": "The neurons' values in another fact's prompts: the injected object",
}
KINDS = {
    "localisation": Kind("How well each scorer locates facts", (LOCALISATION,), charts.localisation, _ACTIONS),
    "cross-lingual": Kind(
        "What neurons of one language do in another", (CROSS_LINGUAL,), charts.cross_lingual, _ACTIONS
    ),
    "fact checking": Kind(
        "How well true claims are told from wrong ones",
        (CHECKS, BY_LANGUAGE),
        charts.fact_check_metrics,
        {"auroc": "Area under the ROC curve"},
    ),
}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One evaluation of `facts`, None in fact checking; `rows` are those of its first table."""

    id: int
    model: str
    kind: Kind
    name: str
    rows: list[Row]
    facts: int | None = None

    @property
    def key(self) -> str:
        """What tells it from others: the tables that one command measures have one id."""
        return f"{self.kind.tables[0].name}-{self.id}"

    @property
    def about(self) -> str:
        """The model, and what cut neurons became where that is not zero."""
        return ", ".join([self.model, *sorted({row.get("replace", "zero") for row in self.rows} - {"zero"})])

    @property
    def bound(self) -> dict[str, object]:
        """What the queries ask for."""
        return {"evaluation": self.id}

    @property
    def views(self) -> list[str]:
        """The pictures that its rows have numbers for."""
        return [view for view in self.kind.views if any(row.get("action", view) == view for row in self.rows)]

    def address(self, part: int = 1) -> str:
        """Return its page, or that of a further part of its first table."""
        return addresses.evaluation(self.key, part)

    def picture(self, view: str, numbers: str) -> Picture:
        """Return its picture: an action, or a metric; `numbers` leads to them."""
        identity, title = f"{self.key}-{view}", self.kind.views[view]
        text = svg(self.kind.chart(self.rows, view), identity, f"{self.kind.title}: {title.lower()}. {self.model}")
        return Picture(title, text, id=identity, caption="Means with 95 % intervals.", numbers=numbers)


def evaluations(snapshot: Snapshot) -> Iterator[Evaluation]:
    """Yield all evaluations of the atlas."""
    for row in snapshot.rows(_LIST, {}):
        kind, identity = KINDS[row["kind"]], row["evaluation"]
        rows = snapshot.rows(kind.tables[0], {"evaluation": identity})
        if row["kind"] == "fact checking":
            rows = with_intervals(snapshot.source, identity, rows)
        yield Evaluation(identity, cut(row["model"]), kind, row["kind"], rows, row["facts"])


def pages(snapshot: Snapshot) -> Iterator[Draft]:
    """Yield the page of every evaluation, of a long table in several parts."""
    for found in evaluations(snapshot):
        for part, rows, links in parts(found.rows, ROWS_A_PAGE, found.address):
            yield Draft(found.address(part), partial(_page, snapshot, found, part, rows, links))


def _page(
    snapshot: Snapshot, found: Evaluation, part: int, rows: Sequence[Row], links: tuple[Link, ...]
) -> EvaluationPage:
    tables = Tables(snapshot, found.address(part))
    first, *others = found.kind.tables
    note = f"Part {part} of {len(links)}. {first.note}" if links else ""
    table = tables.table(first, rows, found.bound, note=note)
    rest = tuple(tables.asked(query, found.bound) for query in others if part == 1)
    pictures = tuple(found.picture(view, f"#{table.id}") for view in found.views if part == 1)
    section = Section("results", found.model, figures=_figures(found), pictures=pictures, tables=(table, *rest))
    return EvaluationPage(tables.site, found.kind.title, (section,), found.name, str(found.id), links)


def summary(snapshot: Snapshot) -> Iterator[Callable[[], Section]]:
    """Yield what the overview shows of the evaluations: the first picture of each, which leads to its page."""
    for found in evaluations(snapshot):
        yield partial(_summary, found)


def _summary(found: Evaluation) -> Section:
    pictures = (found.picture(next(iter(found.kind.views)), found.address()),)
    more = Link("The tables", found.address())
    return Section(found.key, found.kind.title, found.about, more=more, pictures=pictures)


def _figures(found: Evaluation) -> tuple[Figure, ...]:
    if found.facts is not None:
        return (Figure("facts", shown(found.facts), "facts that the table is about, in any language"),)
    claims = max((row["claims"] for row in found.rows), default=0)
    return (Figure("claims", shown(claims), "claims that the table is about"),)
