"""Migrations: they end at the dictionary, from every schema that was, with rows and without, whole or not at all."""

import gzip
import re
import shutil
from importlib import resources
from pathlib import Path

import duckdb
import pytest
from quick import first_quick
from store.world import SAMPLE, fill

import atlas
from atlas import schema
from atlas.errors import StoreError, VersionError
from atlas.store import migrate, upgrading, views
from atlas.store.digest import digest

NUMBERS = range(1, schema.VERSION + 1)
ARCHIVE = Path(__file__).parent / "archive"


def age(path):
    """Make the atlas at `path` look as if it came before the first schema."""
    with duckdb.connect(path) as connection:
        connection.execute("UPDATE atlas_info SET value = 'other' WHERE key = 'views'")


def test_migrations_are_numbered_without_gaps():
    files = [f.name for f in (resources.files("atlas.migrations") / "versions").iterdir() if f.name[0].isdigit()]
    assert sorted(int(re.match(r"(\d{4})_\w+\.py$", name)[1]) for name in files) == list(NUMBERS)


def columns(path):
    """Every column of every table of the file: table, name, type, whether it may be NULL, comment."""
    with duckdb.connect(path, read_only=True) as connection:
        return connection.execute(
            "SELECT table_name, column_name, data_type, is_nullable, comment FROM duckdb_columns() "
            "WHERE NOT internal AND table_name IN (SELECT table_name FROM duckdb_tables()) "
            "AND table_name <> 'schema_version' ORDER BY table_name, column_index"
        ).fetchall()


DICTIONARY = [
    (name, column.name, column.type, column.nullable, column.meaning)
    for name, table in sorted(schema.TABLES.items())
    for column in table.columns
]


def test_the_schema_is_that_of_the_dictionary(path):
    assert columns(path) == DICTIONARY


def empty_of(number, path):
    """Make a file of the tables of a schema, without what is made from code."""
    with duckdb.connect(path):
        pass
    migrate.migrate(path, f"{number:04}")
    return path


@pytest.mark.parametrize("number", first_quick(*NUMBERS))
def test_migrations_from_every_schema_end_at_the_dictionary(tmp_path, number):
    path = empty_of(number, tmp_path / "old.duckdb")
    migrate.migrate(path)
    assert [found[:4] for found in columns(path)] == [column[:4] for column in DICTIONARY]


@pytest.mark.slow
def test_an_empty_atlas_of_the_first_schema_is_upgraded(tmp_path):
    path = empty_of(1, tmp_path / "old.duckdb")
    with duckdb.connect(path) as connection:
        connection.execute("INSERT INTO atlas_info VALUES ('format', 'neuron-atlas')")
    upgrading.upgrade(path)
    assert columns(path) == DICTIONARY
    with atlas.open(path) as reader:
        assert len(reader.definitions()) == 3


@pytest.mark.slow
@pytest.mark.parametrize("archived", sorted(ARCHIVE.glob("*.gz")), ids=lambda path: path.name)
def test_an_archived_atlas_of_every_schema_is_upgraded_with_its_rows(tmp_path, archived):
    path = tmp_path / archived.stem
    path.write_bytes(gzip.decompress(archived.read_bytes()))
    upgrading.upgrade(path)
    assert columns(path) == DICTIONARY
    with atlas.open(path) as reader:
        assert int(reader.info()["schema"]) == schema.VERSION
        found = reader.sql("SELECT layer, neuron, n_languages FROM likn_all WHERE definition = 'default' ORDER BY ALL")
        assert [tuple(row.values()) for row in found.to_pylist()] == [(0, 0, 2), (0, 0, 2), (0, 1, 2), (0, 1, 2)]
        assert len(reader.runs()) == 1


def test_every_schema_has_its_archive():
    assert [path.name for path in sorted(ARCHIVE.glob("*.gz"))] == [f"schema-{n:04}.duckdb.gz" for n in NUMBERS]


@pytest.mark.slow
def test_an_upgrade_keeps_all_rows(path):
    with atlas.open(path, "a") as writer:
        fill(writer, SAMPLE)
        before = digest(writer)
    age(path)
    link = path.with_name("link.duckdb")
    link.symlink_to(path.name)
    assert upgrading.upgrade(link) == upgrading.Upgrade(schema.VERSION, schema.VERSION, views=True)
    assert link.is_symlink()
    link.unlink()
    with atlas.open(path) as reader:
        assert digest(reader) == before
        assert reader.info()["views"] == views.digest()
    assert upgrading.upgrade(path) == upgrading.Upgrade(schema.VERSION, schema.VERSION, views=False)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.slow
def test_an_interrupted_upgrade_leaves_the_atlas_as_it_was(path, monkeypatch):
    with atlas.open(path, "a") as writer:
        fill(writer, SAMPLE)
    age(path)
    before = path.read_bytes()

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(views, "record", interrupted)
        with pytest.raises(KeyboardInterrupt):
            upgrading.upgrade(path)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert upgrading.upgrade(path).views


@pytest.mark.slow
def test_what_a_killed_upgrade_left_behind_does_no_harm(path):
    age(path)
    path.with_name(f".{path.name}.upgrade").write_bytes(b"half of a copy")
    path.with_name(f".{path.name}.upgrade.wal").write_bytes(b"half of a log")
    assert upgrading.upgrade(path).views
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_an_upgrade_needs_room(path, monkeypatch):
    age(path)
    before = path.read_bytes()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 99, 1))
    with pytest.raises(StoreError, match="make room"):
        upgrading.upgrade(path)
    assert path.read_bytes() == before


def test_a_newer_atlas_is_not_touched(path):
    with duckdb.connect(path) as connection:
        connection.execute("UPDATE schema_version SET version_num = '9999'")
    before = path.read_bytes()
    with pytest.raises(VersionError, match="newer version"):
        upgrading.upgrade(path)
    assert path.read_bytes() == before


@pytest.mark.slow
def test_a_writer_makes_the_views_of_its_version(path):
    age(path)
    with atlas.open(path, "a") as writer:
        assert writer.info()["views"] == views.digest()


def test_an_atlas_that_could_not_be_made_leaves_nothing(tmp_path, monkeypatch):
    def begin(path, _):
        path.touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(migrate, "_make", begin)
    with pytest.raises(KeyboardInterrupt):
        atlas.open(tmp_path / "new.duckdb", "w")
    assert list(tmp_path.iterdir()) == []


def test_the_storage_version_is_recorded_and_kept(path):
    with atlas.open(path, "a") as writer:
        assert writer.info()["storage_version"] == "v1.4.0"
        tags = writer.sql("SELECT tags FROM duckdb_databases() WHERE NOT internal").to_pylist()[0]["tags"]
    assert dict(tags) == {"storage_version": "v1.4.0+"}
