"""BMLAMA: the same filled prompts in every language, row by row.

    <language>.tsv      Prompt (with <mask>), Ans, Candidate Ans, Subject; row n is the same fact in every file

One such file is read alone; where it lies beside the English one, its keys still come from there.
The files hold neither ids nor relations nor templates. A fact's keys are its English names (those of the
first language where there is no English file). Its relation is told by the English template, which is the
prompt without its subject: LAMA's own templates give Wikidata's property, any other a name made of its words.

In each language the templates that at least a tenth of a relation's prompts follow are kept; the rest are
slips of the filling. A prompt that lacks its subject as written gives no template, but its fact is asked
through the templates of the others. Both are counted.

Qi, Fernández and Bisazza, Cross-Lingual Consistency of Factual Knowledge, EMNLP 2023.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from atlas.errors import DataError
from atlas.facts.facts import OBJECT, SUBJECT
from atlas.facts.reading import files, texts
from atlas.facts.reading.collect import Collector, Place
from atlas.facts.reading.lama_templates import relations_of
from atlas.facts.reading.texts import LineError
from atlas.matching import language_code

NAME = "bmlama"
SHAPES = ("<language>.tsv of Prompt, Ans, Candidate Ans, Subject, or a folder of them, row n the same fact (BMLAMA)",)
KEY_LANGUAGE = "en"
MASK = "<mask>"
NO_KEY = "row without names or relation in the language of the keys"
NO_SUBJECT = "prompt without its subject as written"
ODD_PROMPT = "prompt that does not follow its relation's template"

_SUFFIX = ".tsv"
_SHARE = 0.1
_OCCURRENCES = 20


class Row(NamedTuple):
    """One query: the prompt with its mask, the answer and the subject, tidied."""

    prompt: str
    answer: str
    subject: str


class Queries(NamedTuple):
    """The usable rows of one file by line, and the number of its last line."""

    rows: Mapping[int, Row]
    last_line: int


class Keys(NamedTuple):
    """What the file of the key language tells of each row: its names and its relation, by line."""

    names: Mapping[int, tuple[str, str]]
    relations: Mapping[int, str]
    last_line: int


def fits(path: Path) -> bool:
    """True if `path` is a file of this kind, or a folder with one."""
    found = [path] if path.name.lower().endswith(_SUFFIX) else files.with_suffix(path, _SUFFIX)
    return any(_has_header(file) for file in found if file.is_file())


def load(path: Path, into: Collector) -> None:
    """Read the wanted languages; the file that gives the keys is always read."""
    found = _language_files(path, into) if path.is_dir() else _alone(path)
    if not found:
        return
    english = (path if path.is_dir() else path.parent) / f"{KEY_LANGUAGE}{_SUFFIX}"
    sources = {**found, KEY_LANGUAGE: english} if english.is_file() and _has_header(english) else found
    key_language = min(sources, key=lambda code: (language_code(code) != KEY_LANGUAGE, code))
    read = {key_language: _read(sources[key_language], into)}
    keys = _keys(read[key_language])
    wanted = [language for language in found if _offer(language, keys, into)]
    into.check()
    for language in wanted:
        _add_queries(found[language], language, read.get(language) or _read(found[language], into), keys, into)


def _language_files(path: Path, into: Collector) -> dict[str, Path]:
    found = {}
    for file in files.with_suffix(path, _SUFFIX):
        language = file.name.removesuffix(_SUFFIX)
        if not texts.is_language(language):
            into.skip(Place(file, 0), "file not named by a language")
        elif not _has_header(files.inside(path, file)):
            into.bad(Place(file, 1), "its header is not Prompt, Ans, Candidate Ans, Subject")
        else:
            found[language] = file
    return found


def _alone(file: Path) -> dict[str, Path]:
    language = file.name[: -len(_SUFFIX)]
    if not texts.is_language(language):
        raise DataError(f"{files.name(file)} is not named by its language; call it en{_SUFFIX} if it is English.")
    return {language: file}


def _has_header(file: Path) -> bool:
    """True if a file begins with Prompt, Ans and ends with Subject; what is between differs from file to file."""
    try:
        names = files.cells(next(files.lines(file), (0, b""))[1], "\t")
    except LineError:
        return False
    return names[:2] == ["Prompt", "Ans"] and names[-1] == "Subject"


def _keys(queries: Queries) -> Keys:
    rows = {line: row for line, row in queries.rows.items() if row.subject and row.answer}
    names = {line: (row.subject, row.answer) for line, row in rows.items()}
    return Keys(names, relations_of(_templates(rows)), queries.last_line)


def _offer(language: str, keys: Keys, into: Collector) -> bool:
    """Offer every relation in a language; return whether any is wanted, or none is known: then its rows are counted."""
    wanted = [into.offer(language, relation) for relation in dict.fromkeys(keys.relations.values())]
    return any(wanted) or not wanted


def _add_queries(file: Path, language: str, queries: Queries, keys: Keys, into: Collector) -> None:
    if queries.last_line != keys.last_line:
        cause = f"its last row is on line {queries.last_line}, that of the keys' file on {keys.last_line}"
        return into.bad(Place(file, queries.last_line), cause)
    into.each(file, queries.rows.items(), partial(_take, into, language, keys))
    templates = _templates(queries.rows)
    for relation, lines in _by_relation(queries.rows, keys.relations).items():
        if into.offer(language, relation):
            # A row without a subject is left out as a fact.
            asked = {line: templates.get(line) for line in lines if queries.rows[line].subject}
            _add_templates(file, language, relation, asked, into)
    return None


def _read(file: Path, into: Collector) -> Queries:
    rows: dict[int, Row] = {}
    seen = [0]

    def take(place: Place, line: bytes) -> None:
        seen.append(place.line)
        if place.line > 1:
            rows[place.line] = _row(line)

    into.each(file, files.lines(file), take)
    return Queries(rows, seen[-1])


def _row(line: bytes) -> Row:
    cells = files.cells(line, "\t")
    if len(cells) != 4:
        raise LineError(f"it has {len(cells)} columns in place of 4")
    prompt = texts.template(cells[0])
    if prompt.count(MASK) != 1:
        raise LineError(f"its prompt has not exactly one {MASK}")
    return Row(prompt, texts.label(cells[1]), texts.label(cells[3]))


def _take(into: Collector, language: str, keys: Keys, place: Place, row: Row) -> None:
    relation = keys.relations.get(place.line)
    if relation is None:
        into.skip(place, NO_KEY)
    elif into.offer(language, relation):
        into.add_fact(place, relation, language, keys.names[place.line], (row.subject, row.answer))


def _by_relation(rows: Mapping[int, Row], relations: Mapping[int, str]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for line in rows:
        if relation := relations.get(line):
            groups.setdefault(relation, []).append(line)
    return groups


def _add_templates(
    file: Path, language: str, relation: str, templates: Mapping[int, str | None], into: Collector
) -> None:
    """Add the templates that enough prompts of a relation follow; count the prompts that follow none."""
    counts = Counter(template for template in templates.values() if template)
    kept = {template for template, count in counts.items() if count >= _SHARE * counts.total()}
    for line, template in templates.items():
        if template in kept:
            kept.discard(template)
            into.add_template(Place(file, line), relation, language, template)
        elif template is None:
            into.skip(Place(file, line), NO_SUBJECT)
        elif counts[template] < _SHARE * counts.total():
            into.skip(Place(file, line), ODD_PROMPT)


def _templates(rows: Mapping[int, Row]) -> dict[int, str]:
    """Return each prompt with its subject's place open, where the subject is found.

    Where the subject is found at several places, as `Oise` in `L'Oise se compose de`, the place that makes the
    template of most rows is the right one.
    """
    candidates = {line: list(_candidates(row)) for line, row in rows.items()}
    counts = Counter(text for found in candidates.values() for text in found)
    return {line: max(found, key=lambda text: counts[text]) for line, found in candidates.items() if found}


def _candidates(row: Row) -> Iterator[str]:
    before, _, after = row.prompt.partition(MASK)
    for opened in _opened(before, row.subject):
        yield f"{opened}{OBJECT}{after}"
    for opened in _opened(after, row.subject):
        yield f"{before}{OBJECT}{opened}"


def _opened(text: str, subject: str) -> Iterator[str]:
    """Yield `text` with one of the first occurrences of `subject` left open."""
    start = text.find(subject) if subject else -1
    for _ in range(_OCCURRENCES):
        if start < 0:
            return
        yield f"{text[:start]}{SUBJECT}{text[start + len(subject) :]}"
        start = text.find(subject, start + 1)
