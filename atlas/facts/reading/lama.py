"""What LAMA's relatives share: folders of `<language>/<relation>.jsonl`, and rows with labels and Wikidata ids."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from atlas.facts.reading import files, texts
from atlas.facts.reading.collect import Collector, Place
from atlas.facts.reading.files import Row

SUFFIX = ".jsonl"
Take = Callable[[Collector, str, str, Place, bytes], None]


def language_folders(root: Path, into: Collector) -> list[Path]:
    """Return the folders of `root` that are named by a language; other folders are counted."""
    folders = [path for path in files.children(root) if path.is_dir()]
    for path in folders:
        if not texts.is_language(path.name):
            into.skip(Place(path, 0), "folder not named by a language")
    return [path for path in folders if texts.is_language(path.name)]


def relation_files(folder: Path, language: str, into: Collector, *, besides: str = "") -> list[tuple[str, Path]]:
    """Return `(relation, file)` of a folder, all offered; files named by no relation are counted."""
    found = []
    for path in files.with_suffix(folder, SUFFIX):
        relation = path.stem
        if path.name.lower() == besides:
            continue
        if texts.is_relation(relation):
            found.append((relation, path))
        else:
            into.skip(Place(path, 0), "file not named by a relation")
    return [(relation, path) for relation, path in found if into.offer(language, relation)]


def read_lines(root: Path, path: Path, relation: str, language: str, into: Collector, take: Take) -> None:
    """Let `take` add every line of a file, of facts or of templates."""
    into.each(path, files.lines(files.inside(root, path)), partial(take, into, relation, language))


def add_tuple(into: Collector, relation: str, language: str, place: Place, row: Row) -> None:
    """Add the fact of one row; a null label counts as missing."""
    keys = files.text(row, "sub_uri"), files.text(row, "obj_uri")
    names = files.text_or_none(row, "sub_label"), files.text_or_none(row, "obj_label")
    into.add_fact(place, relation, language, keys, names)


def take_tuple(into: Collector, relation: str, language: str, place: Place, line: bytes) -> None:
    """Add the fact of a line with `sub_uri`, `obj_uri`, `sub_label` and `obj_label`."""
    add_tuple(into, relation, language, place, files.json_row(line))


def take_pattern(into: Collector, relation: str, language: str, place: Place, line: bytes) -> None:
    """Add the template of a line, under `pattern`."""
    into.add_template(place, relation, language, files.text(files.json_row(line), "pattern"))
