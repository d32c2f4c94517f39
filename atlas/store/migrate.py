"""Making an atlas, and bringing an older one to this version's schema on a copy that is then swapped in."""

import os
import shutil
import uuid
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from importlib.metadata import version
from pathlib import Path

import duckdb
from alembic import command
from alembic.config import Config
from sqlalchemy import URL, create_engine
from sqlalchemy.pool import NullPool

from atlas import schema
from atlas.errors import StoreError, VersionError
from atlas.store import views
from atlas.store.connection import (
    FORMAT,
    STORAGE_VERSION,
    Limits,
    check_file,
    check_path,
    first_line,
    open_file,
    schema_version,
)

_MIGRATIONS = str(resources.files("atlas.migrations"))


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What an upgrade did: the schema numbers before and after, and whether the views were made anew."""

    before: int
    after: int
    views: bool


def create(path: Path) -> None:
    """Make a new atlas at `path`; raises StoreError if something is there or the folder cannot be written.

    It appears whole: made under another name beside `path`, then given its own.
    """
    check_path(path)
    if os.path.lexists(path):
        raise StoreError(f"{path} is there already; name a new file, or open it to add to it.")
    made = path.with_name(f".{path.name}.{uuid.uuid4().hex}.new")
    try:
        _make(made)
        os.link(made, path)
    except FileExistsError:
        raise StoreError(f"{path} was made by another process meanwhile; open it to add to it.") from None
    except (OSError, duckdb.IOException) as error:
        raise StoreError(
            f"{path} cannot be made: {first_line(str(error))}; check that its folder is there and writable."
        ) from error
    finally:
        with suppress(OSError):  # of a folder that cannot be written, which was told already
            made.unlink(missing_ok=True)


def _make(path: Path) -> None:
    with duckdb.connect(path, config={"storage_compatibility_version": STORAGE_VERSION}):
        pass
    migrate(path)
    _say_what_it_is(path)
    finish(path)


def upgrade(path: Path) -> Upgrade:
    """Bring the atlas at `path` to this version's schema and views, keeping all rows.

    The original is held, copied, and replaced only when the copy is done, so an interruption leaves it as it was.
    Raises StoreError, LockedError, and VersionError for a newer atlas.
    """
    check_file(path)
    with open_file(path, read_only=True, limits=Limits()) as connection:
        before, stale = schema_version(connection, path), not views.current(connection)
    if before > schema.VERSION:
        raise VersionError(f"{path} was made by a newer version (schema {before}); upgrade the package instead.")
    if before == schema.VERSION and not stale:
        return Upgrade(before, before, views=False)
    with open_file(path, read_only=False, limits=Limits(files=True)) as held:
        held.execute("CHECKPOINT")
        _upgrade_copy(path)
    return Upgrade(before, schema.VERSION, views=True)


def migrate(path: Path, target: str = "head") -> None:
    """Run the migrations up to `target` that the file at `path` lacks; nothing else may have it open."""
    engine = create_engine(URL.create("duckdb", database=str(path)), poolclass=NullPool)
    config = Config()
    config.set_main_option("script_location", _MIGRATIONS.replace("%", "%%"))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, target)
        connection.commit()


def finish(path: Path) -> None:
    """Give the file at `path` what is made from code: comments, views, what it says of itself."""
    with duckdb.connect(path) as connection:
        connection.begin()
        for table in schema.TABLES.values():
            connection.execute(f"COMMENT ON TABLE {table.name} IS {quoted(table.meaning)}")
            for column in table.columns:
                connection.execute(f'COMMENT ON COLUMN {table.name}."{column.name}" IS {quoted(column.meaning)}')
        views.install(connection)
        connection.commit()
        connection.execute("CHECKPOINT")


def quoted(text: str) -> str:
    """Return `text` as an SQL literal, for the statements that take no parameters."""
    return "'" + text.replace("'", "''") + "'"


def _upgrade_copy(path: Path) -> None:
    """Migrate a copy of the file at `path`, which the caller holds, and swap it in."""
    free, size = shutil.disk_usage(path.parent).free, path.stat().st_size
    if free < 2 * size:
        raise StoreError(f"The upgrade of {path} needs {2 * size} bytes beside it and {free} are free; make room.")
    copy = path.with_name(f".{path.name}.upgrade")
    copy.with_name(copy.name + ".wal").unlink(missing_ok=True)
    try:
        shutil.copy2(path, copy)
        migrate(copy)
        finish(copy)
        os.replace(copy, path)
    finally:
        copy.unlink(missing_ok=True)


def _say_what_it_is(path: Path) -> None:
    rows = [("format", FORMAT), ("storage_version", STORAGE_VERSION), ("created_by", version("neuron-atlas"))]
    with duckdb.connect(path) as connection:
        connection.executemany("INSERT INTO atlas_info VALUES (?, ?)", rows)
