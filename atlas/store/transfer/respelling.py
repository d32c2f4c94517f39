"""Another catalog, read as an open atlas writes it: `zh` where that has `zh-hans`, facts under the keys that it has.

Views stand in for the other catalog's tables. Ids of templates and prompts hang on the code of their language, those of
prompts on the keys of their fact, so they become those that the atlas itself would give.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from atlas import schema
from atlas.facts import Fact, Label, Prompt, Template
from atlas.matching import language_code
from atlas.store.connection import quoted

if TYPE_CHECKING:
    from atlas.store.writer import Writer

_CODE = "coalesce({codes}[{column}], {column})"
_FACT = "coalesce((SELECT new FROM {there}.new_fact WHERE old = {column}), {column})"
_HOW = {
    "fact": _FACT,
    "other": _FACT,
    "language": _CODE,
    "source_language": _CODE,
    "languages": "list_transform({column}, lambda each: coalesce({codes}[each], each))",
    # Definitions may name a language by several codes already.
    "tau_by_language": (
        "CASE WHEN list_has_any(map_keys({column}), map_values({codes})) THEN {column} "
        "ELSE map_from_entries(list_transform(map_entries({column}), "
        "lambda each: {{'key': coalesce({codes}[each.key], each.key), 'value': each.value}})) END"
    ),
    "template": "coalesce((SELECT new FROM {there}.new_template WHERE old = {column}), {column})",
    "prompt": "coalesce((SELECT new FROM {there}.new_prompt WHERE old = {column}), {column})",
}
"""Columns that change, by name, and what they become."""


def other_codes(writer: Writer, catalog: str) -> dict[str, str]:
    """Return the codes of `catalog` for languages that the atlas has under another code, and that code.

    Of a language that `catalog` itself has under both nothing is said.
    """
    ours, theirs = (writer.sql(f"SELECT language FROM {where}language")["language"].to_pylist()
                    for where in ("", f"{catalog}."))  # fmt: skip
    known = {language_code(code): code for code in ours}
    found = {code: known.get(language_code(code), code) for code in theirs if code not in ours}
    return {code: own for code, own in found.items() if own != code and own not in theirs}


@contextmanager
def respelled(writer: Writer, catalog: str, codes: Mapping[str, str], facts: Mapping[int, Fact]) -> Iterator[str]:
    """Yield the name of a catalog that holds what `catalog` does, with `codes` for its languages and `facts` by id."""
    if not codes and not facts:
        yield catalog
        return
    with writer.attached() as there:
        _fill(writer, catalog, there, codes, facts)
        yield there


def _fill(writer: Writer, catalog: str, there: str, codes: Mapping[str, str], facts: Mapping[int, Fact]) -> None:
    """Make the views in `there`, and the tables of new ids that they read."""
    ids = {
        "fact": {old: fact.id for old, fact in facts.items()},
        "template": _templates(writer, catalog, codes),
        "prompt": _prompts(writer, catalog, codes, facts),
    }
    for name, pairs in ids.items():
        writer.scratch(f"CREATE TABLE {there}.new_{name} (old BIGINT, new BIGINT)")
        insert = f"INSERT INTO {there}.new_{name} SELECT unnest($old::BIGINT[]), unnest($new::BIGINT[])"
        writer.scratch(insert, {"old": list(pairs), "new": list(pairs.values())})
    listed = ", ".join(f"{quoted(code)}: {quoted(own)}" for code, own in codes.items())
    for table in schema.TABLES.values():
        rows = _respelling(table, catalog, f"MAP {{{listed}}}", there)
        writer.scratch(f"CREATE VIEW {there}.{table.name} AS {rows}")


def _respelling(table: schema.Table, catalog: str, codes: str, there: str) -> str:
    """Return the query of a table's rows as they become, in the order of their places; none of facts that are there."""
    names = [column.name for column in table.columns]
    changes = [
        f"{_HOW[name].format(column=name, codes=codes, there=there)} AS {name}" for name in names if name in _HOW
    ]
    if not changes:
        return f"FROM {catalog}.{table.name}"
    rows = f"{catalog}.{table.name}"
    if table.name == "fact":
        rows = f"(FROM {rows} WHERE fact NOT IN (SELECT old FROM {there}.new_fact))"
    # The joins of new ids lose the order.
    order = f" ORDER BY {', '.join(table.order)}" if "place" in names else ""
    return f"SELECT * REPLACE ({', '.join(changes)}) FROM {rows}{order}"


def _templates(writer: Writer, catalog: str, codes: Mapping[str, str]) -> dict[int, int]:
    """Return the new ids of the templates of the languages by the old ones."""
    rows = writer.sql(_TEMPLATES.format(catalog=catalog), [list(codes)]).to_pylist()
    own = {row["template"]: Template(row["relation"], row["language"], row["text"]) for row in rows}
    return {template.id: replace(template, language=codes[template.language]).id for template in own.values()}


def _prompts(writer: Writer, catalog: str, codes: Mapping[str, str], facts: Mapping[int, Fact]) -> dict[int, int]:
    """Return the new ids of prompts by the old ones; a prompt whose labels have changed since keeps its own."""
    found = {}
    for row in writer.sql(_PROMPTS.format(catalog=catalog), [list(codes), list(facts)]).to_pylist():
        label, template = Label(row["subject"], row["object"]), Template(row["relation"], row["language"], row["text"])
        fact = Fact(row["relation"], row["subject_key"], row["object_key"], {template.language: label})
        meant = replace(template, language=codes.get(template.language, template.language))
        same = replace(facts.get(fact.id, fact), labels={meant.language: label})
        old = Prompt(fact, template).id
        if old == row["prompt"]:
            found[old] = Prompt(same, meant).id
    return found


_TEMPLATES = "SELECT * FROM {catalog}.template WHERE list_contains($1::VARCHAR[], language)"
_PROMPTS = """
SELECT prompt.prompt, fact.relation, template.language, template.text, fact.subject AS subject_key,
    fact.object AS object_key, fact_label.subject, fact_label.object
FROM {catalog}.prompt AS prompt JOIN {catalog}.fact AS fact USING (fact)
JOIN {catalog}.template AS template ON template.template = prompt.template
JOIN {catalog}.fact_label AS fact_label ON fact_label.fact = prompt.fact AND fact_label.language = prompt.language
WHERE list_contains($1::VARCHAR[], prompt.language) OR list_contains($2::BIGINT[], prompt.fact)
"""
