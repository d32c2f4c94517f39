"""New atlases from a template: the same content, another database, and no template that is not this user's own."""

import gzip
import os
import shutil
from contextlib import ExitStack
from pathlib import Path

import duckdb
import pytest

import atlas
from atlas.errors import StoreError
from atlas.store import migrate, structure, template, upgrading, views
from atlas.store.connection import STORAGE_VERSION
from atlas.store.template import copy  # the one that tests replace

COMMENTS = "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal ORDER BY ALL"
OF_VIEWS = "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal ORDER BY ALL"
CONSTRAINTS = "SELECT table_name, constraint_text FROM duckdb_constraints() ORDER BY ALL"
ROWS = ("FROM atlas_info ORDER BY ALL", "FROM definition ORDER BY ALL", "FROM schema_version")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of the templates, not there yet."""
    monkeypatch.setenv(template.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache" / "neuron-atlas" / "templates"


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Paths at which files were made without a template, as small ones."""
    paths = []

    def make(path, _):
        paths.append(path)
        duckdb.connect(path).execute("CREATE TABLE few (n INTEGER)").close()

    monkeypatch.setattr(migrate, "_make_anew", make)
    return paths


@pytest.mark.slow
def test_a_copy_holds_what_a_new_atlas_does_and_refuses_its_log(tmp_path):
    anew, copied = tmp_path / "anew.duckdb", tmp_path / "it's a copy.duckdb"
    migrate._make_anew(anew, STORAGE_VERSION)
    copy(anew, copied, STORAGE_VERSION)
    with atlas.open(anew) as first, atlas.open(copied) as second:
        assert structure.code_of(second) == structure.code_of(first)
        assert structure.differences(second) == []
        assert structure.storage_of(second) == STORAGE_VERSION
        for query in (COMMENTS, OF_VIEWS, CONSTRAINTS, *ROWS):
            assert second.sql(query).to_pylist() == first.sql(query).to_pylist() != []
    with duckdb.connect(anew) as connection:
        connection.execute("INSERT INTO atlas_info VALUES ('key', 'value')")
        shutil.copy(f"{anew}.wal", f"{copied}.wal")
    with pytest.raises(StoreError, match="is not the log of"):
        atlas.open(copied, "a")


@pytest.mark.slow
def test_an_upgrade_with_a_template_makes_what_one_without_does(tmp_path, folder, monkeypatch):
    archived = gzip.decompress((Path(__file__).parent / "archive" / "schema-0009.duckdb.gz").read_bytes())
    paths = [tmp_path / "alone" / "template.duckdb", tmp_path / "code.duckdb", tmp_path / "template.duckdb"]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(archived)
        with duckdb.connect(path) as connection:
            connection.execute("CREATE VIEW of_mine AS SELECT 1 AS one")
            connection.execute("CREATE OR REPLACE MACRO usable(status) AS TABLE SELECT status")
    monkeypatch.setattr(upgrading.template, "found", lambda _: None)
    upgrading.upgrade(paths[0])
    monkeypatch.undo()
    with monkeypatch.context() as patch:
        patch.setattr(views, "install", None)
        for path in paths[1:]:
            upgrading.upgrade(path)
    with ExitStack() as stack:
        made = [stack.enter_context(atlas.open(path)) for path in paths]
        for other in made[1:]:
            assert structure.code_of(other) == structure.code_of(made[0])
            for query in (COMMENTS, OF_VIEWS, CONSTRAINTS, *ROWS, "FROM likn_all ORDER BY ALL"):
                assert other.sql(query).to_pylist() == made[0].sql(query).to_pylist() != []


def test_the_second_atlas_is_made_from_the_first(tmp_path, folder, made):
    for name in ("a", "b", "c"):
        migrate.create(tmp_path / name)
    assert len(made) == 1
    assert (folder.stat().st_mode & 0o777, len(list(folder.iterdir()))) == (0o700, 1)
    with duckdb.connect(tmp_path / "c", read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM few").fetchall() == [(0,)]


def spoil(folder):
    kept = next(folder.iterdir())
    kept.write_bytes(kept.read_bytes()[:-1] + b"\1")


def lend(folder):
    folder.chmod(0o770)


def lend_the_file(folder):
    next(folder.iterdir()).chmod(0o666)


def link(folder):
    kept = next(folder.iterdir())
    shutil.move(kept, folder.parent / "elsewhere")
    kept.symlink_to(folder.parent / "elsewhere")


def link_the_folder(folder):
    shutil.move(folder, folder.parent / "elsewhere")
    folder.symlink_to(folder.parent / "elsewhere")


def rename(folder):
    kept = next(folder.iterdir())
    kept.rename(folder / f"0{kept.name[1:]}" if kept.name[0] != "0" else folder / f"1{kept.name[1:]}")


def take_away(folder):
    shutil.rmtree(folder)


@pytest.mark.quick(3)
@pytest.mark.parametrize("change", [spoil, lend, lend_the_file, link, link_the_folder, rename, take_away])
def test_a_template_that_is_not_the_users_own_is_not_taken(tmp_path, folder, made, change):
    migrate.create(tmp_path / "a")
    change(folder)
    migrate.create(tmp_path / "b")
    assert len(made) == 2


def test_a_folder_of_someone_else_is_neither_read_nor_written(tmp_path, folder, made, monkeypatch):
    migrate.create(tmp_path / "a")
    before = sorted(folder.iterdir())
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    migrate.create(tmp_path / "b")
    assert (len(made), sorted(folder.iterdir())) == (2, before)


@pytest.mark.parametrize("where", ["", "/dev/null/no/folder", "with?mark"])
def test_without_a_folder_atlases_are_made_all_the_same(tmp_path, monkeypatch, made, where):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(template.VARIABLE, where)
    for name in ("a", "b"):
        migrate.create(tmp_path / name)
    assert (len(made), sorted(path.name for path in tmp_path.iterdir())) == (2, ["a", "b"])


def test_other_versions_have_other_templates_of_which_few_are_kept(tmp_path, folder, made, monkeypatch):
    for number in range(template._MOST + 2):
        monkeypatch.setattr(template, "_key", lambda _, number=number: f"{number:032}")
        migrate.create(tmp_path / str(number))
    kept = sorted(path.name for path in folder.iterdir())
    assert len(made) == template._MOST + 2
    assert (len(kept), kept[-1][:32]) == (template._MOST, f"{template._MOST + 1:032}")
