"""Atlases with rows in every table, whole or in parts."""

import shutil
from pathlib import Path

import pytest
from store.transfer.rows import fill_others
from store.world import fill, random_world

import atlas


@pytest.fixture(scope="session")
def world():
    """A world with several facts and many probes."""
    return max(map(random_world, range(20)), key=lambda world: len(world.probes))


@pytest.fixture(scope="session")
def whole(empty, world):
    """The path of an atlas with the world and a row in all other tables, to be copied or read."""
    path = Path(shutil.copy(empty, empty.with_name("whole.duckdb")))
    with atlas.open(path, "a") as writer:
        fill(writer, world)
        fill_others(writer)
    return path


@pytest.fixture
def full(whole, tmp_path):
    """Makes a copy of that atlas."""
    return lambda name: Path(shutil.copy(whole, tmp_path / name))


@pytest.fixture
def part(empty, world, tmp_path):
    """Makes an atlas of some of the world's probes, given by number in the order to load them."""

    def make(name, numbers):
        path = Path(shutil.copy(empty, tmp_path / name))
        with atlas.open(path, "a") as writer:
            fill(writer, world, numbers)
        return path

    return make


@pytest.fixture
def into(empty, tmp_path):
    """The path of an atlas without rows to merge into."""
    return Path(shutil.copy(empty, tmp_path / "all.duckdb"))
