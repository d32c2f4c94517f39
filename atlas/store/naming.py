"""Facts, relations and languages by what people call them, and what a fact is called."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from atlas.errors import UsageError
from atlas.matching import one_of
from atlas.store.queries import NAMES

if TYPE_CHECKING:
    from atlas.store.reader import Reader

NAMED = 5
"""Facts that a complaint or a remark names."""


def relation_of(atlas: Reader, word: str) -> str:
    """Return the code of the relation that `word` names by code or name; raises UsageError."""
    return one_of("relation", word, _known(atlas, "relation"), f" in {atlas.path}")


def language_of(atlas: Reader, word: str) -> str:
    """Return the code of the language that `word` names by code or name; raises UsageError."""
    return one_of("language", word, _known(atlas, "language"), f" in {atlas.path}")


def _known(atlas: Reader, table: str) -> Mapping[str, Collection[str]]:
    rows = atlas.sql(f"SELECT {table} AS code, name FROM {table} ORDER BY ALL").to_pylist()
    return {row["code"]: (row["name"],) for row in rows}


def facts_of(atlas: Reader, word: int | str) -> list[int]:
    """Return the facts whose id, or else whose subject, or else whose object is `word`, in any language and case.

    Raises UsageError, with the names that are spelled most like it, if there are none.
    """
    text = str(word)
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 19 else None
    found = atlas.sql(_FACTS, {"text": text, "number": number})
    ids: list[int] = found["fact"].to_pylist()
    if not ids:
        near: list[str] = atlas.sql(_NEAREST, {"text": text})["name"].to_pylist()
        hint = f"did you mean {' or '.join(near)}?" if near else "`atlas facts` lists what there is."
        raise UsageError(f"No fact of {atlas.path} has the subject, object or id {text!r}; {hint}")
    return ids


def fact_names(atlas: Reader, facts: Collection[int]) -> dict[int, tuple[str, str, str]]:
    """Return subject, relation and object of `facts` in words; see `queries.NAMES`."""
    rows = atlas.sql(
        f"{NAMES} WHERE fact.fact IN (SELECT unnest($facts::BIGINT[]))", {"facts": list(facts)}
    ).to_pylist()
    return {row["fact"]: (row["subject"], row["relation"], row["object"]) for row in rows}


def in_words(atlas: Reader, facts: Collection[int]) -> str:
    """Return `facts` as text, `<France, capital, Paris>`, the first ones if they are many."""
    names = fact_names(atlas, list(facts)[:NAMED]).values()
    more = f" and {len(facts) - NAMED:,} more" if len(facts) > NAMED else ""
    return ", ".join(f"<{', '.join(name)}>" for name in sorted(names)) + more


_FACTS = """
WITH asked AS (SELECT lower(nfc_normalize(trim($text))) AS word),
named AS (
    SELECT fact, subject, object FROM fact UNION ALL SELECT fact, subject, object FROM fact_label
),
ranked AS (
    SELECT fact.fact, 0 AS rank FROM fact WHERE fact.fact = $number::HUGEINT
    UNION ALL
    SELECT fact, CASE WHEN lower(nfc_normalize(subject)) = word THEN 1 ELSE 2 END FROM named, asked
    WHERE lower(nfc_normalize(subject)) = word OR lower(nfc_normalize(object)) = word
)
SELECT DISTINCT fact FROM ranked WHERE rank = (SELECT min(rank) FROM ranked) ORDER BY fact
"""

_NEAREST = """
WITH asked AS (SELECT lower(nfc_normalize(trim($text))) AS word),
names AS (
    SELECT DISTINCT unnest([subject, object]) AS name FROM fact_label
)
SELECT name FROM names, asked
WHERE jaro_winkler_similarity(lower(name), word) > 0.85 OR (length(word) > 2 AND contains(lower(name), word))
ORDER BY jaro_winkler_similarity(lower(name), word) DESC, name LIMIT 3
"""
