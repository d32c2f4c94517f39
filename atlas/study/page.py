"""The study's page, in Markdown and HTML: the verdicts first, then the tables that they are read from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import atlas
from atlas import outputs
from atlas.errors import counted
from atlas.reports.cells import shown
from atlas.reports.context import Cell, Column, Site, StudyPage, Table
from atlas.reports.rendering import render
from atlas.store.digest import digest
from atlas.study.claims import GATHERED, RULE, Finding
from atlas.study.job import Study, StudyOptions

TITLE = "Do the paper's claims hold?"
COLUMNS = ("claim", "verdict", "facts", "own", "control", "difference", "smallest that counts", "compared")


@dataclass(frozen=True, slots=True)
class Section:
    """A titled table of texts with a note; `rows` all have as many cells as `columns`."""

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def write(study: Study) -> tuple[Path, Path]:
    """Write `study.md` and `study.html` into the study's folder and return their paths."""
    folder = study.options.out
    with atlas.open(study.options.db, timeout=None) as opened:
        opened.scratch(GATHERED, {"run": study.run})
        lines, sections = list(_about(study, opened)), list(_sections(study, opened))
    site = Site(study.options.db.name, atlas.__version__, root="", edits=False)
    page = StudyPage(site, TITLE, tuple(lines), tuple(map(_table, sections)))
    texts = {folder / "study.md": markdown(TITLE, lines, sections), folder / "study.html": render(page)}
    for path, text in texts.items():
        with outputs.whole_file(path, "--out") as part:
            part.write_text(text, "utf-8")
    markdown_page, html_page = texts
    return markdown_page, html_page


def markdown(title: str, lines: Sequence[str], sections: Sequence[Section]) -> str:
    """Return the page as Markdown; bars and line breaks in a cell are escaped."""
    text = [f"# {title}", "", *(f"- {line}" for line in lines)]
    for section in sections:
        rows = [section.columns, ["---"] * len(section.columns), *section.rows]
        table = [f"| {' | '.join(map(_cell, row))} |" for row in rows] if section.rows else ["None."]
        text += ["", f"## {section.title}", "", *([section.note, ""] if section.note else []), *table]
    return "\n".join([*text, ""])


def _table(section: Section) -> Table:
    columns = tuple(Column(name, "", numeric=False) for name in section.columns)
    rows = tuple(tuple(map(Cell, row)) for row in section.rows)
    note = section.note.replace("`", "")
    return Table(section.title.lower().replace(" ", "-"), section.title, columns, rows, "", note)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _about(study: Study, opened: atlas.Atlas) -> Iterator[str]:
    asked = study.options
    (model,) = opened.sql(_MODEL, {"run": study.run}).to_pylist()
    yield f"Model {model['name']}, weights {model['digest']}; scorer {asked.method}, seed {asked.seed}."
    yield _facts(asked)
    put = [
        *(["asked for after sentences that do not end in the object"] if asked.ask else ()),
        *([f"after {asked.examples} examples"] if asked.examples else ()),
    ]
    if put:
        yield f"Templates: {', '.join(put)}."
    yield f"Atlas {asked.db.name}, digest {digest(opened)}; every table below is read from it."
    seconds = (f"{name} {found['seconds']:,.0f}" for name, found in study.done.items())
    yield f"Seconds by the clock: {', '.join(seconds)}."


def _facts(asked: StudyOptions) -> str:
    """Return which facts were asked for."""
    known = "that the model knows in every language" if asked.known else "known to the model or not"
    languages = ", ".join(asked.languages) if asked.languages else "all languages"
    relations = f", of {', '.join(asked.relations)}" if asked.relations else ""
    limit = f"{asked.limit:,} at most" if asked.limit else "all of them"
    return f"Facts of {asked.dataset}{relations} in {languages}, {known}, {limit}; {counted(asked.edits, 'edit')}."


def _sections(study: Study, opened: atlas.Atlas) -> Iterator[Section]:
    findings = [_finding(each) for each in study.findings(opened)]
    yield Section("Claims", RULE, COLUMNS, findings)
    cuts = [[text] for text in (*study.cuts, *(f"{name}: still to be done" for name in study.left))]
    yield Section("What the study went without", "", ("what",), cuts)
    tried = study.gave("knockout") is not None
    values = {"run": study.run, "evaluations": study.evaluations, "edits": study.edits, "tried": tried}
    for title, note, query in _TABLES:
        bound = {name: value for name, value in values.items() if f"${name}" in query}
        table = opened.sql(query, bound)
        rows = [[shown(value) for value in row.values()] for row in table.to_pylist()]
        yield Section(title, note, [name.replace("_", " ") for name in table.column_names], rows)


def _finding(found: Finding) -> list[str]:
    claim = found.claim
    interval = shown(found.difference) + (f" [{shown(found.low)}, {shown(found.high)}]" if found.bounded else "")
    verdict = f"{found.verdict}: {found.why}" if found.why else found.verdict
    numbers = [shown(found.own), shown(found.control), "–" if found.difference is None else interval]
    compared = f"{claim.own} − {claim.control} ({claim.unit})"
    return [claim.says, verdict, shown(found.facts), *numbers, shown(claim.least), compared]


_MODEL = "SELECT name, digest FROM run JOIN model USING (model) WHERE run = $run"
_CHANGES = "facts, neurons, log_odds_change, log_odds_change_low AS low, log_odds_change_high AS high, lost, gained"
_OURS = "list_contains($evaluations::BIGINT[], evaluation)"
_ONCE = f"""{_OURS} AND (
    action = 'suppress' OR action = 'inject' AND replace = (SELECT max(replace) FROM intervention WHERE {_OURS})
)"""
"""To inject is the same whatever cut neurons become, so it is shown for one of them."""
_TABLES = (
    ("Facts", "Of the study's own run; known: the answer is the model's own choice in more than half of the fact's "
     "prompts.", """
SELECT
    language, count(DISTINCT fact) AS facts, count(*) FILTER (2 * argmax > usable AND usable > 0) AS known,
    sum(prompts)::BIGINT AS prompts, sum(usable)::BIGINT AS usable, sum(not_converged)::BIGINT AS not_converged
FROM fact_language WHERE run = $run GROUP BY language ORDER BY language
"""),
    ("Localisation", "What cutting a fact's neurons does to its own answer, by what they become, and what putting "
     "their values into another fact's prompts does for its object (gained).", f"""
SELECT replace, language, action, method, source, {_CHANGES} FROM localisation
WHERE {_ONCE} ORDER BY replace, language, action DESC, source DESC, method
"""),
    ("Across languages", "Means over facts and languages; `top` are as many neurons of one language as LIKN.", """
SELECT
    replace, action, source, CASE WHEN len(languages) > 1 THEN 'several' WHEN languages = [measured] THEN 'the same'
    ELSE 'another' END AS neurons_of_language,
    count(DISTINCT fact) AS facts, avg(n_neurons) AS neurons, avg(log_odds_change) AS log_odds_change,
    avg(lost) AS lost, avg(gained) AS gained
FROM intervention_effect WHERE purpose = 'cross-lingual' AND """ f"""{_ONCE} GROUP BY ALL ORDER BY ALL
"""),
    ("LIKN", "Mean number a fact, beside the untrained twin and even draws; and of the facts whose relation has enough "
     "others, which alone can be exchanged, beside exchanged facts.", """
SELECT
    count(*) AS facts, count(*) FILTER (observed > 0) AS facts_with_LIKN, avg(observed) AS LIKN,
    avg(twin_likn) AS in_twin, avg(expected) AS even_draws, count(in_exchanged_facts) AS facts_exchanged,
    avg(in_exchanged_facts_own) AS their_LIKN, avg(in_exchanged_facts) AS in_exchanged_facts,
    count(*) FILTER (q < 0.05) AS "facts of q below 0.05", avg(across_scripts) AS across_scripts
FROM study_likn
"""),
    ("Pairs of languages", "Common knowledge neurons a fact, of the same and of exchanged facts, and of the twin; "
     "overlap_of_exchanged is of the facts that can be exchanged, at the sizes lent.", """
SELECT
    language_a, language_b, facts, overlap, jaccard, in_exchanged_facts_own AS overlap_of_exchanged, in_exchanged_facts,
    twin_overlap, p_exchange, q
FROM language_overlap_of(definition_of('default', $run), NULL) WHERE run = $run ORDER BY ALL
"""),
    ("DKN", "Sets of knowledge neurons that carry the answer only together, beside random sets.", """
SELECT
    language, sum(facts)::BIGINT AS facts, sum(facts_with_dkn)::BIGINT AS with_DKN,
    sum(facts_with_control)::BIGINT AS with_control, sum(sets)::BIGINT AS sets,
    sum(control_sets)::BIGINT AS control_sets
FROM dkn_summary_of(definition_of('default', $run)) WHERE run = $run AND $tried GROUP BY language ORDER BY language
"""),
    ("Fact checking", "Claims about subjects that nothing was fitted to.", f"""
SELECT
    evidence, claims, unusable, accuracy, f1, auroc, auroc_over_probability,
    auroc_over_probability_low AS low, auroc_over_probability_high AS high
FROM fact_check_metrics
WHERE {_OURS} AND condition = 'plain' AND coalesce(source_language, relation, language) IS NULL
ORDER BY auroc DESC, evidence
"""),
    ("Edits", "Each fact gets another object in one language; transfer is to the others. Random sets grow until "
     "the edit converges. Written: the new object is in what a causal model writes after the prompt.", """
SELECT
    CASE WHEN source LIKE 'likn%' THEN 'likn' ELSE source END AS edited_at, count(*) AS edits,
    count(*) FILTER (status <> 'not_converged') AS converged, avg(n_neurons) AS neurons, avg(efficacy) AS efficacy,
    avg(paraphrase) AS paraphrase, avg(transfer) AS transfer, avg(locality) AS locality, avg(neighbour) AS neighbour,
    avg(written) AS written, avg(written_elsewhere) AS written_elsewhere
FROM edit_summary WHERE list_contains($edits::BIGINT[], edit) GROUP BY ALL ORDER BY edited_at
"""),
)  # fmt: skip
