"""KLAR: one file a language and relation, with templates and samples that carry their English names.

    <language>/<relation>.json      {"prompt_templates": ["The capital of <subject> is <mask>."],
                                     "samples": [{"index": 3, "subject", "object", "subject_en", "object_en"}]}

A sample's keys are its English names: those of the English file's sample of the same index, or its own `subject_en` and
`object_en`. The layout is that which the authors' published code reads (cisnlp/KLAR-CLC); no file of theirs was tried.

Wang et al., Lost in Multilinguality, ACL 2025, arXiv 2504.04264.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from atlas.errors import DataError
from atlas.facts.facts import OBJECT, SUBJECT
from atlas.facts.reading import files, texts
from atlas.facts.reading.collect import Collector, Place
from atlas.facts.reading.files import Row
from atlas.facts.reading.lama import language_folders
from atlas.facts.reading.texts import LineError

NAME = "klar"
SHAPES = ("a folder with <language>/<relation>.json of prompt_templates and samples (KLAR)",)

_SUFFIX = ".json"
_KEY_LANGUAGE = "en"
_MARKS = {"<subject>": SUBJECT, "<mask>": OBJECT, "<MASK>": OBJECT}

NO_NAME = "sample whose English names, its keys, are not both there"

Names = Mapping[object, tuple[str, str]]
"""A sample's index to its English names, empty where there is none."""


def fits(path: Path) -> bool:
    """True if `path` has a folder named by a language with a file of this kind."""
    folders = [folder for folder in files.children(path) if texts.is_language(folder.name)]
    found = (file for folder in folders for file in files.with_suffix(folder, _SUFFIX))
    file = next(found, None)
    try:
        return file is not None and _is_relation_file(files.json_text(file))
    except DataError:
        return False


def load(path: Path, into: Collector) -> None:
    """Read the wanted languages and relations; English files are always read, for the keys."""
    for folder in language_folders(path, into):
        for file in files.with_suffix(folder, _SUFFIX):
            relation = file.name[: -len(_SUFFIX)]
            if not texts.is_relation(relation):
                into.skip(Place(file, 0), "file not named by a relation")
            elif into.offer(folder.name, relation):
                _add(file, folder.name, relation, _names(path, file.name), _content(path, file), into)
    into.check()


def _content(root: Path, file: Path) -> Mapping[str, Any]:
    found = files.json_text(files.inside(root, file))
    if not _is_relation_file(found):
        raise DataError(f"{files.name(file)} has no lists prompt_templates and samples; take it out of the data set.")
    return dict(found)


def _is_relation_file(found: object) -> bool:
    return isinstance(found, dict) and all(isinstance(found.get(n), list) for n in ("prompt_templates", "samples"))


def _names(root: Path, name: str) -> Names:
    """Return the English names of a relation's samples, nothing where there is no English file.

    An index of two samples names neither.
    """
    file = root / _KEY_LANGUAGE / name
    if not file.is_file():
        return {}
    rows = [row for row in _content(root, file)["samples"] if isinstance(row, dict) and _indexed(row)]
    found: dict[object, tuple[str, str]] = {}
    for row in rows:
        own = _name(row["subject"]), _name(row["object"])
        if found.setdefault(row["index"], own) != own:
            found[row["index"]] = "", ""
    return found


def _name(value: object) -> str:
    return value if isinstance(value, str) else ""


def _indexed(row: Row) -> bool:
    return isinstance(row.get("index"), int | str) and "subject" in row and "object" in row


def _add(file: Path, language: str, relation: str, names: Names, content: Mapping[str, Any], into: Collector) -> None:
    into.each(file, enumerate(content["samples"], start=1), partial(_take, into, relation, language, names))
    for text in content["prompt_templates"]:
        into.each(file, [(0, text)], partial(_take_template, into, relation, language))


def _take(into: Collector, relation: str, language: str, names: Names, place: Place, row: object) -> None:
    if not isinstance(row, dict):
        raise LineError("a sample is no JSON object")
    own = files.text_or_none(row, "subject"), files.text_or_none(row, "object")
    keys = _keys(row, names, language)
    if language == _KEY_LANGUAGE and not all(keys):
        keys = own
    if all(own) and not all(keys):
        return into.skip(place, NO_NAME)
    return into.add_fact(place, relation, language, keys, own)


def _keys(row: Row, names: Names, language: str) -> tuple[str, str]:
    """Return a sample's English names, empty where there is none."""
    found = names.get(row["index"]) if isinstance(row.get("index"), int | str) else None
    if found is None and language != _KEY_LANGUAGE:
        return files.text(row, "subject_en"), files.text(row, "object_en")
    if found is None or not all(found):
        return _name(row.get("subject_en")), _name(row.get("object_en"))
    return found


def _take_template(into: Collector, relation: str, language: str, place: Place, text: object) -> None:
    if not isinstance(text, str):
        raise LineError("a template is no text")
    for mark, own in _MARKS.items():
        text = text.replace(mark, own)
    into.add_template(place, relation, language, text)
