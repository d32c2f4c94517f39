"""Bringing an atlas to what this version makes, on a copy that is then swapped in."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from atlas import schema
from atlas.errors import StoreError, VersionError
from atlas.store import structure, template, views
from atlas.store.connection import (
    SHUT,
    STORAGE_VERSION,
    Limits,
    check_file,
    first_line,
    log_of,
    open_file,
    schema_version,
)
from atlas.store.migrate import finish, migrate
from atlas.store.reader import Reader
from atlas.store.structure import Difference


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What an upgrade did: the schema numbers before and after, whether the views were made anew, what was mended."""

    before: int
    after: int
    views: bool
    mended: Sequence[Difference] = ()


def upgrade(path: Path) -> Upgrade:
    """Bring the atlas at `path` to this version's schema, views, macros and definitions, keeping all rows.

    The original is held, copied, and replaced only when the copy is done, so an interruption leaves it as it was.
    Raises StoreError, also where a table is not this version's, LockedError, and VersionError for a newer atlas.
    """
    check_file(path)
    with open_file(path, read_only=True, limits=Limits()) as connection:
        before, stale = schema_version(connection, path), not views.current(connection)
    if before > schema.VERSION:
        raise VersionError(f"{path} was made by a newer version (schema {before}); upgrade the package instead.")
    if before == schema.VERSION and not stale and not _differing(path):
        return Upgrade(before, before, views=False)
    with open_file(path, read_only=False, limits=Limits()) as held:
        held.execute("CHECKPOINT")
        return Upgrade(before, schema.VERSION, True, _upgrade_copy(path))


def _upgrade_copy(path: Path) -> Sequence[Difference]:
    """Migrate a copy of the file at `path`, which the caller holds, and swap it in; return what was mended beside."""
    place = path.resolve()  # a link stays one
    free, size = shutil.disk_usage(place.parent).free, path.stat().st_size
    if free < 2 * size:
        raise StoreError(f"The upgrade of {path} needs {2 * size} bytes beside it and {free} are free; make room.")
    copy = place.with_name(f".{place.name}.upgrade")
    log = log_of(copy)
    log.unlink(missing_ok=True)
    try:
        shutil.copy2(path, copy)
        found = _mended(copy, path)
        os.replace(copy, place)
        return found
    except duckdb.Error as error:
        raise StoreError(f"{path} cannot be upgraded: {first_line(str(error))}; it was left as it is.") from error
    except OSError as error:
        raise StoreError(f"The upgrade of {path} cannot be written: {error.strerror}; it was left as it is.") from error
    finally:
        copy.unlink(missing_ok=True)
        log.unlink(missing_ok=True)


def _mended(copy: Path, path: Path) -> Sequence[Difference]:
    """Make the file at `copy` what this version makes, and return what was not so; `path` is what messages name."""
    migrate(copy)
    found = _differing(copy)
    with Reader(copy, open_file(copy, read_only=True, limits=Limits())) as opened:
        kept = template.found(structure.storage_of(opened))
    _refuse([each for each in found if not each.mended], path)
    with duckdb.connect(copy, config=dict(SHUT)) as connection:
        found = _mend(connection, found)
    finish(copy, kept)
    _refuse(_differing(copy), path)
    return tuple(found)


def _refuse(left: Sequence[Difference], path: Path) -> None:
    """Raise StoreError for the first difference that is left, if there is one."""
    for each in left:
        raise StoreError(f"{path} has another {each.kind} {each.name} ({each.what}); restore a copy of the atlas.")


def _mend(connection: duckdb.DuckDBPyConnection, found: Sequence[Difference]) -> Sequence[Difference]:
    """Take out the macros that differ, which are made again as the views are, and put back the definitions.

    Thresholds that someone gave a shipped definition stay under another name, which its difference then tells.
    """
    views.take_out(connection, [each.name for each in found if each.kind == "macro"])
    rows = schema.rows_of("definition", structure.fresh(STORAGE_VERSION).definitions)
    connection.register("shipped", rows)
    told = [_kept(connection, each) if each.kind == "definition" else each for each in found]
    connection.execute("INSERT INTO definition BY NAME FROM shipped ANTI JOIN definition USING (definition)")
    return told


def _kept(connection: duckdb.DuckDBPyConnection, each: Difference) -> Difference:
    """Give a changed definition another name, so that the shipped one can come back; return what is told of it."""
    taken = {str(name) for (name,) in connection.execute("SELECT definition FROM definition").fetchall()}
    if each.name not in taken:
        return each
    tries = (f"{each.name}-kept{number}" for number in ("", *map(str, range(2, len(taken) + 3))))
    name = next(name for name in tries if name not in taken)
    connection.execute("UPDATE definition SET definition = ? WHERE definition = ?", [name, each.name])
    return replace(each, what=f"{each.what}; those are kept as {name}, to be named with --definition")


def _differing(path: Path) -> Sequence[Difference]:
    with Reader(path, open_file(path, read_only=True, limits=Limits())) as opened:
        return [each for each in structure.differences(opened) if not each.harmless]
