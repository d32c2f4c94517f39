"""Facts, relations and languages by what people call them, and what a fact is called."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from atlas import scorers
from atlas.errors import UsageError
from atlas.matching import language, one_of
from atlas.store.queries import EDITED, NAMES
from atlas.store.runs import UNION

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from atlas.store.reader import Reader
    from atlas.store.result import Result

IN_USE = ""
"""What the definition is called that the atlas says is in use."""
Options = TypeVar("Options", bound="DataclassInstance")


def relation_of(atlas: Reader, word: str) -> str:
    """Return the code of the relation that `word` names by code or name; raises UsageError."""
    rows = atlas.sql("SELECT relation, name FROM relation ORDER BY relation").to_pylist()
    return one_of("relation", word, {row["relation"]: (row["name"],) for row in rows}, f" in {atlas.path}")


def language_of(atlas: Reader, word: str) -> str:
    """Return the code of the language that `word` names by code or name; raises UsageError."""
    known = atlas.sql("SELECT language FROM language ORDER BY language")["language"].to_pylist()
    return language(word, known, f" in {atlas.path}")


def codes(atlas: Reader, words: str | Sequence[str] | None, one: Callable[[Reader, str], str]) -> list[str] | None:
    """Return the codes that `one` finds for each of `words`, None for None."""
    if words is None:
        return None
    return list(dict.fromkeys(one(atlas, word) for word in ([words] if isinstance(words, str) else words)))


def some_codes(atlas: Reader, words: Sequence[str] | None, one: Callable[[Reader, str], str]) -> tuple[str, ...] | None:
    """Return what `codes` does; raises UsageError for an empty list, which would be taken for all."""
    if words is not None and not words:
        raise UsageError("A list of languages or relations is empty: name some, or leave it out to take all.")
    found = codes(atlas, words, one)
    return None if found is None else tuple(found)


def definition_of(atlas: Reader, word: str = IN_USE) -> str:
    """Return the definition that `word` names, or that is in use; raises UsageError."""
    if word == IN_USE:
        return next(iter(atlas.sql("SELECT definition FROM in_use")["definition"].to_pylist()), "default")
    known = atlas.sql("SELECT definition FROM definition ORDER BY definition")["definition"].to_pylist()
    return one_of("definition", word, known, f" in {atlas.path}")


def understood(atlas: Reader, options: Options) -> Options:
    """Return a job's options, or a claim or request, with what they name as the atlas spells it.

    That is languages, names, relations, the definition and scorers. Raises UsageError for what does not exist.
    """
    given = {field.name: getattr(options, field.name) for field in fields(options) if field.name in _MEANT}
    return replace(options, **{name: _MEANT[name](atlas, value) for name, value in given.items() if value is not None})


def by_language(atlas: Reader, names: Mapping[str, str]) -> dict[str, str]:
    """Return `names` by the code of the language that each key names; raises UsageError for two texts of one."""
    found: dict[str, str] = {}
    for word, text in names.items():
        code, text = language_of(atlas, word), name_of(text)
        if found.setdefault(code, text) != text:
            raise UsageError(f"{found[code]!r} and {text!r} are both given for language {code!r}; give one of them.")
    return found


def name_of(text: str) -> str:
    """Return a name as those of facts are read: composed, without what nobody sees; raises UsageError."""
    from atlas.facts.reading import texts

    try:
        name = texts.label(text)
    except texts.LineError as error:
        raise UsageError(f"{texts.shown(text)} cannot be a name: {error}; write another.") from None
    if text and not name:
        raise UsageError(f"{texts.shown(text)} cannot be a name: nothing of it is seen; write another.")
    return name


def scorer_of(atlas: Reader, word: str) -> str:
    """Return the scorer, or `union`, that `word` names; raises UsageError."""
    return one_of("scorer", word, (*scorers.SCORERS, UNION))


_MEANT: Mapping[str, Callable[[Reader, Any], object]] = {
    "languages": lambda atlas, words: some_codes(atlas, words, language_of),
    "language": language_of,
    "subject": lambda _, text: name_of(text),
    "object": lambda _, text: name_of(text),
    "objects": by_language,
    "relation": relation_of,
    "relations": lambda atlas, words: some_codes(atlas, words, relation_of),
    "definition": definition_of,
    "source": scorer_of,
    "method": scorer_of,
}


def facts_of(atlas: Reader, word: int | str) -> list[int]:
    """Return the facts whose id, or else whose subject, or else whose object is `word`, in any language.

    Those that have it as written come before those that have it in another case. Raises UsageError, with the names
    that are spelled most like it, if there are none.
    """
    text = name_of(str(word))
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 19 else None
    found = atlas.sql(_FACTS, {"text": text, "number": number})
    ids: list[int] = found["fact"].to_pylist()
    if not ids:
        near = names_like(atlas, text)
        there = "`atlas facts` lists what there is, `atlas build` adds more."
        hint = f"did you mean {' or '.join(near)}?" if near else there
        raise UsageError(f"No fact of {atlas.path} has the subject, object or id {text!r}; {hint}")
    return ids


def names_like(atlas: Reader, text: str) -> list[str]:
    """Return the names of subjects and objects that are spelled most like `text`, none that are far from it."""
    found: list[str] = atlas.sql(_NEAREST, {"text": text})["name"].to_pylist()
    return found


def edited(atlas: Reader, word: str) -> Result:
    """Return by measure and language what the edit of a number, or the edits of facts, did; UsageError for none."""
    number = int(word) if word.isascii() and word.isdigit() and len(word) <= 19 else None
    there = number is not None and atlas.sql("SELECT 1 FROM edit WHERE edit = ?", [number]).num_rows > 0
    try:
        facts = [] if there else facts_of(atlas, word)
    except UsageError:
        if number is None:
            raise
        facts = []  # a number that no fact goes by is rather meant as an edit's
    found = atlas.query(EDITED, {"number": number if there else None, "facts": facts})
    if not len(found.table):
        raise UsageError(f"{atlas.path} has no edit of {word!r}; `atlas edit list` shows those there are.")
    return found


def fact_names(atlas: Reader, facts: Collection[int]) -> dict[int, tuple[str, str, str]]:
    """Return subject, relation and object of `facts` in words; see `queries.NAMES`."""
    rows = atlas.sql(
        f"{NAMES} WHERE fact.fact IN (SELECT unnest($facts::BIGINT[]))", {"facts": list(facts)}
    ).to_pylist()
    return {row["fact"]: (row["subject"], row["relation"], row["object"]) for row in rows}


_FACTS = """
WITH asked AS (SELECT lower(nfc_normalize(trim($text))) AS word),
named AS (
    SELECT fact, subject, object FROM fact UNION ALL SELECT fact, subject, object FROM fact_label
),
ranked AS (
    SELECT fact.fact, 0 AS rank FROM fact WHERE fact.fact = $number::HUGEINT
    UNION ALL
    SELECT fact, CASE
        WHEN subject = $text THEN 1 WHEN lower(nfc_normalize(subject)) = word THEN 2 WHEN object = $text THEN 3 ELSE 4
    END
    FROM named, asked
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
