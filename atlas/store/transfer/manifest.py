"""What an export holds: one file beside the rows that names every other file with its rows and checksum."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any

from atlas.errors import StoreError

NAME = "manifest.json"
MADE_BY = "atlas export"
_KINDS = (str, str, int, int, str)
"""Types of what stands of each file."""


@dataclass(frozen=True, slots=True)
class File:
    """One file: its path inside the export, the table or view that it is of, rows, bytes, and their checksum."""

    path: str
    table: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """All files of an export; `atlas` is what the exported file said of itself, `versions` what wrote the export.

    `card` is the checksum of its card, nothing in exports that have none.
    """

    format: str
    atlas: Mapping[str, str]
    versions: Mapping[str, str]
    files: tuple[File, ...]
    card: str = ""

    def write(self, folder: Path) -> None:
        """Write the manifest into `folder`."""
        text = json.dumps({"made_by": MADE_BY, **asdict(self)}, ensure_ascii=False, indent=2)
        (folder / NAME).write_text(text + "\n", "utf-8")


def read(folder: Path) -> Manifest:
    """Return the manifest of the export in `folder`; raises StoreError if there is none or it cannot be right."""
    try:
        values: Any = json.loads((folder / NAME).read_text("utf-8"))
        if values.pop("made_by") != MADE_BY:
            raise ValueError("another program made it")
        files = tuple(_of(File, each) for each in values.pop("files"))
        found: Manifest = _of(Manifest, {**values, "files": files})
        _check(found)
    except OSError as error:
        raise StoreError(f"{folder} is no export: {NAME} cannot be read ({error.strerror}).") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise StoreError(f"{folder} is no export: its {NAME} is not as `atlas export` writes it ({error}).") from error
    return found


def _of(kind: Any, values: Mapping[str, Any]) -> Any:
    """Return what is made of entries by name; raises ValueError for a name too many or too few."""
    names = {each.name for each in fields(kind)} - {"card"}
    if odd := names ^ (values.keys() - {"card"}):
        raise ValueError(f"it lacks or does not know {min(odd)!r}")
    return kind(**values)


def _check(found: Manifest) -> None:
    """Raise ValueError for values of other types, files outside the folder, and files that are named twice."""
    for file in found.files:
        if not all(isinstance(value, kind) for value, kind in zip(astuple(file), _KINDS, strict=True)):
            raise ValueError(f"what it says of {file.path} has the wrong shape")
        if not _inside(file.path):
            raise ValueError(f"it names {file.path}, outside the folder")
    kinds = ((found.format, str), (found.card, str), (found.atlas, dict), (found.versions, dict))
    if not all(isinstance(value, kind) for value, kind in kinds):
        raise ValueError("what it says of the atlas has the wrong shape")
    twice = [path for path, count in Counter(PurePosixPath(file.path) for file in found.files).items() if count > 1]
    if twice:
        raise ValueError(f"it names {twice[0]} twice")


def text_checksum(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def _inside(path: object) -> bool:
    parts = PurePosixPath(path).parts if isinstance(path, str) else ("..",)
    return bool(parts) and ".." not in parts and not PurePosixPath(*parts).is_absolute() and "\\" not in str(path)
