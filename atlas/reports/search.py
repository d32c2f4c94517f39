"""What the search box knows: a script that a page loads when the box is used first, for a page opened from disk may
not read other files."""

import json
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

from atlas.reports import addresses
from atlas.reports.cells import cut
from atlas.reports.snapshot import Snapshot

ADDRESS = "search.js"

_LABELS = """
SELECT fact, string_agg(subject || ' ' || object, ' ' ORDER BY language) AS names
FROM fact_label WHERE fact IN (FROM shown_fact) GROUP BY fact ORDER BY fact
"""


def index(snapshot: Snapshot) -> str:
    """Return the script: pages with their titles and other names, and the neurons that have pages."""
    layers = groupby(sorted(snapshot.neurons), key=itemgetter(0))
    neurons = [[layer, [neuron for _, neuron in group]] for layer, group in layers]
    # ASCII alone, so that no character of a data set can mean anything to a parser of scripts.
    pages = ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in _entries(snapshot))
    return f'atlasIndex({{"pages":[\n{pages}\n],"neurons":{json.dumps(neurons, separators=(",", ":"))}}});\n'


def _entries(snapshot: Snapshot) -> Iterator[tuple[str, str, str, str]]:
    """Yield address, kind, title and other names of each page but those of neurons."""
    for code, name in snapshot.relations.items():
        if code in snapshot.with_page:
            yield addresses.relation(code), "relation", name, cut(code)
    for code, language in snapshot.languages.items():
        yield addresses.language(code), "language", language.name, cut(code)
    for row in snapshot.source.sql(_LABELS).to_pylist():
        fact = snapshot.facts[row["fact"]]
        yield addresses.fact(row["fact"]), cut(fact.relation), fact.title, cut(row["names"])
