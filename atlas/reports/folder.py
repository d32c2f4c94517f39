"""The folder of a report: only one that is new, empty or made by a report before is written to."""

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from atlas.errors import StoreError, UsageError

MARK = ".atlas-report.json"
"""The file that says that a report made the folder, and which files in it."""


class Folder:
    """Writes a report's files; at the end those of an earlier report that are not part of this one are removed.

    Other files in the folder are left alone, and so is what a link in it leads to: only regular files that lie in the
    folder itself are replaced or removed. Raises UsageError if the folder holds files that no report made, StoreError
    if it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._root = path.resolve()
        self._written: set[str] = set()
        self._made: set[Path] = set()

    def __enter__(self) -> Self:
        """Check and make the folder."""
        self._before = files_of(self.path)
        self._mark(self._before)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove what an earlier report left, unless this one was cut off: then remember what both wrote."""
        if error is None:
            for name in self._before - self._written:
                self._remove(name)
            self._mark(self._written)
        else:
            self._mark(self._before | self._written)

    def write(self, name: str, text: str) -> None:
        """Write a file; `name` is its address in the site, made of ids, with slashes."""
        path = self._root / name
        try:
            self._prepare(path, name)
            part = path.with_name(path.name + ".part")
            part.unlink(missing_ok=True)
            with part.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
            part.replace(path)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        self._written.add(name)

    def _prepare(self, path: Path, name: str) -> None:
        """Make the folder of a file; raises UsageError where a link or something else than a file is in the way."""
        if path.parent not in self._made:
            if not self._holds(path):
                raise UsageError(f"{self.path / name} lies behind a link; remove the link, or choose another folder.")
            path.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(path.parent)
        if os.path.lexists(path) and not _regular(path):
            raise UsageError(f"{self.path / name} is no plain file; remove it, or choose another folder.")

    def _holds(self, path: Path) -> bool:
        """Return whether a file lies in the folder itself, not behind a link in it."""
        return path.is_relative_to(self._root) and path.parent.resolve() == path.parent

    def _remove(self, name: str) -> None:
        """Remove a file of an earlier report; the list of them may have been changed, and the folder too."""
        path = self._root / name
        if _regular(path) and self._holds(path):
            try:
                path.unlink()
            except OSError as error:
                raise _unwritable(self.path, error) from error

    def _mark(self, names: set[str]) -> None:
        self.write(MARK, json.dumps({"made by": "atlas report", "files": sorted(names - {MARK})}, indent=0))


def files_of(folder: Path) -> set[str]:
    """Return the files that an earlier report wrote; raises UsageError for a folder of someone else."""
    if folder.is_file():
        raise UsageError(f"{folder} is a file; name a folder for the report.")
    if not folder.is_dir() or not any(folder.iterdir()):
        return set()
    try:
        if not _regular(folder / MARK):
            raise ValueError("no mark")
        return {str(name) for name in list(json.loads((folder / MARK).read_text("utf-8"))["files"])}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise UsageError(
            f"{folder} holds files that no report made, and a report never writes over them; name an empty folder."
        ) from None


def _regular(path: Path) -> bool:
    """Return whether `path` is a file and no link; a name that no file can have is none."""
    return os.path.isfile(path) and not os.path.islink(path)


def _unwritable(folder: Path, error: OSError) -> StoreError:
    return StoreError(f"{folder} cannot be written: {error.strerror}; choose another folder.")
