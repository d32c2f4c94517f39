"""What an export holds: one file beside the rows that names every other file with its rows and checksum."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from atlas.errors import StoreError

NAME = "manifest.json"
MADE_BY = "atlas export"


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
    """All files of an export; `atlas` is what the exported file said of itself, `versions` what wrote the export."""

    format: str
    atlas: Mapping[str, str]
    versions: Mapping[str, str]
    files: tuple[File, ...]

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
        found = Manifest(**values | {"files": tuple(File(**each) for each in values["files"])})
        wrong = [file.path for file in found.files if not _inside(file.path)]
        if wrong:
            raise ValueError(f"it names {wrong[0]}, outside the folder")
    except OSError as error:
        raise StoreError(f"{folder} is no export: {NAME} cannot be read ({error.strerror}).") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise StoreError(f"{folder} is no export: its {NAME} is not as `atlas export` writes it ({error}).") from error
    return found


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _inside(path: object) -> bool:
    parts = PurePosixPath(path).parts if isinstance(path, str) else ("..",)
    return bool(parts) and ".." not in parts and not PurePosixPath(*parts).is_absolute() and "\\" not in str(path)
