"""Making an atlas: the migrations, and what is made from code."""

import os
import uuid
from contextlib import suppress
from importlib import resources
from importlib.metadata import version
from pathlib import Path

import duckdb

from atlas import schema
from atlas.errors import LimitError, StoreError, lacks_memory
from atlas.store import docs, template, views
from atlas.store.connection import FORMAT, SHUT, STORAGE_VERSION, check_path, first_line, log_of, quoted

_MIGRATIONS = str(resources.files("atlas.migrations"))


def create(path: Path, storage: str = STORAGE_VERSION) -> None:
    """Make a new atlas at `path`; raises StoreError if something is there or the folder cannot be written.

    It appears whole: made under another name beside `path`, then given its own. `storage` is DuckDB's version of it.
    """
    check_path(path)
    if os.path.lexists(path):
        raise StoreError(f"{path} is there already; name a new file, or open it to add to it.")
    made = path.with_name(f".{path.name}.{uuid.uuid4().hex}.new")
    try:
        _make(made, storage)
        os.link(made, path)
    except FileExistsError:
        raise StoreError(f"{path} was made by another process meanwhile; open it to add to it.") from None
    except (OSError, duckdb.Error) as error:
        if lacks_memory(error):
            raise LimitError(f"There is not enough memory to make {path}; free some, then try again.") from error
        raise StoreError(
            f"{path} cannot be made: {first_line(str(error))}; check that its folder is there, writable, and has room."
        ) from error
    finally:
        with suppress(OSError):  # of a folder that cannot be written, which was told already
            made.unlink(missing_ok=True)
            log_of(made).unlink(missing_ok=True)


def _make(path: Path, storage: str) -> None:
    """Make a new file from the template or, where there is none, from the migrations and the code, and keep it."""
    kept = template.found(storage)
    if kept is not None:
        return template.copy(kept, path, storage)
    _make_anew(path, storage)
    return template.keep(path, storage)


def _make_anew(path: Path, storage: str) -> None:
    with duckdb.connect(path, config={"storage_compatibility_version": storage}):
        pass
    migrate(path)
    _say_what_it_is(path, storage)
    finish(path)


def migrate(path: Path, target: str = "head") -> None:
    """Run the migrations up to `target` that the file at `path` lacks; nothing else may have it open.

    Raises duckdb.Error.
    """
    # Hundreds of modules, which most files are made without.
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import URL, create_engine
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    url = URL.create("duckdb", database=str(path))
    engine = create_engine(url, poolclass=NullPool, connect_args={"config": dict(SHUT)})
    config = Config()
    config.set_main_option("script_location", _MIGRATIONS.replace("%", "%%"))
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, target)
            connection.commit()
    except SQLAlchemyError as error:
        raise duckdb.Error(str(error)) from error


def finish(path: Path, kept: Path | None = None) -> None:
    """Give the file at `path` what is made from code, from the template `kept` if there is one: comments, views."""
    with duckdb.connect(path, config=SHUT | {"enable_external_access": kept is not None}) as connection:
        views.take_out(connection, views.GONE)
        if kept is None:
            connection.begin()
            views.install(connection)
            docs.describe(connection)
        else:
            template.give_code(kept, connection)
            views.record(connection)
        _comment(connection)
        connection.commit()
        connection.execute("CHECKPOINT")


def _comment(connection: duckdb.DuckDBPyConnection) -> None:
    for table in schema.TABLES.values():
        connection.execute(f"COMMENT ON TABLE {table.name} IS {quoted(table.meaning)}")
        for column in table.columns:
            connection.execute(f'COMMENT ON COLUMN {table.name}."{column.name}" IS {quoted(column.meaning)}')


def _say_what_it_is(path: Path, storage: str) -> None:
    rows = [("format", FORMAT), ("storage_version", storage), ("created_by", version("neuron-atlas"))]
    with duckdb.connect(path) as connection:
        connection.executemany("INSERT INTO atlas_info VALUES (?, ?)", rows)
