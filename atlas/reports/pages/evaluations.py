"""Evaluation pages: the localisation, cross-lingual and fact-check tables, each with its picture and intervals."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from atlas.reports import addresses, charts
from atlas.reports.cells import shown
from atlas.reports.context.pages import EvaluationPage
from atlas.reports.context.parts import Figure
from atlas.reports.context.pictures import Picture
from atlas.reports.context.section import Section
from atlas.reports.intervals import with_intervals
from atlas.reports.pages.shared import Page, site
from atlas.reports.query import Query, Row
from atlas.reports.snapshot import Snapshot
from atlas.reports.svg import svg
from atlas.reports.tables import Tables

_MEASURES = """
    log_odds_change, log_odds_change_low, log_odds_change_high, log_change, log_change_low, log_change_high,
    log_change_unrelated, rank_change, rank_change_low, rank_change_high, lost, lost_low, lost_high,
    gained, gained_low, gained_high, success_rate, success_rate_low, success_rate_high, success_rate_both
"""

LOCALISATION = Query(
    "localisation",
    "Localisation",
    f"""
SELECT action, language, method, source, facts, neurons, prompts, {_MEASURES.strip()}
FROM localisation WHERE evaluation = $evaluation
""",
    "action DESC, language, method, source",
    note="Suppressing sets the neurons to zero, enhancing doubles them. Intervals are bootstrap 95 % over facts. Read "
    "the change of log-odds first: the success rate is a ratio without bound.",
)
CROSS_LINGUAL = Query(
    "cross-lingual",
    "Across languages",
    f"""
SELECT action, measured, source, languages, method, facts, neurons, prompts, {_MEASURES.strip()}
FROM cross_lingual WHERE evaluation = $evaluation
""",
    "action DESC, measured, source, languages, method",
    note="Neurons of `languages` measured in another language, all on the same facts; `both` are two languages' "
    "neurons together. Intervals are bootstrap 95 % over facts.",
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
)

_LIST = Query(
    "evaluations",
    "Evaluations",
    """
SELECT evaluation, purpose AS kind, string_agg(DISTINCT model, ', ' ORDER BY model) AS model
FROM intervention_summary GROUP BY evaluation, purpose
UNION ALL
SELECT verdict.evaluation, 'fact checking' AS kind, any_value(model.name) AS model
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


_ACTIONS = {"suppress": "The neurons at zero", "enhance": "The neurons doubled"}
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
    """One evaluation with the rows of its tables."""

    id: int
    model: str
    kind: Kind
    name: str
    rows: tuple[list[Row], ...]

    @property
    def address(self) -> str:
        """Its page."""
        return addresses.evaluation(self.id)

    def picture(self, view: str, href: str) -> Picture:
        """Return its picture: an action, or a metric; `href` leads to the numbers."""
        identity = f"{self.kind.tables[0].name}-{self.id}-{view}"
        text = f"{self.kind.title}: {self.kind.views[view].lower()}. {self.model}"
        chart = self.kind.chart(self.rows[0], view)
        return Picture(identity, self.kind.views[view], "Means with 95 % intervals.", svg(chart, identity, text), href)


def evaluations(snapshot: Snapshot) -> list[Evaluation]:
    """Return all evaluations of the atlas."""
    return [
        Evaluation(row["evaluation"], row["model"], kind := KINDS[row["kind"]], row["kind"], _rows(snapshot, kind, row))
        for row in snapshot.rows(_LIST, {})
    ]


def _rows(snapshot: Snapshot, kind: Kind, row: Row) -> tuple[list[Row], ...]:
    bound = {"evaluation": row["evaluation"]}
    tables = [snapshot.rows(query, bound) for query in kind.tables]
    if row["kind"] == "fact checking":
        tables[0] = with_intervals(snapshot.source, row["evaluation"], tables[0])
    return tuple(tables)


def pages(snapshot: Snapshot) -> Iterator[Page]:
    """Yield the page of every evaluation."""
    for found in evaluations(snapshot):
        tables = Tables(snapshot, addresses.root(found.address))
        bound = {"evaluation": found.id}
        made = tuple(
            tables.table(query, rows, bound) for query, rows in zip(found.kind.tables, found.rows, strict=True)
        )
        section = Section(
            id="results",
            title=found.model,
            method="",
            run="",
            figures=_figures(found),
            warnings=(),
            layers=(),
            pictures=tuple(found.picture(view, f"#{made[0].id}") for view in found.kind.views),
            tables=made,
        )
        context = EvaluationPage(
            site=site(snapshot, found.address),
            title=found.kind.title,
            kind=found.name,
            id=str(found.id),
            runs=(section,),
        )
        yield Page(found.address, "evaluation.html", context)


def summary(snapshot: Snapshot) -> tuple[Section, ...]:
    """Return what the overview shows of the evaluations: the first picture of each, which leads to its page."""
    return tuple(
        Section(
            id=f"evaluation-{found.id}",
            title=found.kind.title,
            method=found.model,
            run="",
            figures=(),
            warnings=(),
            layers=(),
            pictures=(found.picture(next(iter(found.kind.views)), found.address),),
            tables=(),
        )
        for found in evaluations(snapshot)
    )


def _figures(found: Evaluation) -> tuple[Figure, ...]:
    column = "claims" if found.name == "fact checking" else "facts"
    most = max((row[column] for row in found.rows[0]), default=0)
    return (Figure(column, shown(most), f"{column} that the table is about"),)
