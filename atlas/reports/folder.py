"""The folder of a report: only one that is new, empty or made by a report before is written to."""

import json
from pathlib import Path
from types import TracebackType
from typing import Self

from atlas.errors import UsageError

MARK = ".atlas-report.json"
"""The file that says that a report made the folder, and which files in it."""


class Folder:
    """Writes a report's files; at the end those of an earlier report that are not part of this one are removed.

    Other files in the folder are left alone. Raises UsageError if the folder holds files that no report made, or
    cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written: set[str] = set()
        self._made: set[Path] = set()

    def __enter__(self) -> Self:
        """Check and make the folder."""
        self._before = _files_of(self.path)
        self._mark(self._before)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove what an earlier report left, unless this one was cut off: then remember what both wrote."""
        if error is None:
            for name in self._before - self._written:
                (self.path / name).unlink(missing_ok=True)
            self._mark(self._written)
        else:
            self._mark(self._before | self._written)

    def write(self, name: str, text: str) -> None:
        """Write a file; `name` is its address in the site, made of ids, with slashes."""
        path = self.path / name
        try:
            if path.parent not in self._made:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._made.add(path.parent)
            part = path.with_name(path.name + ".part")
            part.write_text(text, "utf-8", newline="\n")
            part.replace(path)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        self._written.add(name)

    def _mark(self, names: set[str]) -> None:
        text = json.dumps({"made by": "atlas report", "files": sorted(names)}, indent=0)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / MARK).write_text(text, "utf-8")
        except OSError as error:
            raise _unwritable(self.path, error) from error


def _files_of(folder: Path) -> set[str]:
    """Return the files that an earlier report wrote; raises UsageError for a folder of someone else."""
    if folder.is_file():
        raise UsageError(f"{folder} is a file; name a folder for the report.")
    if not folder.is_dir() or not any(folder.iterdir()):
        return set()
    try:
        names = json.loads((folder / MARK).read_text("utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(
            f"{folder} holds files that no report made, and a report never writes over them; name an empty folder."
        ) from None
    return {str(name) for name in names if _inside(str(name))}


def _inside(name: str) -> bool:
    """Return whether a name of the mark's list lies in the folder: the list itself may have been changed."""
    path = Path(name)
    return not path.is_absolute() and ".." not in path.parts


def _unwritable(folder: Path, error: OSError) -> UsageError:
    return UsageError(f"{folder} cannot be written: {error.strerror}; choose another folder.")
