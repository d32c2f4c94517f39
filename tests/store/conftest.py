import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from store.world import FLOOR, World, fill

import atlas
from atlas import schema

settings.register_profile("store", deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="session")
def empty(tmp_path_factory):
    """The path of an atlas without rows, to be copied."""
    path = tmp_path_factory.mktemp("empty") / "empty.duckdb"
    atlas.open(path, "w").close()
    return path


@pytest.fixture(scope="session")
def holding(empty):
    """A context manager that gives an open atlas holding a world, and the world's run; the file is used again."""
    path = Path(shutil.copy(empty, empty.with_name("used.duckdb")))
    with atlas.open(path, "a") as writer:
        definitions = writer.definitions().to_arrow()

        @contextmanager
        def hold(world: World, order=None, floor=FLOOR):
            try:
                yield writer, fill(writer, world, order, floor)
            finally:
                for table in set(schema.TABLES) - set(schema.OF_THE_FILE):
                    writer.sql(f"DELETE FROM {table}")
                writer.load("definition", definitions)

        yield hold


@pytest.fixture
def path(empty, tmp_path):
    """The path of an empty atlas of one's own."""
    return Path(shutil.copy(empty, tmp_path / "atlas.duckdb"))
