"""Evaluation pages: the localisation, cross-lingual and fact-check tables, each with its picture and intervals."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from atlas.reports import addresses, charts
from atlas.reports.cells import shown
from atlas.reports.context.pages import EvaluationPage
from atlas.reports.context.parts import Figure, Link, Table
from atlas.reports.context.pictures import Picture
from atlas.reports.context.section import Section
from atlas.reports.pages.fact_check_intervals import with_intervals
from atlas.reports.pages.shared import NOTHING, Page, parts, site
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
    note="Neurons of languages measured in another language, all on the same facts; both are two languages' "
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
    """Yield the page of every evaluation, of a long table in several parts."""
    for found in evaluations(snapshot):
        count = max(1, -(-len(found.rows[0]) // ROWS_A_PAGE))
        for part in range(1, count + 1):
            yield _page(snapshot, found, part, count)


def _page(snapshot: Snapshot, found: Evaluation, part: int, count: int) -> Page:
    address = addresses.evaluation(found.id, part)
    tables = Tables(snapshot, addresses.root(address))
    bound = {"evaluation": found.id}
    first, *others = zip(found.kind.tables, found.rows, strict=True)
    cut = first[1][(part - 1) * ROWS_A_PAGE : part * ROWS_A_PAGE]
    note = f"Part {part} of {count}. {first[0].note}" if count > 1 else ""
    made = (
        tables.table(first[0], cut, bound, note=note),
        *(tables.table(query, rows, bound) for query, rows in others if part == 1),
    )
    views = found.kind.views if part == 1 else ()
    section = _section(
        found, "results", found.model, tuple(found.picture(view, f"#{made[0].id}") for view in views), made
    )
    context = EvaluationPage(
        site=site(snapshot, address),
        title=found.kind.title,
        kind=found.name,
        id=str(found.id),
        parts=parts(part, count, lambda number: addresses.evaluation(found.id, number)),
        runs=(section,),
    )
    return Page(address, "evaluation.html", context)


def summary(snapshot: Snapshot) -> tuple[Section, ...]:
    """Return what the overview shows of the evaluations: the first picture of each, which leads to its page."""
    return tuple(
        _section(
            found,
            f"evaluation-{found.id}",
            found.kind.title,
            (found.picture(next(iter(found.kind.views)), found.address),),
            (),
        )
        for found in evaluations(snapshot)
    )


def _section(
    found: Evaluation, identity: str, title: str, pictures: tuple[Picture, ...], tables: tuple[Table, ...]
) -> Section:
    return Section(
        id=identity,
        title=title,
        method="" if tables else found.model,
        run="",
        more=NOTHING if tables else Link("The tables", found.address),
        figures=_figures(found) if tables else (),
        warnings=(),
        layers=(),
        pictures=pictures,
        tables=tables,
    )


def _figures(found: Evaluation) -> tuple[Figure, ...]:
    column = "claims" if found.name == "fact checking" else "facts"
    most = max((row[column] for row in found.rows[0]), default=0)
    return (Figure(column, shown(most), f"{column} that the table is about"),)
