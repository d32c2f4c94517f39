"""Neuron pages: what a neuron serves, what it writes, and its partners."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter

from atlas.reports import addresses
from atlas.reports.context.pages import NeuronPage
from atlas.reports.context.section import Section
from atlas.reports.pages.shared import NOTHING, Page, figures, site
from atlas.reports.query import Query, Row, chunks, deal
from atlas.reports.snapshot import DEFINITION, Run, Snapshot
from atlas.reports.tables import Tables

AT_ONCE = 1000
MOST = 100
_OF_RUN = f"definition = '{DEFINITION}' AND run = $run AND layer = $layer AND neuron = $neuron"

SUMMARY = Query(
    "summary",
    "What it serves",
    f"SELECT layer, neuron, run, facts, likn_facts, languages, relations, score FROM neuron_summary WHERE {_OF_RUN}",
    "run",
)
LANGUAGES = Query(
    "languages",
    "Languages",
    f"""
SELECT layer, neuron, run, language, count(*) AS facts, avg(score) AS score
FROM knowledge_neuron
WHERE {_OF_RUN}
GROUP BY layer, neuron, run, language
""",
    "run, facts DESC, language",
    hidden=("layer", "neuron", "run"),
    note="In how many facts of each language it is a knowledge neuron, and its mean score there.",
)
RELATIONS = Query(
    "relations",
    "Relations",
    f"""
SELECT layer, neuron, run, fact.relation, count(DISTINCT fact) AS facts, count(DISTINCT language) AS languages
FROM knowledge_neuron JOIN fact USING (fact)
WHERE {_OF_RUN}
GROUP BY layer, neuron, run, fact.relation
QUALIFY row_number() OVER (PARTITION BY run, layer, neuron ORDER BY facts DESC, fact.relation) <= {MOST}
""",
    "run, facts DESC, relation",
    hidden=("layer", "neuron", "run"),
)
FACTS = Query(
    "facts",
    "Facts",
    f"""
SELECT
    k.layer, k.neuron, k.run, k.fact, any_value(fact.relation) AS relation,
    bool_or(likn.fact IS NOT NULL) AS likn, count(*) AS n_languages,
    list_sort(list(k.language)) AS languages, avg(k.score) AS score
FROM (FROM knowledge_neuron WHERE {_OF_RUN}) AS k
LEFT JOIN likn USING (definition, run, fact, layer, neuron)
JOIN fact ON fact.fact = k.fact
GROUP BY k.layer, k.neuron, k.run, k.fact
QUALIFY row_number() OVER (
    PARTITION BY k.run, k.layer, k.neuron ORDER BY avg(k.score) DESC, k.fact
) <= {MOST}
""",
    "run, score DESC, fact",
    hidden=("layer", "neuron", "run"),
    note=f"The facts that it carries, those of the highest mean score first, at most {MOST}.",
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
    FROM dkn JOIN run ON run.run = dkn.run WHERE definition = '{DEFINITION}'
) AS own
JOIN (
    SELECT run, fact, language, "set", unnest(layers) AS layer, unnest(neurons) AS neuron
    FROM dkn WHERE definition = '{DEFINITION}'
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
    note="Neurons that stand in for it: zeroing one of them costs little, zeroing both costs the answer.",
)
QUERIES = (SUMMARY, LANGUAGES, RELATIONS, FACTS, TOKENS, PARTNERS)


def pages(snapshot: Snapshot) -> Iterator[Page]:
    """Yield the page of every knowledge neuron of the facts shown, by layer and neuron."""
    for _, layer in groupby(sorted(snapshot.neurons), key=itemgetter(0)):
        for chunk in chunks(list(layer), AT_ONCE):
            for place, rows in zip(chunk, deal(snapshot.source, ("layer", "neuron"), chunk, QUERIES), strict=True):
                yield _Maker(snapshot, (place[0], place[1]), rows).page()


@dataclass
class _Maker:
    """Makes the page of one neuron from its rows, by query."""

    snapshot: Snapshot
    place: tuple[int, int]
    rows: dict[str, list[Row]]
    tables: Tables = field(init=False)

    def __post_init__(self) -> None:
        self.address = addresses.neuron(*self.place)
        self.tables = Tables(self.snapshot, addresses.root(self.address))

    def page(self) -> Page:
        layer, neuron = self.place
        context = NeuronPage(
            site=site(self.snapshot, self.address),
            title=f"Neuron {neuron} of layer {layer}",
            layer=str(layer),
            neuron=str(neuron),
            runs=tuple(self._section(run) for run in self.snapshot.runs if self._of(run, "summary")),
        )
        return Page(self.address, "neuron.html", context)

    def _of(self, run: Run, name: str) -> list[Row]:
        key, value = ("model", run.model) if name in ("tokens", "partners") else ("run", run.run)
        return [row for row in self.rows[name] if row[key] == value]

    def _section(self, run: Run) -> Section:
        layer, neuron = self.place
        bound = {"run": run.run, "model": run.model, "layer": layer, "neuron": neuron}
        (summary,) = self._of(run, "summary")
        shown = {name: value for name, value in summary.items() if name not in ("layer", "neuron", "run")}
        order = (FACTS, LANGUAGES, RELATIONS, TOKENS, PARTNERS)
        return Section(
            id=f"run-{run.run}",
            title=run.name,
            method=run.method,
            run=str(run.run),
            more=NOTHING,
            figures=figures(shown),
            warnings=(),
            layers=(),
            pictures=(),
            tables=tuple(self.tables.table(query, self._of(run, query.name), bound) for query in order),
        )
