"""Atlases from a template: DuckDB takes two seconds to bind and describe the views, and copies bound ones at once.

A new atlas is a copy of all of it, and one that is upgraded gets its views and macros. The template is an atlas without
rows that this version made before, in a folder that its user alone can reach: `neuron-atlas/templates` within
`$NEURON_ATLAS_CACHE`, `$XDG_CACHE_HOME` or `~/.cache`. Its name holds a digest of all that it is made of and one of its
bytes; where either differs, or the folder is another's, it is as if there were none. An empty `$NEURON_ATLAS_CACHE`
keeps none; the folder may be deleted at any time.
"""

import hashlib
import os
import stat
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib import resources
from importlib.metadata import version
from pathlib import Path

import duckdb

from atlas.errors import StoreError
from atlas.store.connection import check_path, named, quoted

VARIABLE = "NEURON_ATLAS_CACHE"
_MOST = 8
"""Templates that are kept, those of other versions among them."""
_MADE_OF = ("schema.py", "scorers.py", "store", "migrations")
"""Modules and packages whose text decides what a new atlas holds."""


def found(storage: str) -> Path | None:
    """Return the template of this version for a storage version of DuckDB, None where none is to be trusted."""
    folder = _folder()
    if folder is None or not _is_own(folder, stat.S_ISDIR):
        return None
    kept = folder.glob(f"{_key(storage)}-*.duckdb")
    return next((path for path in kept if _is_own(path, stat.S_ISREG) and _is_whole(path)), None)


def copy(template: Path, path: Path, storage: str) -> None:
    """Make a new file at `path` that holds what `template` does, and is another database to DuckDB."""
    with duckdb.connect(path, config={"storage_compatibility_version": storage}) as connection:
        ((name,),) = connection.execute("SELECT current_database()").fetchall()
        connection.execute(f"ATTACH {quoted(str(template))} AS template (READ_ONLY)")
        connection.execute(f"COPY FROM DATABASE template TO {named(name)}")
        connection.execute("DETACH template")
        connection.execute("CHECKPOINT")


def give_code(template: Path, connection: duckdb.DuckDBPyConnection) -> None:
    """Put views and macros of `template`, comments too, in place of those of their names in the open file's catalog.

    Begins a transaction, which the caller commits; the file reaches no other any more.
    """
    ((own,),) = connection.execute("SELECT current_database()").fetchall()
    whole, code = f"{own}_template", f"{own}_code"  # no name of its own
    connection.execute(f"ATTACH {quoted(str(template))} AS {named(whole)} (READ_ONLY)")
    connection.execute(f"ATTACH ':memory:' AS {named(code)}")
    connection.execute(f"COPY FROM DATABASE {named(whole)} TO {named(code)} (SCHEMA)")
    connection.execute(f"DETACH {named(whole)}")
    connection.execute("SET enable_external_access = false")
    for (name,) in connection.execute(_TABLES, [code]).fetchall():
        connection.execute(f"DROP TABLE {named(code)}.{named(name)}")
    connection.begin()
    for kind, name in connection.execute(_CODE, {"code": code}).fetchall():
        connection.execute(f"DROP {kind} IF EXISTS {named(name)}")
    connection.execute(f"COPY FROM DATABASE {named(code)} TO {named(own)} (SCHEMA)")


def keep(path: Path, storage: str) -> None:
    """Keep the new atlas at `path` as the template, if the user has a folder for it that can be written."""
    folder = _folder()
    if folder is None:
        return
    with suppress(OSError):
        folder.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
        if _is_own(folder, stat.S_ISDIR):
            _put(path.read_bytes(), folder, _key(storage))


def _put(data: bytes, folder: Path, key: str) -> None:
    """Write a template whole under its name, and remove the oldest ones past the most that are kept."""
    beside = folder / f".{uuid.uuid4().hex}"
    try:
        beside.write_bytes(data)
        os.replace(beside, folder / f"{key}-{_digest(data)}.duckdb")
    finally:
        beside.unlink(missing_ok=True)
    for old in sorted(folder.iterdir(), key=lambda each: each.lstat().st_mtime)[:-_MOST]:
        old.unlink()


def _folder() -> Path | None:
    """Return where templates are kept; None as asked, without a home, and on systems whose files have no owners."""
    asked = os.environ.get(VARIABLE)
    if asked == "" or not hasattr(os, "geteuid"):
        return None
    try:
        place = Path(asked or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute()
        check_path(place)
    except (RuntimeError, StoreError):
        return None
    return place / "neuron-atlas" / "templates"


def _is_own(path: Path, is_kind: Callable[[int], bool]) -> bool:
    """Return whether `path` itself, no link, is of that kind, the user's, and closed to everyone else's writing."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return (
        is_kind(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )


def _is_whole(path: Path) -> bool:
    """Return whether the file has the digest that its name says."""
    try:
        return path.stem.endswith(f"-{_digest(path.read_bytes())}")
    except OSError:
        return False


@cache
def _key(storage: str) -> str:
    """Return a digest of what decides a new atlas: versions, and the text of migrations, views and their code."""
    package = Path(str(resources.files("atlas")))
    places = (
        Path(str(resources.files("atlas.migrations"))) if name == "migrations" else package / name for name in _MADE_OF
    )
    files = [file for place in places for file in sorted([place, *place.rglob("*")]) if file.suffix in (".py", ".sql")]
    versions = "\n".join((version("neuron-atlas"), duckdb.__version__, storage)).encode()
    return _digest(b"\0".join([versions, *(file.read_bytes() for file in files)]))


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


_TABLES = "SELECT table_name FROM duckdb_tables() WHERE database_name = ?"
_CODE = """
SELECT 'VIEW', view_name FROM duckdb_views() WHERE database_name = $code AND NOT internal
UNION ALL
SELECT DISTINCT kind, function_name FROM duckdb_functions(), unnest(['MACRO', 'MACRO TABLE']) AS dropped(kind)
WHERE database_name = $code AND NOT internal
"""
"""What to drop: a macro of a name may be of either kind."""
