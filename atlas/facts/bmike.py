"""BMIKE-53: requests to edit a fact, in two languages each, read as the facts that they would change.

    <task>_test_<language>.json     [{"en": {"subject", "src", "rephrase", "old", "alt", ...}, "<language>": {...}}]

`old` is the object, which zsRE's requests lack; what it is to become (`alt`) is for `atlas edit convert`. A question
that names the subject once is a template with the object after it, and its `rephrase` one that is held out. Keys are
the English names, the relation is the English question without its subject. Names of files do not count.

Nie et al., BMIKE-53, ACL 2025, arXiv 2406.17764.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from atlas.errors import DataError
from atlas.facts.facts import SUBJECT
from atlas.facts.reading import files, texts
from atlas.facts.reading.collect import Collector, Place
from atlas.facts.reading.lama_templates import name_of
from atlas.facts.reading.texts import LineError

NAME = "bmike-53"
SHAPES = ("a .json file of requests with subject, src, old and alt in en and a language, or a folder (BMIKE-53)",)
NO_SUBJECT = "question that does not name its subject once"

_SUFFIX = ".json"
_KEY_LANGUAGE = "en"
_FIELDS = ("subject", "src", "alt")


def fits(path: Path) -> bool:
    """True if `path` is, or holds, such a file."""
    file = next(iter(_files(path)), None)
    try:
        found = files.json_text(file) if file else None
    except DataError:
        return False
    first = found[0] if isinstance(found, list) and found else None
    return isinstance(first, dict) and _KEY_LANGUAGE in first and all(map(_is_request, first.values()))


def load(path: Path, into: Collector) -> None:
    """Read the requests of every file, as facts of the wanted languages."""
    for file in _files(path):
        items = files.json_text(files.inside(path, file))
        if not isinstance(items, list):
            raise DataError(f"{files.name(file)} is no list of requests; take it out of the data set.")
        into.each(file, enumerate(items, start=1), partial(_take, into))
    into.check()


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() and files.ending(path) == _SUFFIX else files.with_suffix(path, _SUFFIX)


def _is_request(part: object) -> bool:
    return isinstance(part, dict) and set(_FIELDS) <= set(part)


def _take(into: Collector, place: Place, item: object) -> None:
    if not isinstance(item, dict) or not all(map(_is_request, item.values())) or _KEY_LANGUAGE not in item:
        raise LineError(f"a request lacks {_KEY_LANGUAGE}, or one of {', '.join(_FIELDS)}")
    english = item[_KEY_LANGUAGE]
    if "old" not in english:
        raise LineError("a request lacks old, the fact's object, as all of BMIKE-53's zsRE do; take another part of it")
    keys = files.text(english, "subject"), files.text(english, "old")
    asked = _opened(texts.tidy(files.text(english, "src")), texts.tidy(keys[0]))
    if asked is None:
        return into.leave(place, NO_SUBJECT, (_KEY_LANGUAGE, files.text(english, "src"), *keys), again=True)
    relation = name_of(asked)
    for language, part in item.items():
        if into.offer(texts.language(language), relation):
            _add(into, place, relation, language, keys, part)
    return None


def _add(
    into: Collector, place: Place, relation: str, language: str, keys: tuple[str, str], part: Mapping[str, Any]
) -> None:
    names = files.text(part, "subject"), files.text(part, "old")
    templates = list(_templates(part, texts.tidy(names[0])))  # first, as of a bad request nothing is taken
    into.add_fact(place, relation, language, keys, names, again=True)
    for text, held_out in templates:
        if text is None:
            said = files.text(part, "rephrase" if held_out else "src")
            into.leave(place, NO_SUBJECT, (language, relation, *names, said), again=True)
        else:
            into.add_template(place, relation, language, texts.ended(text), held_out=held_out, again=True)


def _templates(part: Mapping[str, Any], subject: str) -> Iterator[tuple[str | None, bool]]:
    """Yield the questions with the subject's place open, None where it is not named once, and whether held out."""
    yield _opened(texts.tidy(files.text(part, "src")), subject), False
    if part.get("rephrase"):
        yield _opened(texts.tidy(files.text(part, "rephrase")), subject), True


def _opened(question: str, subject: str) -> str | None:
    return question.replace(subject, SUBJECT) if subject and question.count(subject) == 1 else None
