"""A table of one's own: facts in a CSV file, templates in a second one or in a column of the first.

    facts.csv         relation, language, subject, object [, subject_key, object_key] [, template [, held_out]]
    templates.csv     relation, language, template [, held_out]

One line says what a fact's subject and object are called in one language. Lines of the same relation,
`subject_key` and `object_key` are the same fact, so with more than one language these two columns are needed;
any text will do that is the same in all languages, such as a Wikidata id or the English name. With one
language, the names themselves are the keys where the columns are missing.

A template has one `[X]` for the subject and one `[Y]` for the object, and serves all facts of its relation in
its language, on whichever line it stands. `held_out` (1, true, yes; 0, false, no or empty) sets a template
apart for testing paraphrases. Columns come in any order, split by comma, semicolon or tab; others are not read.
"""

from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from atlas.errors import DataError
from atlas.facts.reading import files, texts
from atlas.facts.reading.collect import Collector, Place
from atlas.facts.reading.files import Row, Table
from atlas.facts.reading.texts import LineError
from atlas.matching import language_code

NAME = "table"
FACTS = "facts.csv"
TEMPLATES = "templates.csv"
NEEDED = ("relation", "language", "subject", "object")
KEYS = ("subject_key", "object_key")
TEMPLATE_NEEDED = ("relation", "language", "template")
SHAPES = (
    f"a .csv or .tsv file, or a folder with {FACTS}, of the columns {', '.join(NEEDED)} [, {', '.join(KEYS)}], "
    f"and a column template or a file {TEMPLATES} beside it (your own facts)",
)

_KNOWN = (*NEEDED, *KEYS, "template", "held_out")
_TRUTH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}


def fits(path: Path) -> bool:
    """True if `path` is a folder with `facts.csv`, or a table with a subject and an object."""
    if path.is_dir():
        return (path / FACTS).is_file()
    if files.ending(path) not in (".csv", ".tsv"):
        return False
    table = files.table(path)
    return bool(table.fault) or {"subject", "object"} <= set(table.columns)


def load(path: Path, into: Collector) -> None:
    """Read the wanted languages and relations; `DataError` if columns, keys or templates are missing."""
    root = path if path.is_dir() else path.parent
    facts = _table(path, path / FACTS if path.is_dir() else path, NEEDED)
    templates = _table(root, root / TEMPLATES, TEMPLATE_NEEDED) if (root / TEMPLATES).is_file() else None
    if templates is None and "template" not in facts.columns:
        place = files.name(facts.path)
        raise DataError(f"{place} has no templates; add a column template, or a file {TEMPLATES} beside it.")
    languages: set[str] = set()
    into.each(facts.path, facts.lines(), partial(_take_fact, into, facts, languages))
    _check_keys(facts, languages)
    if templates is not None:
        into.each(templates.path, templates.lines(), partial(_take_template, into, templates))


def _table(root: Path, path: Path, needed: tuple[str, ...]) -> Table:
    """Return a table that has the needed columns and none that looks like a known one misspelled."""
    table = files.table(files.inside(root, path)).checked()
    for column in needed:
        if column not in table.columns:
            raise DataError(f"{files.name(path)} has no column {column}; it needs {', '.join(needed)}.")
    for column in table.columns:
        near = [] if column in _KNOWN else get_close_matches(column, _KNOWN, n=1, cutoff=0.9)
        if near:
            raise DataError(f"{files.name(path)}: the column {texts.shown(column)} looks like {near[0]}; rename it.")
    return table


def _check_keys(facts: Table, languages: set[str]) -> None:
    missing = [column for column in KEYS if column not in facts.columns]
    if missing and (len(missing) < len(KEYS) or len(languages) > 1):
        raise DataError(
            f"{files.name(facts.path)} has no column {' and no '.join(missing)}, without which facts of several "
            f"languages cannot be matched; add {' and '.join(KEYS)}, the same text in every language."
        )


def _take_fact(into: Collector, table: Table, languages: set[str], place: Place, line: bytes) -> None:
    row = table.row(line)
    relation, language = _names(row)
    languages.add(language_code(language))
    if not into.offer(language, relation):
        return
    names = _both(row, ("subject", "object"), texts.object_or_subject)
    columns = KEYS if set(KEYS) <= set(table.columns) else ("subject", "object")
    keys = _both(row, columns, texts.key) if all(names) else names
    # First, as of a bad line nothing is taken.
    if (row.get("template") or "").strip():
        _add_template(into, place, row)
    into.add_fact(place, relation, language, keys, names, again="template" in table.columns)


def _take_template(into: Collector, table: Table, place: Place, line: bytes) -> None:
    row = table.row(line)
    if into.offer(*reversed(_names(row))):
        _add_template(into, place, row)


def _add_template(into: Collector, place: Place, row: Row) -> None:
    relation, language = _names(row)
    held_out = _TRUTH.get(row.get("held_out", "").strip().lower())
    if held_out is None:
        raise LineError(f"held_out is {texts.shown(row['held_out'])}, neither yes nor no")
    again, text = "subject" in row, files.cell(row, "template", texts.template)
    into.add_template(place, relation, language, text, held_out=held_out, again=again)


def _both(row: Row, columns: tuple[str, str], check: Callable[[str], str]) -> tuple[str, str]:
    return files.cell(row, columns[0], check), files.cell(row, columns[1], check)


def _names(row: Row) -> tuple[str, str]:
    """Return relation and language of a row."""
    relation = files.cell(row, "relation", lambda text: texts.relation(text.strip()))
    return relation, files.cell(row, "language", lambda text: texts.language(text.strip()))
