"""Claims: what they are, and reading them from CSV and JSONL files."""

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from atlas.errors import DataError

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
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 ({error.reason}); save it as UTF-8.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; check its name and permissions.") from error
    except csv.Error as error:
        raise DataError(f"{path} is no CSV file: {error}; check its quotes.") from error
    if not claims:
        raise DataError(f"{path} holds no claims; give it a row for each.")
    return claims


def _read(path: Path) -> Iterator[Claim]:
    readers = {".csv": _csv, ".tsv": _csv, ".jsonl": _jsonl, ".ndjson": _jsonl}
    if path.suffix.lower() not in readers:
        raise DataError(f"{path} is neither .csv, .tsv nor .jsonl; name it as what it is.")
    yield from readers[path.suffix.lower()](path)


def _csv(path: Path) -> Iterator[Claim]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", strict=True)
        _check_columns(path, "line 1", set(reader.fieldnames or ()))
        for row in reader:
            problem = "the row has more cells than the header" if None in row else None
            yield _claim({name: value for name, value in row.items() if name is not None}, problem)


def _jsonl(path: Path) -> Iterator[Claim]:
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise DataError(f"{path}, line {number} is no JSON: {error}; write one object a line.") from error
            if not isinstance(row, dict):
                raise DataError(f"{path}, line {number} is no JSON object; write one object a line.")
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


def _claim(row: dict[str, object], problem: str | None) -> Claim:
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
    """Return a cell as text; what is missing, NaN or no plain value is empty."""
    if value is None or (isinstance(value, float) and math.isnan(value)) or isinstance(value, list | dict):
        return ""
    text = str(value).strip()
    return "" if text.lower() == "nan" else text
