"""Opening an atlas file: what it is, who holds it, and the limits that queries run under."""

import json
import re
import shutil
import tempfile
import uuid
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from shlex import quote

import duckdb

from atlas import schema
from atlas.errors import LimitError, LockedError, StoreError, UsageError, VersionError, lacks_memory

FORMAT = "neuron-atlas"
STORAGE_VERSION = "v1.4.0"
"""Oldest storage whose files refuse the log of another file in place of replaying it; DuckDB 1.4 and later read it."""

SPILL_SHARE = 0.5
"""Share of the free disk that queries may fill when they spill."""

Config = dict[str, str | bool | int | float | list[str]]
SHUT: Config = {
    "enable_external_access": False,
    "python_enable_replacements": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
"""Settings under which no statement, view or macro of a file reaches anything but that file."""

_MAGIC = b"DUCK"
_HEADERS = 3 * 4096
"""The size in bytes of a DuckDB file that holds nothing."""
_KIND = re.compile(r"^[A-Z][A-Za-z ]* Error: ")
_WITHIN = re.compile(r'"exception_message":"((?:[^"\\]|\\.)*)"')
"""What a thread of DuckDB's says, within what the one that waited for it says."""
_HOLDER = re.compile(r"lock is held in (.*?) \(PID (\d+)\)")


@dataclass(frozen=True, slots=True)
class Limits:
    """What queries may use: memory as DuckDB spells it, threads (None for all cores), other files: all or `paths`."""

    memory: str = "2GB"
    threads: int | None = None
    files: bool = False
    paths: tuple[str, ...] = ()


def connect(path: Path, *, read_only: bool, limits: Limits) -> duckdb.DuckDBPyConnection:
    """Open the atlas at `path`; raises StoreError, VersionError or LockedError and leaves other files untouched."""
    check_file(path)
    if read_only:
        return _checked(path, limits, read_only=True)
    if log_of(path).exists():  # to be written into the file by whoever opens it for writing: only if it is an atlas
        _checked(path, limits, read_only=True).close()
    try:
        return _checked(path, limits, read_only=False)
    except StoreError as error:
        if not _removed_empty(path):
            raise
        raise StoreError(f"{path} was deleted or moved while it was opened; put it back, or start anew.") from error


def _removed_empty(path: Path) -> bool:
    """Remove what DuckDB makes where it opens a file that is gone, headers alone; return whether there was such a file.

    Whole atlases are never so small.
    """
    with suppress(OSError):
        if path.stat().st_size <= _HEADERS and not log_of(path).exists():
            path.unlink()
            return True
    return False


def log_of(path: Path) -> Path:
    """Return where DuckDB keeps what was committed and is not yet in the file: beside the file itself, not a link."""
    place = path.resolve() if path.is_symlink() else path
    return place.with_name(f"{place.name}.wal")


def _checked(path: Path, limits: Limits, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    connection = open_file(path, read_only=read_only, limits=limits)
    try:
        check_version(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def check_path(path: Path) -> None:
    """Raise StoreError for a path that DuckDB would take for another, or that is none."""
    if path == Path() or "\0" in str(path):
        raise StoreError("The path of the atlas is empty, `.` or holds a null byte: it is not a plain file; name one.")
    for char, what in (("?", "the start of parameters"), ("\\", "a folder's end")):
        if char in str(path.absolute()):
            raise StoreError(f"{path} has a {char} in its path, which DuckDB takes for {what}; rename it.")


def check_file(path: Path) -> None:
    """Raise StoreError unless `path` is a plain file that starts as DuckDB's do, under a name that it can open."""
    check_path(path)
    try:
        if path.exists() and not path.is_file():
            raise StoreError(f"{path} is not a plain file; name an atlas, or a new file.")
        with path.open("rb") as file:
            head = file.read(12)
    except FileNotFoundError:
        raise StoreError(f"There is no atlas at {path}; `atlas build --db {quote(str(path))}` makes one.") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}; check its name and permissions.") from error
    if head[8:] != _MAGIC:
        raise StoreError(f"{path} is no atlas (not a DuckDB file); name another file.")


def check_version(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Raise VersionError for an atlas of a newer schema, StoreError for an older one and for no atlas at all."""
    version = schema_version(connection, path)
    if version > schema.VERSION:
        raise VersionError(
            f"{path} was made by a newer version (schema {version}, this one reads {schema.VERSION}); "
            "upgrade the package: pip install --upgrade neuron-atlas."
        )
    if version < schema.VERSION:
        raise StoreError(
            f"{path} has schema {version} and this version needs {schema.VERSION}; "
            f"run `atlas upgrade --db {quote(str(path))}`, which keeps all rows."
        )


def schema_version(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    """Return the number of the migration that the open file is at; raises StoreError if it is no atlas."""
    try:
        format_ = connection.execute("SELECT value FROM atlas_info WHERE key = 'format'").fetchall()
        version = connection.execute("SELECT version_num FROM schema_version").fetchall()
    except duckdb.CatalogException:
        format_ = version = []
    except duckdb.Error as error:
        raise translate(error, path) from error
    if not version or format_ != [(FORMAT,)]:
        raise StoreError(f"{path} is a DuckDB file but no atlas; name another file.")
    if not re.fullmatch(r"\d{1,9}", str(version[0][0])):
        raise StoreError(f"{path} names its schema {version[0][0]!r}, which is no number; restore a copy.")
    return int(version[0][0])


def open_file(path: Path, *, read_only: bool, limits: Limits) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB file under `limits`, spilling to a folder of this process; raises StoreError, LockedError."""
    try:
        # Whole, as `:memory:` and `md:x` are no files to DuckDB.
        connection = duckdb.connect(path.absolute(), read_only=read_only, config=configuration(limits))
        try:
            _lock(connection, path, limits)
        except BaseException:
            connection.close()
            raise
    except duckdb.Error as error:
        _check(limits)
        raise translate(error, path) from error
    return connection


def _check(limits: Limits) -> None:
    """Raise UsageError for limits that DuckDB takes for no file at all."""
    try:
        duckdb.connect(config=configuration(limits)).close()
    except duckdb.ProgrammingError as error:
        raise UsageError(f"memory_limit cannot be {limits.memory!r}: {first_line(str(error))}; write 4GB.") from error


def _lock(connection: duckdb.DuckDBPyConnection, path: Path, limits: Limits) -> None:
    """Let a connection keep to `limits` for good; raises LockedError if the file is open here under others."""
    # A second connection of this process shares the first one's instance, whose settings are locked.
    if _setting(connection, "lock_configuration") is not True:
        connection.execute("SET temp_directory = ?", [_spill_folder()])
        connection.execute("SET max_temp_directory_size = ?", [f"{_most_spilled()}B"])
        if limits.paths:
            logs = [f"{path}.wal" for path in limits.paths]
            connection.execute("SET allowed_paths = ?", [[*limits.paths, *logs]])
        if not limits.files:
            connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
    elif _setting(connection, "enable_external_access") is not limits.files:
        raise LockedError(f"{path} is open in this process already, with other limits; close that one first.")


def configuration(limits: Limits) -> Config:
    """Return the settings that DuckDB takes when it opens a file: bounded memory, nothing fetched or guessed."""
    settings = SHUT | {"enable_external_access": True, "memory_limit": limits.memory}
    return settings if limits.threads is None else settings | {"threads": limits.threads}


def translate(error: duckdb.Error, path: Path) -> StoreError:
    """Return what DuckDB says about opening `path` as one sentence with a way out."""
    text = str(error)
    log = log_of(path)
    if "WAL" in text and "match" in text:
        return StoreError(
            f"{log} is not the log of {path}: it belongs to a file that lay there before; "
            "move it away to open the file without it, or put back the file that it belongs to."
        )
    if holder := _HOLDER.search(text):
        program, pid = holder.groups()
        return LockedError(f"{path} is held by process {pid} ({program}); wait until it ends or stop it.")
    if "different configuration" in text or "already attached" in text:
        return LockedError(
            f"{path} is open in this process already, in another mode or with other limits; close that one first."
        )
    if "database file with version number" in text:
        return VersionError(f"{path} was written by a newer DuckDB; upgrade it: pip install --upgrade duckdb.")
    if lacks_memory(error):
        return LimitError(f"There is not enough memory to open {path} ({first_line(text)}); free some, then try again.")
    if isinstance(error, duckdb.IOException) and not is_damage(error):
        return StoreError(f"{path} cannot be opened: {first_line(text)}; check the disk and the file's permissions.")
    also = f" after moving {log.name} away, which is not the copy's" if log.exists() else ""
    return StoreError(f"{path} is damaged: {first_line(text)}; restore a copy{also}, the file was left as it is.")


def quoted(text: str) -> str:
    """Return `text` as an SQL literal, for the statements that take no parameters."""
    return "'" + text.replace("'", "''") + "'"


def named(*names: str) -> str:
    """Return names as SQL identifiers, with commas between."""
    return ", ".join('"' + name.replace('"', '""') + '"' for name in names)


def is_damage(error: Exception) -> bool:
    """Return whether DuckDB complains of bytes in the file that are not those that it wrote."""
    return "Corrupt database file" in str(error)


def first_line(text: str) -> str:
    """Return DuckDB's message without its kind, its hints and its picture of the query."""
    first = text.split("\n", 1)[0]
    within = _WITHIN.search(first)
    return _KIND.sub("", json.loads(f'"{within[1]}"') if within else first).rstrip(".")


def whole_message(text: str) -> str:
    """Return DuckDB's message without its kind: with its candidates, and its picture of the query."""
    lines = _KIND.sub("", text.strip()).splitlines()
    return "\n".join(line for line in lines if line.strip())


def _setting(connection: duckdb.DuckDBPyConnection, name: str) -> object:
    rows = connection.execute("SELECT current_setting(?)", [name]).fetchall()
    return rows[0][0]


def _most_spilled() -> int:
    """Return how many bytes queries may spill: a stated share of what is free."""
    return int(shutil.disk_usage(tempfile.gettempdir()).free * SPILL_SHARE)


def remove_spill() -> None:
    """Remove what queries of this process have spilled: for a process that ends without closing its files."""
    shutil.rmtree(_spill_folder(), ignore_errors=True)


@cache
def _spill_folder() -> str:
    """Return a path that no other process uses; DuckDB makes the folder when it needs it and removes it."""
    return str(Path(tempfile.gettempdir()) / f"neuron-atlas-{uuid.uuid4().hex}")
