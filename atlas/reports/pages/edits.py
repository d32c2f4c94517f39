"""Edit pages: what was changed in a model, and what came of it."""

from collections.abc import Iterator
from functools import partial

from atlas.reports import addresses
from atlas.reports.cells import cut, shown
from atlas.reports.context import EditPage, Figure, Link
from atlas.reports.pages.shared import COUNTS, PROMPT, Draft
from atlas.reports.query import Query, Row
from atlas.reports.snapshot import Snapshot
from atlas.reports.tables import Tables
from atlas.store import docs
from atlas.store.queries import NEW_OBJECT

MOST = 200
_ABOUT = ("model", "method", "source", "languages", "status", "created", "file")

EDITS = Query(
    "edits",
    "Edits",
    f"""
SELECT
    edit.edit, edit.fact, model.name AS model, {NEW_OBJECT}, edit.languages, edit.method, edit.source, edit.status,
    edit.created, CASE WHEN edit.status <> 'not_converged' THEN edit.file END AS file, edit.layers, edit.neurons
FROM edit JOIN model ON model.model = edit.model JOIN fact_name AS names ON names.fact = edit.fact
WHERE edit.fact = $fact
""",
    "created, edit",
)
MEASURES = Query(
    "measures",
    "What came of it",
    """
SELECT
    o.measure, prompt.language, count(*) AS prompts,
    avg(o.argmax_before::INTEGER) AS argmax_before, avg(o.argmax_after::INTEGER) AS argmax_after,
    avg(o.same_argmax::INTEGER) AS same_argmax,
    avg(o.probability_before) AS probability_before, avg(o.probability_after) AS probability_after, avg(o.kl) AS kl
FROM edit_outcome AS o JOIN prompt ON prompt.prompt = o.prompt
WHERE o.edit = $edit AND (o.measure <> 'paraphrase' OR o.known)
GROUP BY o.measure, prompt.language
""",
    "measure, language",
    note="Means over prompts; paraphrases count where the old object was known. Efficacy, paraphrase, transfer and "
    "retention ask for the new object; locality and neighbour ask that other facts stay.",
    about="edit_outcome",
    means={
        **COUNTS,
        "language": "language of the prompts",
        "argmax_before": "share of prompts whose answer was the argmax before",
        "argmax_after": "the same after the edit",
        "same_argmax": "share of prompts whose most probable token is the same as before, whatever it is",
    },
)
OUTCOMES = Query(
    "outcomes",
    "Prompts before and after",
    f"""
SELECT
    o.measure, prompt.language, prompt.text, o.answer, o.known, o.probability_before, o.probability_after,
    o.rank_before, o.rank_after, o.same_argmax, o.kl
FROM edit_outcome AS o JOIN prompt ON prompt.prompt = o.prompt
WHERE o.edit = $edit
QUALIFY row_number() OVER (ORDER BY o.measure, prompt.language, prompt.text) <= {MOST}
""",
    "measure, language, text",
    hidden=("answer",),
    note=f"At most {MOST}. The answer looked for stands in its place.",
    about="edit_outcome",
    means=PROMPT,
)


def pages(snapshot: Snapshot) -> Iterator[Draft]:
    """Yield the page of every edit of a fact shown."""
    wide = Query(EDITS.name, EDITS.title, EDITS.sql.replace("= $fact", "IN (FROM shown_fact)"), EDITS.order)
    for row in snapshot.rows(wide, {}):
        yield Draft(addresses.edit(row["edit"]), partial(_page, snapshot, row))


def _page(snapshot: Snapshot, row: Row) -> EditPage:
    tables = Tables(snapshot, addresses.edit(row["edit"]))
    name, bound = snapshot.facts[row["fact"]], {"edit": row["edit"]}
    return EditPage(
        site=tables.site,
        title=f"Edit: {name.subject.text}, {name.object.text} → {cut(row['object'])}",
        id=str(row["edit"]),
        subject=name.subject,
        fact=Link("the fact", tables.fact(row["fact"]).href),
        relation=tables.relation(name.relation),
        old=name.object,
        new=cut(row["object"]),
        about=tuple(Figure(column, shown(row[column]), docs.meaning("edit_summary", column)) for column in _ABOUT),
        neurons=tuple(map(tables.neuron, row["layers"], row["neurons"])),
        tables=tuple(tables.asked(query, bound) for query in (MEASURES, OUTCOMES)),
    )
