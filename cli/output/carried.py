"""What carries what: the names of facts in rows of neurons, and a sentence above them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from atlas.errors import counted
from atlas.ids import Neuron, neuron_name

from .. import diagnostics

if TYPE_CHECKING:
    import pyarrow as pa

    from atlas import Atlas, Result

COLUMNS = (
    "subject", "relation", "object", "language", "layer", "neuron", "likn", "n_languages", "of_languages", "languages",
    "facts", "relations", "likn_facts", "score", "same_relation", "other_relations", "writes", "model", "method",
)  # fmt: skip
SPARE = ("of_languages", "method", "model", "n_languages", "other_relations", "same_relation", "writes")
"""Columns of rows of neurons in a table, as far as the rows have them, and those that a narrow one lacks first."""
_POSITIONS = {("masked", "query"): "at the mask", ("causal", "query"): "at the last token before the answer"}
_TOLD = 5
"""Facts of which a sentence is said."""
Rows = Sequence[dict[str, Any]]


def named(table: "pa.Table") -> "pa.Table":
    """Return `table` with its relations' names in front under the name that `carried` gives them."""
    if "relation_name" not in table.column_names or "relation" in table.column_names:
        return table
    return table.add_column(0, "relation", table["relation_name"])


def headline(atlas: "Atlas", found: "Result", neuron: Neuron | None) -> None:
    """Print what the rows of `carried` say together: of a neuron what it does, of a fact what its neurons share."""
    rows = sorted(found.to_pylist(), key=itemgetter("run"))
    for _, group in groupby(rows, key=itemgetter("run")):
        own = list(group)
        for line in _of_neuron(neuron, own) if neuron else _of_facts(atlas, own):
            print(diagnostics.visible(line))
    if rows:
        print(flush=True)


def _of_neuron(neuron: Neuron, rows: Rows) -> Iterator[str]:
    facts, relations = {row["fact"] for row in rows}, {row["relation"] for row in rows}
    languages = {language for row in rows for language in row["languages"]}
    everywhere = len({row["fact"] for row in rows if row["likn"]})
    where = _POSITIONS.get((rows[0]["kind"], rows[0]["position"]), f"at the position {rows[0]['position']!r}")
    yield (
        f"{neuron_name(*neuron)} of {rows[0]['model']} carries {counted(len(facts), 'fact')} of "
        f"{counted(len(relations), 'relation')} in {counted(len(languages), 'language')} "
        f"({' '.join(sorted(languages))}), {everywhere:,} of them as a language-independent neuron (LIKN)."
    )
    if rows[0]["writes"]:
        yield f"Where it is active it writes {', '.join(map(repr, rows[0]['writes']))}; it was scored {where}."


def _of_facts(atlas: "Atlas", rows: Rows) -> Iterator[str]:
    by_fact = {fact: list(own) for fact, own in groupby(sorted(rows, key=itemgetter("fact")), key=itemgetter("fact"))}
    for own in list(by_fact.values())[:_TOLD]:
        yield _of_fact(atlas, own)
    if len(by_fact) > _TOLD:
        yield f"... and {counted(len(by_fact) - _TOLD, 'fact')} more; --relation narrows."


def _of_fact(atlas: "Atlas", rows: Rows) -> str:
    first = rows[0]
    name = f"<{first['subject']}, {first['relation']}, {first['object']}>"
    shared = sum(row["likn"] for row in rows)
    said = f"{counted(len(rows), 'neuron')} of {first['model']} carry {name}"
    if first["of_languages"] < 2:
        return f"{said}; with one language nothing can be shared."
    return (
        f"{said}, {shared:,} of them as language-independent ones (LIKN) over {first['of_languages']} languages; "
        f"random sets as large would share {_by_chance(atlas, rows):.1g}."
    )


def _by_chance(atlas: "Atlas", rows: Rows) -> float:
    """Return how many LIKNs random sets as large as those of a fact would share, as `likn_control` expects them."""
    from atlas.store.queries import IN_COMMON

    sizes = Counter(language for row in rows for language in row["languages"])
    asked = {"sizes": list(sizes.values()), "languages": rows[0]["of_languages"]}
    found = atlas.sql(IN_COMMON, asked | {name: rows[0][name] for name in ("run", "definition")})
    return float(found["expected"][0].as_py())
