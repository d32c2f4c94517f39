"""Neuron pages: what a neuron serves, what it writes, and its partners."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import itemgetter

from atlas.reports import addresses
from atlas.reports.context import NeuronPage, Section
from atlas.reports.pages.shared import Draft, dealt, figures, of_run, section
from atlas.reports.query import Key, Query, Row
from atlas.reports.snapshot import Run, Snapshot
from atlas.reports.tables import Tables

AT_ONCE = 1000
MOST = 100
_OF_RUN = "definition = $definition AND run = $run AND layer = $layer AND neuron = $neuron"

SUMMARY = Query(
    "summary",
    "What it serves",
    f"""
SELECT layer, neuron, run, facts, likn_facts, languages, relations, score FROM neuron_summary_all WHERE {_OF_RUN}
""",
    "run",
    hidden=("layer", "neuron", "run"),
    about="neuron_summary",
)
LANGUAGES = Query(
    "languages",
    "Languages",
    f"""
SELECT layer, neuron, run, language, count(*) AS facts, avg(score) AS score
FROM knowledge_neuron_all
WHERE {_OF_RUN}
GROUP BY layer, neuron, run, language
""",
    "run, facts DESC, language",
    hidden=("layer", "neuron", "run"),
    note="In how many facts of each language it is a knowledge neuron, and its mean score there.",
    about="knowledge_neuron",
    means={"facts": "facts that it is a knowledge neuron of in the language", "score": "score, mean over these facts"},
)
RELATIONS = Query(
    "relations",
    "Relations",
    f"""
SELECT layer, neuron, run, fact.relation, count(DISTINCT fact) AS facts, count(DISTINCT language) AS languages
FROM knowledge_neuron_all JOIN fact USING (fact)
WHERE {_OF_RUN}
GROUP BY layer, neuron, run, fact.relation
QUALIFY row_number() OVER (PARTITION BY run, layer, neuron ORDER BY facts DESC, fact.relation) <= {MOST}
""",
    "run, facts DESC, relation",
    hidden=("layer", "neuron", "run"),
    note=f"At most {MOST}.",
    means={
        "relation": "the relation",
        "facts": "facts of the relation that it is a knowledge neuron of",
        "languages": "number of languages in which it is one of a fact of the relation",
    },
)
FACTS = Query(
    "facts",
    "Facts",
    f"""
SELECT
    k.layer, k.neuron, k.run, k.fact, any_value(fact.relation) AS relation,
    bool_or(likn.fact IS NOT NULL) AS likn, count(*) AS n_languages,
    list_sort(list(k.language)) AS languages, avg(k.score) AS score
FROM (FROM knowledge_neuron_all WHERE {_OF_RUN}) AS k
LEFT JOIN likn_all AS likn USING (definition, run, fact, layer, neuron)
JOIN fact ON fact.fact = k.fact
GROUP BY k.layer, k.neuron, k.run, k.fact
QUALIFY row_number() OVER (
    PARTITION BY k.run, k.layer, k.neuron ORDER BY avg(k.score) DESC, k.fact
) <= {MOST}
""",
    "run, score DESC, fact",
    hidden=("layer", "neuron", "run"),
    note=f"The facts that it carries, those of the highest mean score first, at most {MOST}.",
    about="knowledge_neuron",
    means={
        "likn": "whether it is a LIKN of the fact",
        "n_languages": "number of languages that it is found in",
        "languages": "languages that it is found in",
        "score": "score, mean over the languages that it is found in",
    },
)
TOKENS = Query(
    "tokens",
    "Tokens that its value vector promotes and demotes",
    """
SELECT model, layer, neuron, direction, rank, token, text, score
FROM neuron_token WHERE model = $model AND layer = $layer AND neuron = $neuron
""",
    "direction DESC, rank",
    hidden=("model", "layer", "neuron"),
    note="The neuron's value vector times each token's output embedding: what it writes, whatever the prompt is.",
    about="neuron_token",
)
ACTIVATIONS = Query(
    "activations",
    "Its values",
    """
SELECT model, layer, neuron, position, language, prompts, mean, deviation, q05, q25, q50, q75, q95
FROM neuron_activation WHERE model = $model AND layer = $layer AND neuron = $neuron
""",
    "position, language",
    hidden=("model", "layer", "neuron"),
    note="What it is in the prompts of a language, whatever the fact: mean, standard deviation and quantiles.",
    about="neuron_activation",
)
PARTNERS = Query(
    "partners",
    "Partners in degenerate sets (DKN)",
    f"""
SELECT
    own.model, own.layer, own.neuron, other.layer AS partner_layer, other.neuron AS partner,
    count(DISTINCT own.fact) AS facts, count(DISTINCT own.language) AS languages, max(own.cost) AS cost
FROM (
    SELECT run.model, dkn.run, dkn.fact, dkn.language, dkn."set", dkn.cost,
        unnest(layers) AS layer, unnest(neurons) AS neuron
    FROM dkn_all AS dkn JOIN run ON run.run = dkn.run WHERE definition = $definition
) AS own
JOIN (
    SELECT run, fact, language, "set", unnest(layers) AS layer, unnest(neurons) AS neuron
    FROM dkn_all WHERE definition = $definition
) AS other USING (run, fact, language, "set")
WHERE own.model = $model AND own.layer = $layer AND own.neuron = $neuron
    AND (own.layer, own.neuron) <> (other.layer, other.neuron)
GROUP BY own.layer, own.neuron, own.model, other.layer, other.neuron
QUALIFY row_number() OVER (
    PARTITION BY own.model, own.layer, own.neuron ORDER BY facts DESC, max(own.cost) DESC, other.layer, other.neuron
) <= {MOST}
""",
    "model, facts DESC, cost DESC, partner_layer, partner",
    hidden=("model", "layer", "neuron"),
    note="Neurons that stand in for it: zeroing one of them costs little, zeroing both costs the answer. At most "
    f"{MOST}.",
    means={
        "partner_layer": "layer of the other neuron",
        "partner": "the other neuron of the sets",
        "facts": "facts that have such a set",
        "languages": "number of languages that have such a set",
        "cost": "largest cost of such a set",
    },
)
QUERIES = (SUMMARY, LANGUAGES, RELATIONS, FACTS, TOKENS, ACTIVATIONS, PARTNERS)


_SHOWN = (FACTS, LANGUAGES, RELATIONS, TOKENS, ACTIVATIONS, PARTNERS)


def pages(snapshot: Snapshot) -> Iterator[Draft]:
    """Yield the page of every knowledge neuron of the facts shown, by layer and neuron."""
    for _, layer in groupby(sorted(snapshot.neurons), key=itemgetter(0)):
        names = ("layer", "neuron")
        yield from dealt(snapshot, names, list(layer), QUERIES, addresses.neuron, _page, at_once=AT_ONCE)


def _page(snapshot: Snapshot, place: Key, rows: Mapping[str, list[Row]]) -> NeuronPage:
    layer, neuron = place
    tables = Tables(snapshot, addresses.neuron(layer, neuron))
    return NeuronPage(
        site=tables.site,
        title=f"Neuron {neuron} of layer {layer}",
        layer=str(layer),
        neuron=str(neuron),
        runs=tuple(_section(tables, place, run, rows) for run in snapshot.runs if of_run(run, rows["summary"])),
    )


def _section(tables: Tables, place: Key, run: Run, rows: Mapping[str, list[Row]]) -> Section:
    bound = {"run": run.run, "model": run.model, "layer": place[0], "neuron": place[1]}
    (summary,) = of_run(run, rows["summary"])
    cut = tables.was_cut(run.model, *(row["fact"] for row in of_run(run, rows[FACTS.name])))
    shown = _SHOWN if cut else [query for query in _SHOWN if query is not PARTNERS]
    return section(
        run,
        figures=figures(SUMMARY, summary),
        tables=tuple(tables.table(query, of_run(run, rows[query.name]), bound) for query in shown),
    )
