"""mLAMA: one template per relation and language, facts with Wikidata ids, in either of its two forms.

As published (version 1.1):

    <language>/<relation>.jsonl     {"sub_uri", "obj_uri", "sub_label", "obj_label", ...}
    <language>/templates.jsonl      {"relation": "P19", "template": "[X] was born in [Y] ."}

As the rows of the Hugging Face data set `m_lama`, in JSON lines, CSV or Parquet, one file or a folder of them:
the four columns above with `template`, `language` and `predicate_id`.

Kassner, Dufter and Schütze, Multilingual LAMA, EACL 2021.
"""

from functools import partial
from pathlib import Path

from atlas.errors import DataError
from atlas.facts.reading import files, texts
from atlas.facts.reading.collect import Collector, Place
from atlas.facts.reading.files import Row
from atlas.facts.reading.lama import SUFFIX, add_tuple, language_folders, read_lines, relation_files, take_tuple
from atlas.facts.reading.texts import LineError

NAME = "mlama"
COLUMNS = ("sub_uri", "obj_uri", "sub_label", "obj_label", "template", "language", "predicate_id")
SHAPES = (
    "a folder with <language>/<relation>.jsonl and <language>/templates.jsonl (mLAMA 1.1)",
    f"a .jsonl, .csv or .parquet file, or a folder of them, with the columns {', '.join(COLUMNS)} (m_lama)",
)

_TEMPLATES = "templates.jsonl"


def fits(path: Path) -> bool:
    """True if `path` has one of mLAMA's two forms."""
    return _is_tree(path) or any(map(_has_columns, _files(path)))


def load(path: Path, into: Collector) -> None:
    """Read the wanted languages and relations of either form."""
    if _is_tree(path):
        _load_tree(path, into)
    else:
        for file in filter(_may_have_columns, _files(path)):
            _load_rows(path, file, into)


def _is_tree(path: Path) -> bool:
    return any((folder / _TEMPLATES).is_file() for folder in files.children(path) if texts.is_language(folder.name))


def _load_tree(path: Path, into: Collector) -> None:
    folders = language_folders(path, into)
    found = [
        (folder, *item) for folder in folders for item in relation_files(folder, folder.name, into, besides=_TEMPLATES)
    ]
    into.check()
    for folder, relation, file in found:
        read_lines(path, file, relation, folder.name, into, take_tuple)
    for folder in dict.fromkeys(folder for folder, _, _ in found):
        if (folder / _TEMPLATES).exists():
            file = files.inside(path, folder / _TEMPLATES)
            into.each(file, files.lines(file), partial(_take_template, into, folder.name))


def _take_template(into: Collector, language: str, place: Place, line: bytes) -> None:
    row = files.json_row(line)
    relation = files.text(row, "relation")
    if into.offer(language, relation):
        into.add_template(place, relation, language, files.text(row, "template"))


def _files(path: Path) -> list[Path]:
    """Return the files that `path` is or holds, up to one folder deep."""
    nested = [file for folder in files.children(path) for file in files.children(folder)]
    return [file for file in (path, *files.children(path), *nested) if file.is_file()]


def _has_columns(path: Path) -> bool:
    try:
        return set(COLUMNS) <= set(_columns(path))
    except (DataError, LineError):
        return False


def _may_have_columns(path: Path) -> bool:
    """Return whether a file beside others is one of rows, or of lines of which the first is bad.

    Raises DataError for Parquet that cannot be read.
    """
    try:
        return set(COLUMNS) <= set(_columns(path))
    except LineError:
        return files.ending(path) == SUFFIX


def _columns(path: Path) -> list[str]:
    """Return the columns of a file of rows, nothing for other kinds of files."""
    if files.ending(path) == ".parquet":
        return files.parquet_columns(path)
    if files.ending(path) == ".csv":
        return files.table(path).columns
    if files.ending(path) in (SUFFIX, ".json"):
        return list(files.json_row(next(files.lines(path), (0, b""))[1]))
    return []


def _load_rows(root: Path, path: Path, into: Collector) -> None:
    files.inside(root, path)
    if files.ending(path) == ".parquet":
        into.each(path, files.parquet_rows(path, list(COLUMNS)), partial(_take_row, into))
        return
    table = files.table(path)
    lines, parse = (table.lines(), table.row) if files.ending(path) == ".csv" else (files.lines(path), files.json_row)
    into.each(path, lines, lambda place, line: _take_row(into, place, parse(line)))


def _take_row(into: Collector, place: Place, row: Row) -> None:
    language = texts.language(files.text(row, "language"))
    relation = texts.relation(files.text(row, "predicate_id"))
    if into.offer(language, relation):
        text = texts.template(files.text_or_none(row, "template"))  # first, as of a bad row nothing is taken
        add_tuple(into, relation, language, place, row)
        into.add_template(place, relation, language, text, again=True)
