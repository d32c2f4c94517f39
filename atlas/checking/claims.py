"""Claims: what they are, and reading them from CSV and JSONL files."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from atlas.errors import DataError
from atlas.facts.reading import files

REQUIRED = ("subject", "relation", "object")
OPTIONAL = ("language", "truth")
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "": None}


@dataclass(frozen=True, slots=True)
class Claim:
    """`<subject, relation, object>` in a language, as text; `problem` says why a file's row is unusable."""

    subject: str
    relation: str
    object: str
    language: str | None = None
    truth: bool | None = None
    problem: str | None = None


def read_claims(path: Path) -> list[Claim]:
    """Return the claims of a `.csv`, `.tsv` or `.jsonl` file, one a row; a row with a wrong value keeps its problem.

    Raises DataError for a file that cannot be read, has other columns or no rows.
    """
    try:
        claims = list(_read(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; check its name and permissions.") from error
    if not claims:
        raise DataError(f"{path} holds no claims; give it a row for each.")
    return claims


def _read(path: Path) -> Iterator[Claim]:
    readers = {".csv": _table, ".tsv": _table, ".jsonl": _jsonl, ".ndjson": _jsonl}
    if files.ending(path) not in readers:
        raise DataError(f"{path} is neither .csv, .tsv nor .jsonl; name it as what it is.")
    yield from readers[files.ending(path)](path)


def _table(path: Path) -> Iterator[Claim]:
    table = files.table(path).checked()
    _check_columns(path, f"line {table.lead}", {*table.columns} - {""})
    for number, line in table.lines():
        with files.at(path, number):
            row, more = table.loose_row(line)
        yield _claim(row, "the row has more cells than the header" if more else None)


def _jsonl(path: Path) -> Iterator[Claim]:
    for number, line in files.lines(path):
        with files.at(path, number):
            row = files.json_row(line)
        _check_columns(path, f"line {number}", set(row))
        yield _claim(row, None)


def _check_columns(path: Path, where: str, names: set[str]) -> None:
    missing = [name for name in REQUIRED if name not in names]
    unknown = sorted(names - {*REQUIRED, *OPTIONAL})
    if missing or unknown:
        wrong = f"lacks {', '.join(missing)}" if missing else f"has {', '.join(unknown)}"
        raise DataError(
            f"{path}, {where} {wrong}; the columns are {', '.join(REQUIRED)} and, if you like, {', '.join(OPTIONAL)}."
        )


def _claim(row: Mapping[str, object], problem: str | None) -> Claim:
    texts = {name: _text(row.get(name)) for name in (*REQUIRED, *OPTIONAL)}
    for name in REQUIRED:
        if texts[name] == "":
            problem = problem or f"the {name} is empty or no text"
    if texts["truth"].lower() not in _TRUTH:
        problem = problem or "truth is neither true nor false"
    return Claim(
        texts["subject"],
        texts["relation"],
        texts["object"],
        texts["language"] or None,
        _TRUTH.get(texts["truth"].lower()),
        problem,
    )


def _text(value: object) -> str:
    """Return a cell as text; what is missing, NaN or no plain value is empty; Nan is a province."""
    if value is None or (isinstance(value, float) and math.isnan(value)) or isinstance(value, list | dict):
        return ""
    text = str(value).strip()
    return "" if text in ("nan", "NaN") else text
