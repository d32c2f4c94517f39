"""Disks that are full, folders for temporary files that are none: one sentence each, and nothing is lost or left."""

import os
import resource
import subprocess
import sys
import tempfile
from contextlib import contextmanager

import pytest

import atlas
from atlas.store import connection, integrity
from atlas.store.digest import digest

COMMANDS = (
    ("import", "{data}", "--db", "{tmp}/new.duckdb"),
    ("merge", "{db}", "--into", "{tmp}/new.duckdb"),
    ("export", "--db", "{db}", "--out", "{tmp}/out"),
    ("export", "--db", "{db}", "--out", "{tmp}/out", "--format", "csv"),
    ("report", "--db", "{db}", "--out", "{tmp}/site"),
    ("sql", "FROM attribution", "--db", "{db}", "--output", "{tmp}/rows.csv"),
    ("build", "--model", "{model}", "--dataset", "{data}", "--db", "{db}", "--seed", "1"),
)


@contextmanager
def full(kilobytes):
    """Let no file grow past a size. Python compiles nothing meanwhile: 3.11 would keep a part of it as the whole."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    compiles_none, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes << 10, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        sys.dont_write_bytecode = compiles_none


def _told(ended):
    assert ended.code == 1, ended.err
    assert [line.split(":")[0] for line in ended.err.splitlines()].count("error") == 1
    assert "unexpected" not in ended.err


@pytest.mark.slow
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_disk_that_is_full_is_told_and_with_room_all_goes_on(shell, built, data, masked, db, tmp_path, words):
    words = [word.format(data=data, db=db, tmp=tmp_path, model=masked) for word in words]
    with atlas.open(db) as opened:
        before, there = digest(opened), sorted(os.listdir(tmp_path))
    with full(1):
        _told(shell(*words))
    with atlas.open(db) as opened:
        assert words[0] == "build" or digest(opened) == before
        assert all(result.ok or result.check.harmless for result in integrity.run(opened))
    left = {name.removesuffix(".wal") for name in os.listdir(tmp_path)} - {"site"}
    assert sorted(left) == there
    ended = shell(*words)
    assert ended.code == 0, ended.err


@pytest.mark.slow
def test_a_model_that_cannot_be_saved(shell, built, masked, db, tmp_path):
    with atlas.open(db) as opened:
        fact = opened.sql("SELECT fact FROM fact WHERE subject = 'france'")["fact"][0]
    neurons = tmp_path / "neurons.json"
    neurons.write_text("[[0, 1], [1, 2]]")
    words = (
        "edit",
        "--fact",
        fact,
        "--object",
        "Berlin",
        "--neurons",
        neurons,
        "--method",
        "kn",
        "--force",
        "--db",
        db,
    )
    with full(40):
        ended = shell(*words, "--save", tmp_path / "edited")
    _told(ended)
    assert "edited cannot be written" in ended.err
    assert not (tmp_path / "edited").exists()
    with atlas.open(db) as opened:
        assert "applied" not in opened.sql("FROM edit")["status"].to_pylist()
    assert shell(*words, "--save", tmp_path / "edited").code == 0


@pytest.mark.slow
def test_a_folder_for_temporary_files_with_a_quote_is_used(tmp_path, db, built, monkeypatch):
    folder = tmp_path / 'it\'s; a "folder"'
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    connection._spill_folder.cache_clear()
    try:
        with atlas.open(db, memory_limit="60MB", threads=1) as opened:
            rows = opened.sql(
                "SELECT r, md5(r::VARCHAR) AS m FROM range(2000000) t(r) ORDER BY m LIMIT 1 OFFSET 1900000"
            )
            assert rows.num_rows == 1
            assert opened.sql("SELECT current_setting('temp_directory') AS t")["t"][0].as_py().startswith(str(folder))
    finally:
        connection._spill_folder.cache_clear()
    assert not os.listdir(folder)


@pytest.mark.slow
def test_a_folder_for_temporary_files_that_is_none(db, built, tmp_path):
    for name in (tmp_path / "none", db, "/proc"):
        words = [sys.executable, "-m", "atlas.cli", "sql", "SELECT 1 AS one", "--db", db, "--format", "csv"]
        ended = subprocess.run(
            words, env={**os.environ, "TMPDIR": str(name)}, capture_output=True, text=True, check=False
        )
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "one\n1\n", "")


def test_the_root_is_no_atlas(shell):
    for path in ("/", ".", ".."):
        ended = shell("doctor", "--db", path)
        assert ended.code == 1
        assert "is not a plain file" in ended.out


@pytest.mark.slow
def test_a_build_whose_file_was_taken_away_fails(build, db, monkeypatch):
    from atlas.store import Writer

    load = Writer.load_batch

    def moving(self, tables):
        added = load(self, tables)
        if db.exists():
            db.rename(db.with_name("moved.duckdb"))
        return added

    monkeypatch.setattr(Writer, "load_batch", moving)
    ended = build()
    assert ended.code == 1
    assert "was deleted or moved" in ended.err
