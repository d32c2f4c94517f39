"""What may be written where: the one place that decides it, for every file and folder that a command is told of.

A file is new, empty, or one that `whole_file` made and nobody changed since, which an attribute of the file says: never
a device, a pipe, a link, a folder or a database. A folder is new, empty, or holds only what `own_folder` put there.
"""

import ctypes
import hashlib
import json
import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from atlas.errors import StoreError, UsageError

MARK = ".atlas-files.json"
"""The file that says which files of a folder `own_folder` made, and their digests."""
NOTE = ".atlas-saved.json"
"""The file that says what a folder of `noted_folder` was written for, and the digests of what was written."""
_ATTRIBUTE = "user.neuron_atlas"
"""The attribute of a file that says of which size and time `whole_file` left it; copies of a file do not keep it."""
_EXCHANGE = 2
_HERE = -100


def check_file(path: Path, option: str, *, ours: bool = False) -> None:
    """Raise UsageError unless `path`, given by `option`, may be written over; `ours`: by its name it is ours.

    StoreError where its folder is not there.
    It is a regular file, no database nor its log, and empty, or one that `whole_file` made and nobody changed.
    """
    try:
        kind = os.lstat(path)
    except FileNotFoundError as error:
        if not path.resolve().parent.is_dir():
            raise StoreError(f"{path} cannot be written: {error.strerror}; choose another {option}.") from error
        return
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be written ({error}); name another file with {option}.") from error
    _check_regular(path, kind, option)
    if not (ours or kind.st_size == 0 or _is_as_made(path, kind)):
        raise UsageError(
            f"{path} is there already, and not as atlas made it; remove it, or name another file with {option}."
        )


def _check_regular(path: Path, kind: os.stat_result, option: str) -> None:
    if not stat.S_ISREG(kind.st_mode):
        raise UsageError(
            f"{path} is {_kind(kind.st_mode)}, and only regular files are written over; name a file with {option}."
        )
    if _is_database(path) or (path.suffix == ".wal" and _is_database(path.with_suffix(""))):
        raise UsageError(f"{path} is a database or its log, which is never written over; name another with {option}.")


def check_new(path: Path, option: str) -> None:
    """Raise UsageError unless nothing is at `path`, given by `option`."""
    if os.path.lexists(path):
        raise UsageError(f"{path} is there already; name a new file with {option}.")


def check_empty(folder: Path, option: str) -> None:
    """Raise UsageError unless `folder`, given by `option`, is new or an empty folder."""
    _check_is_folder(folder, option)
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"The folder {folder} is not empty; name a new one with {option}.")


def check_folder(folder: Path, option: str) -> None:
    """Raise UsageError unless `folder`, given by `option`, is new, empty, or holds what `own_folder` made alone."""
    _check_is_folder(folder, option)
    if not folder.exists():
        return
    made = _marked(folder)
    for path in sorted(folder.iterdir()):
        if path.name != MARK and not (path.name in made and is_ours(path, made[path.name])):
            raise UsageError(
                f"{folder} holds {path.name}, which atlas did not make; name a new or empty folder with {option}."
            )


def _check_is_folder(folder: Path, option: str) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        kind = "a link" if folder.is_symlink() else "a file"
        raise UsageError(f"{folder} is {kind}; name a new folder with {option}.")


@contextmanager
def whole_file(path: Path, option: str, *, ours: bool = False) -> Iterator[Path]:
    """Yield a path to write to; the file appears at `path` whole, if nothing is raised. Raises as `check_file`."""
    check_file(path, option, ours=ours)
    part = beside(path)
    try:
        yield part
        check_file(path, option, ours=ours)
        _mark_as_made(part)
        os.replace(part, path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}; choose another {option}.") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def own_folder(folder: Path, option: str) -> Iterator[Path]:
    """Yield a folder to write files to; it takes the place of `folder` at the end, with a mark that says what is in it.

    Raises UsageError for a folder that may not be written, see `check_folder`, StoreError where the disk refuses.
    """
    check_folder(folder, option)
    with whole_folder(folder, option) as part:
        yield part
        digests = {path.name: digest_of(path) for path in sorted(part.iterdir())}
        (part / MARK).write_text(json.dumps(digests, ensure_ascii=False, indent=1) + "\n", "utf-8")


@contextmanager
def whole_folder(folder: Path, option: str) -> Iterator[Path]:
    """Yield a new folder that takes the place of `folder` at the end, if nothing is raised; ask before whether it may.

    Raises StoreError where the disk refuses; `folder` is then as it was.
    """
    place = folder.resolve()
    part = beside(place)
    try:
        part.mkdir(parents=True)
        yield part
        _put(part, place)
    except OSError as error:
        raise StoreError(f"{folder} cannot be written: {error.strerror or error}; choose another {option}.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def noted_folder(folder: Path, option: str, what: object, outdated: re.Pattern[str]) -> Iterator[Path]:
    """Yield a new folder as `whole_folder` does; beside what is written there lie a note of `what`, which is JSON, and
    all that lay in `folder` under other names, but for files whose names are `outdated`.
    """
    with whole_folder(folder, option) as part:
        yield part
        files = {path.name: digest_of(path) for path in sorted(part.iterdir()) if path.is_file()}
        (part / NOTE).write_text(json.dumps({"for": what, "files": files}), "utf-8")
        for other in folder.iterdir() if folder.exists() else ():
            if not ((part / other.name).exists() or outdated.fullmatch(other.name)):
                _keep(other, part / other.name)


def _keep(there: Path, place: Path) -> None:
    if there.is_dir() and not there.is_symlink():
        shutil.copytree(there, place, symlinks=True)
    else:
        shutil.copy2(there, place, follow_symlinks=False)


def noted(folder: Path) -> object:
    """Return what `noted_folder` wrote a folder for, None for others and for one whose files are not as they were."""
    try:
        match json.loads((folder / NOTE).read_text("utf-8")):
            case {"for": what, "files": dict(files)} if all(_is_in(folder, *file) for file in files.items()):
                return what
    except (OSError, ValueError, RecursionError):
        pass
    return None


def _is_in(folder: Path, name: str, digest: object) -> bool:
    return Path(name).name == name and is_ours(folder / name, digest)


def beside(path: Path) -> Path:
    """Return a path in the same folder that nothing else uses."""
    return path.resolve().parent / f".{path.resolve().name[:100]}.{uuid.uuid4().hex}.part"


def _put(part: Path, folder: Path) -> None:
    """Give `part` the place of `folder`, at no moment of which nothing is there; what was there is then at `part`."""
    if not folder.exists():
        os.rename(part, folder)
        return
    if not _exchanged(part, folder):
        old = folder.with_name(f"{part.name}.old")
        os.rename(folder, old)
        try:
            os.rename(part, folder)
        except OSError:
            os.rename(old, folder)
            raise
        os.rename(old, part)


def _exchanged(one: Path, other: Path) -> bool:
    """Swap two paths in one step where the system can, and return whether it did."""
    try:
        swap = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    return bool(swap(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0)


def _mark_as_made(path: Path) -> None:
    """Note in the file's attribute how it was left; where there are none, it is not written over later."""
    with suppress(OSError, AttributeError):
        os.setxattr(path, _ATTRIBUTE, _left(os.lstat(path)))


def _is_as_made(path: Path, now: os.stat_result) -> bool:
    with suppress(OSError, AttributeError):
        return os.getxattr(path, _ATTRIBUTE, follow_symlinks=False) == _left(now)
    return False


def _left(kind: os.stat_result) -> bytes:
    return f"{kind.st_size} {kind.st_mtime_ns}".encode()


def _marked(folder: Path) -> dict[str, str]:
    try:
        made = json.loads((folder / MARK).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return made if isinstance(made, dict) else {}


def is_ours(path: Path, digest: object) -> bool:
    """Return whether `path` is a regular file of this digest."""
    return not path.is_symlink() and path.is_file() and digest_of(path) == digest


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_database(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as file:
        return path.is_file() and file.read(12)[8:] == b"DUCK"
    return False


def _kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFLNK: "a link", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")
