"""The overview: what the atlas holds, and what each model's run found."""

from collections.abc import Callable
from functools import partial

from atlas.reports import addresses
from atlas.reports.cells import cut
from atlas.reports.context import Evidence, Figure, OverviewPage, Section, Table
from atlas.reports.pages.positions import PROFILE, PROFILE_SHOWN
from atlas.reports.pages.shared import COUNTS, Draft, figures
from atlas.reports.query import Query, Row
from atlas.reports.snapshot import Snapshot
from atlas.reports.tables import Tables
from atlas.schema import usable
from atlas.store import docs, queries

HOLDS = Query("holds", "What it holds", queries.HOLDS, "ALL")
THRESHOLDS = Query(
    "thresholds",
    "Thresholds",
    """
SELECT
    tau, nullif(tau_by_language::VARCHAR, '{}') AS tau_by_language, share, least, known,
    coalesce(min_languages::VARCHAR, 'all') AS "languages of a LIKN", normalization, t_low, t_high, absolute, strict,
    replace, relation_share
FROM definition WHERE definition = $definition
""",
    "ALL",
    about="definition",
)
EVIDENCE = Query(
    "evidence",
    "LIKN of a fact",
    """
SELECT
    avg(observed) AS found, avg(in_exchanged_facts) AS "in exchanged facts",
    avg(twin_likn) AS "in the untrained twin",
    CASE WHEN count(in_exchanged_facts) < count(*) THEN avg(observed) FILTER (in_exchanged_facts IS NOT NULL) END
        AS "found in facts that can be exchanged"
FROM likn_control_all WHERE definition = $definition AND run = $run
""",
    "ALL",
)
RUNS = Query(
    "runs",
    "Runs",
    f"""
SELECT
    run.run, model.name AS model, model.kind, run.method, coalesce(run.settings ->> 'at', 'query') AS position,
    run.status, run.started,
    count(probe.prompt) AS prompts,
    count(*) FILTER ({usable("probe.status")}) AS usable,
    count(*) FILTER (probe.status = 'not_converged') AS not_converged,
    count(*) FILTER (NOT ({usable("probe.status")})) AS skipped
FROM run JOIN model USING (model) LEFT JOIN probe ON probe.run = run.run
GROUP BY ALL
""",
    "run.started, run.run",
    note="Of a model's runs the pages show the one that is meant where that model is named, unless one was chosen. A "
    "run of union joins the neurons of several for knock-outs, and has no prompts of its own.",
    about="run",
    means={
        **COUNTS,
        "model": "name of the model",
        "kind": docs.meaning("model", "kind"),
        "position": docs.meaning("position_profile", "position"),
        "not_converged": "usable prompts that are not converged",
        "skipped": "prompts that have no scores to be used",
    },
)
SKIPPED = Query(
    "skipped",
    "What was skipped",
    f"""
SELECT model.name AS model, run.method, prompt.language, probe.status, count(*) AS prompts
FROM probe JOIN prompt USING (prompt) JOIN run ON run.run = probe.run JOIN model ON model.model = run.model
WHERE NOT ({usable("probe.status")})
GROUP BY ALL
""",
    "ALL",
    note="not_final: a causal model cannot be asked where the answer is not last. unspellable: the tokenizer has "
    "no tokens for the answer or the subject. unresolved: the completeness error is above ten times the tolerance. "
    "nan: the model gave no number. too_long: the model takes no prompt as long. no_subject: no token is the subject's "
    "last one, or it is its neighbour's too.",
    about="probe",
    means={**COUNTS, "model": "name of the model", "method": "scorer", "language": "language of the prompts"},
)
RELATIONS = Query(
    "relations",
    "Relations",
    """
SELECT relation.relation, relation.name, count(fact.fact) AS facts
FROM relation LEFT JOIN fact USING (relation)
GROUP BY ALL
""",
    "relation",
    about="relation",
    means={"facts": "facts of the relation"},
)
LANGUAGES = Query(
    "languages",
    "Languages",
    """
SELECT language.language, language.name, count(fact_label.fact) AS facts
FROM language LEFT JOIN fact_label USING (language)
GROUP BY ALL
""",
    "language",
    about="language",
    means={"facts": "facts that have names in the language"},
)
EDITS = Query(
    "edits",
    "Edits",
    f"""
SELECT
    edit.edit, edit.fact, {queries.NEW_OBJECT}, summary.model, edit.method, edit.source, summary.n_neurons, edit.status,
    summary.efficacy, summary.paraphrase, summary.transfer, summary.locality, summary.neighbour
FROM edit JOIN edit_summary AS summary ON summary.edit = edit.edit JOIN fact_name AS names ON names.fact = edit.fact
QUALIFY row_number() OVER (ORDER BY edit.created DESC, edit.edit) <= 100
""",
    "edit.created DESC, edit.edit",
    note="The newest, at most 100; a fact's page leads to all of its own.",
    about="edit_summary",
    means={"fact": "fact that was edited"},
)


_MENU = (RELATIONS, LANGUAGES, RUNS)
"""What every page's menu leads to, be it empty."""


def draft(snapshot: Snapshot, sections: Callable[[], tuple[Section, ...]]) -> Draft:
    """Return the overview; `sections` gives what other kinds of pages tell in it."""
    return Draft(addresses.OVERVIEW, partial(_page, snapshot, sections))


def _page(snapshot: Snapshot, sections: Callable[[], tuple[Section, ...]]) -> OverviewPage:
    tables = Tables(snapshot, addresses.OVERVIEW)
    return OverviewPage(
        site=tables.site,
        title=cut(snapshot.source.path.name),
        evidence=tuple(
            Evidence(run.name, _evidence(snapshot.rows(EVIDENCE, {"run": run.run})[0])) for run in snapshot.runs
        ),
        holds=figures(HOLDS, snapshot.rows(HOLDS, {})[0]),
        definition=cut(snapshot.definition),
        thresholds=figures(THRESHOLDS, snapshot.rows(THRESHOLDS, {})[0]),
        tables=_lists(snapshot, tables),
        runs=sections(),
    )


def _lists(snapshot: Snapshot, tables: Tables) -> tuple[Table, ...]:
    """Return what is told of no run: tables that hold something, or that the menu leads to."""
    profile = tables.table(PROFILE_SHOWN, snapshot.rows(PROFILE, {}), {"runs": [run.run for run in snapshot.runs]})
    lists = [(query, tables.asked(query, {})) for query in (RELATIONS, LANGUAGES, EDITS, RUNS, SKIPPED)]
    lists.insert(2, (PROFILE, profile))
    return tuple(table for query, table in lists if table.rows or query in _MENU)


def _evidence(row: Row) -> tuple[Figure, ...]:
    """Return the figures of a run, the last one only where not all of its facts can be exchanged."""
    *always, last = row
    return figures(EVIDENCE, row if row[last] is not None else {name: row[name] for name in always})
