"""Relation pages: the relation's facts, languages, templates and neurons."""

from collections.abc import Iterator, Sequence
from functools import partial

from atlas.reports import addresses
from atlas.reports.cells import cut
from atlas.reports.context import Link, RelationPage, Section
from atlas.reports.pages.shared import COUNTS, PROMPTS_CHOSEN, Draft, figures, parts, section
from atlas.reports.query import Query, Row
from atlas.reports.snapshot import Run, Snapshot
from atlas.reports.tables import Tables

FACTS_A_PAGE = 250
MOST = 50

TEMPLATES = Query(
    "templates",
    "Templates",
    """
SELECT language, text, held_out, ends_in_object FROM template WHERE relation = $relation
QUALIFY row_number() OVER (PARTITION BY language ORDER BY held_out, text) <= 30
""",
    "language, held_out, text",
    note="At most 30 of a language.",
    about="template",
)
FIGURES = Query(
    "figures",
    "In short",
    """
SELECT
    count(*) AS facts, avg((observed > 0)::INTEGER) AS "share with a LIKN",
    avg(observed) AS "LIKN of a fact", avg(in_exchanged_facts) AS "in exchanged facts",
    avg(twin_likn) AS "in the untrained twin", avg(expected) AS "expected by chance",
    avg(same_relation) AS "in shuffled facts of the relation",
    avg(other_relations) AS "in shuffled facts of other relations"
FROM (SELECT DISTINCT fact FROM fact_language WHERE run = $run) AS asked JOIN fact ON fact.fact = asked.fact
LEFT JOIN likn_control_all AS c ON c.fact = asked.fact AND c.definition = $definition AND c.run = $run
WHERE fact.relation = $relation
""",
    "ALL",
    means=COUNTS,
)
FACTS = Query(
    "facts",
    "Facts",
    """
SELECT
    known.fact, c.of_languages, known.argmax, known.usable, c.observed, c.in_exchanged_facts, c.twin_likn, c.p_exchange,
    c.q, c.same_relation, c.other_relations,
    CASE WHEN $model IN (
        SELECT run.model FROM dkn_summary_all AS tried JOIN run ON run.run = tried.run
        WHERE tried.definition = $definition AND tried.relation = $relation
    ) THEN coalesce(sets.dkn, 0) END AS sets
FROM (
    SELECT fact, sum(argmax)::INTEGER AS argmax, sum(usable)::INTEGER AS usable
    FROM fact_language WHERE run = $run GROUP BY fact
) AS known
JOIN fact ON fact.fact = known.fact
LEFT JOIN likn_control_all AS c ON c.fact = known.fact AND c.definition = $definition AND c.run = $run
LEFT JOIN (
    SELECT dkn.fact, count(DISTINCT (dkn.language, dkn."set")) AS dkn FROM dkn_all AS dkn JOIN run ON run.run = dkn.run
    WHERE dkn.definition = $definition AND run.model = $model GROUP BY dkn.fact
) AS sets ON sets.fact = known.fact
WHERE fact.relation = $relation
""",
    "observed DESC NULLS LAST, known.fact",
    note="observed counts the language-independent neurons (LIKN); beside it stands what chance and the sets of "
    "different facts would give; a fact in one language can have none.",
    about="likn_control",
    means={
        **COUNTS,
        "argmax": PROMPTS_CHOSEN,
        "sets": "degenerate sets (DKN) in all languages; none where no knock-outs were measured",
    },
)
UNASKED = Query(
    "unasked",
    "Facts that no run shown asks for",
    """
SELECT fact FROM fact
WHERE relation = $relation
    AND fact NOT IN (SELECT fact FROM fact_language WHERE list_contains($runs::BIGINT[], run))
""",
    "fact",
    about="fact",
)
LANGUAGES = Query(
    "languages",
    "Languages",
    """
SELECT
    known.language, known.facts, known.prompts, known.usable, known.argmax, found.neurons, found.pairs,
    sets.facts_with_dkn, sets.share, sets.control_share
FROM (
    SELECT language, count(*) AS facts, sum(prompts)::INTEGER AS prompts, sum(usable)::INTEGER AS usable,
        sum(argmax)::INTEGER AS argmax
    FROM fact_language JOIN fact USING (fact)
    WHERE run = $run AND relation = $relation GROUP BY language
) AS known
LEFT JOIN (
    SELECT language, count(*) AS pairs, count(DISTINCT (layer, neuron)) AS neurons
    FROM knowledge_neuron_all JOIN fact USING (fact)
    WHERE definition = $definition AND run = $run AND relation = $relation GROUP BY language
) AS found ON found.language = known.language
LEFT JOIN dkn_summary_all AS sets
    ON sets.language = known.language AND sets.relation = $relation AND sets.run = $run
    AND sets.definition = $definition
""",
    "known.language",
    note="argmax counts the usable prompts whose answer is the model's own choice; neurons the different knowledge "
    "neurons; share the facts with a degenerate set (DKN), beside random sets of the same sizes.",
    about="dkn_summary",
    means={
        **COUNTS,
        "argmax": PROMPTS_CHOSEN,
        "neurons": "number of different knowledge neurons",
        "pairs": "number of (fact, neuron) pairs",
        "share": "share of the facts knocked out, or without a neuron to knock out, that have a DKN",
    },
)
NEURONS = Query(
    "neurons",
    "Neurons that most of its facts share",
    f"""
SELECT
    layer, neuron, count(DISTINCT fact) AS facts, count(DISTINCT language) AS languages, avg(score) AS score
FROM knowledge_neuron_all JOIN fact USING (fact)
WHERE definition = $definition AND run = $run AND relation = $relation
GROUP BY layer, neuron
QUALIFY row_number() OVER (ORDER BY facts DESC, avg(score) DESC, layer, neuron) <= {MOST}
""",
    "facts DESC, score DESC, layer, neuron",
    note=f"At most {MOST}.",
    about="knowledge_neuron",
    means={
        "facts": "facts of the relation that it is a knowledge neuron of",
        "languages": "number of languages in which it is one of them",
        "score": "score, mean over these facts and languages",
    },
)
RELATION_DKN = Query(
    "relation-dkn",
    "The relation's degenerate neurons",
    f"""
SELECT r.language, r.layer, r.neuron, r.facts, r.most_facts, run.method
FROM relation_dkn_all AS r JOIN run ON run.run = r.run
WHERE r.definition = $definition AND run.model = $model AND r.relation = $relation
QUALIFY row_number() OVER (PARTITION BY r.language ORDER BY r.facts DESC, r.layer, r.neuron, r.run) <= {MOST}
""",
    "language, facts DESC, layer, neuron, method",
    note="Neurons in the degenerate sets of more than a share of the relation's training facts: what fact checking "
    f"reads. At most {MOST} of a language.",
    about="relation_dkn",
)


def pages(snapshot: Snapshot) -> Iterator[Draft]:
    """Yield the pages of the relations that have facts shown, long ones in several parts."""
    for code in snapshot.relations:
        if code in snapshot.with_page:
            facts = {run: snapshot.rows(FACTS, _bound(run, code)) for run in snapshot.runs}
            unasked = snapshot.rows(UNASKED, _unasked(snapshot, code))
            longest = max((*facts.values(), unasked), key=len)
            for part, _, links in parts(longest, FACTS_A_PAGE, partial(addresses.relation, code)):
                yield Draft(addresses.relation(code, part), partial(_page, snapshot, code, facts, part, links, unasked))


def _bound(run: Run, code: str) -> dict[str, object]:
    return {"run": run.run, "model": run.model, "relation": code}


def _unasked(snapshot: Snapshot, code: str) -> dict[str, object]:
    return {"relation": code, "runs": [run.run for run in snapshot.runs]}


def _page(
    snapshot: Snapshot, code: str, facts: dict[Run, list[Row]], part: int, links: tuple[Link, ...], left: list[Row]
) -> RelationPage:
    tables = Tables(snapshot, addresses.relation(code, part))
    runs = tuple(
        _section(snapshot, tables, run, code, rows, part)
        for run, rows in facts.items()
        if len(rows) > (part - 1) * FACTS_A_PAGE  # others end in an earlier part
    )
    templates = tables.asked(TEMPLATES, {"relation": code}) if part == 1 else None
    unasked, note = _of_part(left, part, UNASKED.note)
    others = tables.table(UNASKED, unasked, _unasked(snapshot, code), note=note) if unasked else None
    return RelationPage(tables.site, snapshot.relations[code], runs, cut(code), links, templates, others)


def _section(snapshot: Snapshot, tables: Tables, run: Run, code: str, facts: Sequence[Row], part: int) -> Section:
    bound = _bound(run, code)
    facts, note = _of_part(facts, part, FACTS.note)
    table = tables.table(FACTS, facts, bound, note=note)
    if part > 1:
        return section(run, tables=(table,))
    tried = any(row["sets"] is not None for row in facts)
    others = (tables.asked(query, bound) for query in (LANGUAGES, NEURONS, *([RELATION_DKN] if tried else [])))
    return section(run, figures=figures(FIGURES, snapshot.rows(FIGURES, bound)[0]), tables=(table, *others))


def _of_part(facts: Sequence[Row], part: int, note: str) -> tuple[Sequence[Row], str]:
    """Return those of `facts` that a part of the page shows, and its note, which says which they are."""
    first, every = (part - 1) * FACTS_A_PAGE, len(facts)
    if every > FACTS_A_PAGE:
        facts = facts[first : first + FACTS_A_PAGE]
        return facts, f"Facts {first + 1:,} to {first + len(facts):,} of {every:,}. {note}".rstrip()
    return facts if part == 1 else (), note
