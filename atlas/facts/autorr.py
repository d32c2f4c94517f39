"""mParaRel as its autoregressive editions give it: one row a query, of templates that end in the object.

    data/*.parquet      language, relation, template, sub_uri, obj_uri, sub_label, obj_label, ...

or the same columns in `.jsonl` files; also `coastalcph/xlingual_mpararel_autorr` (subjects that all languages have) and
`coastalcph/xlingual_mpararel_mlm` (templates that name their `[Y]`). A template without `[Y]` has it at its end. An
object with other names is a list, its name first. Fierro et al., How Do Multilingual Language Models Remember?,
arXiv 2410.14387.
"""

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from atlas.errors import DataError
from atlas.facts.reading import files, texts
from atlas.facts.reading.collect import Collector, Place
from atlas.facts.reading.files import Row
from atlas.facts.reading.texts import LineError

NAME = "mpararel_autorr"
NEEDED = ("language", "relation", "template", "sub_uri", "obj_uri", "sub_label", "obj_label")
SHAPES = (
    f"a folder of .parquet or .jsonl files, or one, of the columns {', '.join(NEEDED)} (mParaRel's autoregressive "
    f"editions)",
)

_ENDINGS = (".parquet", ".jsonl")


def fits(path: Path) -> bool:
    """True if `path` is, or holds, a file of such rows; the first one that can be read tells."""
    for file in _files(path):
        with suppress(DataError, OSError):
            return _has_rows(file)
    return False


def _has_rows(file: Path) -> bool:
    try:
        return set(NEEDED) <= set(_row(next(_rows(file))[1]))
    except (StopIteration, LineError):
        return False


def load(path: Path, into: Collector) -> None:
    """Read the facts and templates of the wanted languages and relations."""
    for file in _files(path):
        into.each(file, _rows(file), partial(_take, into))


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix in _ENDINGS else []
    nested = [file for folder in files.children(path) for file in files.children(folder)]
    found = (file for file in (*files.children(path), *nested) if file.suffix in _ENDINGS)
    return sorted(files.inside(path, file) for file in found)


def _rows(file: Path) -> Iterator[tuple[int, Row | bytes]]:
    """Yield the rows of a file, or the lines that hold them, numbered from 1."""
    if file.suffix == ".jsonl":
        yield from files.lines(file)
        return
    there = files.parquet_columns(file)
    yield from files.parquet_rows(file, [name for name in NEEDED if name in there])


def _row(found: Row | bytes) -> Row:
    return files.json_row(found) if isinstance(found, bytes) else found


def _take(into: Collector, place: Place, found: Row | bytes) -> None:
    row = _row(found)
    language, relation = (files.text_or_none(row, name) for name in ("language", "relation"))
    language, relation = texts.language(language), texts.relation(relation)
    if not into.offer(language, relation):
        return
    names = files.text_or_none(row, "sub_label"), _name(row)
    keys = files.text_or_none(row, "sub_uri"), files.text_or_none(row, "obj_uri")
    text = texts.template(texts.ended(files.text_or_none(row, "template")))  # first, as of a bad row nothing is taken
    into.add_fact(place, relation, language, keys, names, again=True)
    into.add_template(place, relation, language, text, again=True)


def _name(row: Row) -> str:
    """Return the object's name: the first, where the source lists others."""
    names = row.get("obj_label")
    name = next(iter(names), None) if isinstance(names, list) else names
    return files.text_or_none({"obj_label": name}, "obj_label")
