"""Opening: modes, files that are none, versions, locks, limits."""

import gzip
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import duckdb
import pytest
from store.world import SAMPLE, fill

import atlas
from atlas import schema
from atlas.errors import LockedError, StoreError, UsageError, VersionError
from atlas.store.digest import digest
from atlas.store.transfer.merging import merge
from atlas.store.upgrading import upgrade


def set_version(path, version):
    with duckdb.connect(path) as connection:
        connection.execute("UPDATE schema_version SET version_num = ?", [version])


def test_modes(tmp_path, path):
    with pytest.raises(StoreError, match="There is no atlas at"):
        atlas.open(tmp_path / "none.duckdb")
    with pytest.raises(StoreError, match=r"`atlas build --db '.*/my own\.duckdb'` makes one"):
        atlas.open(tmp_path / "my own.duckdb")
    with pytest.raises(StoreError, match="is there already"):
        atlas.open(path, "w")
    with pytest.raises(UsageError, match="not 'x'"):
        atlas.open(path, "x")
    with atlas.open(tmp_path / "new.duckdb", "a") as writer:
        assert isinstance(writer, atlas.Writer)
        assert writer.info()["format"] == "neuron-atlas"
    assert sorted(os.listdir(tmp_path)) == ["atlas.duckdb", "new.duckdb"]
    with atlas.open(path) as reader, pytest.raises(StoreError, match="read-only"):
        reader.sql("DELETE FROM fact")


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(StoreError, match="check that its folder is there"):
        atlas.open(tmp_path / "none" / "new.duckdb", "a")


def _text(path):
    path.write_text("id,subject\n1,Paris\n" * 100, encoding="utf-8")


def _nothing(path):
    path.touch()


def _sqlite(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE fact (fact)")
    connection.close()


def _zipped(path):
    path.write_bytes(gzip.compress(b"x" * 1000))


def _duckdb(path):
    with duckdb.connect(path) as connection:
        connection.execute("CREATE TABLE fact (fact BIGINT)")


def _logged(path):
    _duckdb(path)
    with duckdb.connect(path) as connection:
        connection.execute("PRAGMA disable_checkpoint_on_shutdown")
        connection.execute("INSERT INTO fact VALUES (1)")


def _linked(path):
    _logged(path.with_name("real"))
    path.symlink_to("real")


def _folder(path):
    path.mkdir()


def _files(folder):
    return {path.name: path.read_bytes() if path.is_file() else None for path in folder.iterdir()}


@pytest.mark.parametrize("make", [_text, _nothing, _sqlite, _zipped, _duckdb, _logged, _linked, _folder])
@pytest.mark.parametrize("mode", ["r", "a"])
def test_a_file_that_is_no_atlas_is_left_as_it_is(tmp_path, make, mode):
    path = tmp_path / "other"
    make(path)
    before = _files(tmp_path)
    assert any(name.endswith(".wal") for name in before) is (make in (_logged, _linked))
    with pytest.raises(StoreError, match=re.escape(str(path))):
        atlas.open(path, mode)
    assert _files(tmp_path) == before


@pytest.mark.quick(1)
@pytest.mark.parametrize("mode", ["r", "a"])
def test_a_damaged_atlas_is_left_as_it_is(path, mode):
    with atlas.open(path, "a") as writer:
        fill(writer, SAMPLE)
    whole = path.read_bytes()
    for damaged in (whole[:20_000], whole[:4096] + b"\0" * 8192 + whole[12288:]):
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match=re.escape(str(path))):
            atlas.open(path, mode)
        assert path.read_bytes() == damaged


def test_a_file_that_is_deleted_while_it_is_opened_is_told(path, monkeypatch):
    from atlas.store import connection

    open_file = connection.open_file

    def deleted(place, *, read_only, limits):
        if not read_only:
            place.unlink()
        return open_file(place, read_only=read_only, limits=limits)

    monkeypatch.setattr(connection, "open_file", deleted)
    with pytest.raises(StoreError, match="deleted or moved while it was opened"):
        atlas.open(path, "a")
    assert not path.exists()


@pytest.mark.parametrize("mode", ["r", "a"])
def test_a_newer_version(path, mode):
    set_version(path, "9999")
    with pytest.raises(VersionError, match=r"newer version \(schema 9999"):
        atlas.open(path, mode)


@pytest.mark.parametrize("mode", ["r", "a"])
def test_an_older_version(path, mode):
    set_version(path, "0000")
    with pytest.raises(StoreError, match=f"run `atlas upgrade --db {path}`"):
        atlas.open(path, mode)


@pytest.fixture
def holder(path):
    """Another process that holds the atlas for writing."""
    code = f"import atlas, sys; w = atlas.open({str(path)!r}, 'a'); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.stdin.close()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["r", "a"])
def test_a_second_writer_is_told_who_holds_the_atlas(path, holder, mode):
    with pytest.raises(LockedError, match=f"is held by process {holder.pid} "):
        atlas.open(path, mode)


def test_this_process_holds_the_atlas_itself(path):
    with atlas.open(path, "a"), pytest.raises(LockedError, match="open in this process already"):
        atlas.open(path)
    with atlas.open(path), pytest.raises(LockedError, match="other limits"):
        atlas.open(path, allow_files=True)


def test_many_may_read(path):
    with atlas.open(path) as one, atlas.open(path) as two:
        one.close()
        assert two.sql("SELECT 1 AS one").num_rows == 1


def test_queries_reach_no_other_file(path, tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    queries = (f"FROM '{secret}'", f"COPY (SELECT 1) TO '{tmp_path}/out.csv'", f"ATTACH '{secret}' AS other")
    with atlas.open(path) as reader:
        for query in (*queries, "SET enable_external_access = true", "INSTALL httpfs", "FROM queries"):
            with pytest.raises(StoreError):
                reader.sql(query)
    with atlas.open(path, allow_files=True) as reader:
        assert reader.sql(queries[0]).num_rows == 1


def test_limits_that_cannot_be_are_no_damage(path):
    for given, told in (
        ({"memory_limit": "lots"}, "memory_limit cannot be 'lots'"),
        ({"memory_limit": "4000"}, "write 4GB"),
        ({"threads": 0}, "threads cannot be 0"),
        ({"threads": "2"}, "threads cannot be '2'"),
        ({"timeout": 0}, "timeout cannot be 0: give seconds above 0, or None"),
        ({"timeout": float("nan")}, "timeout cannot be nan"),
        ({"threads": 10**12}, "from 1 to 1,024"),
    ):
        with pytest.raises(UsageError, match=told):
            atlas.open(path, **given)


def test_a_time_limit_beyond_all_time_is_none(path):
    with atlas.open(path, timeout=float("inf")) as reader:
        assert (reader.seconds, reader.info()["format"]) == (None, "neuron-atlas")


@pytest.mark.parametrize("mode", ["r", "a", "w"])
def test_an_empty_path_is_told_as_one(mode):
    for path in ("", "\0"):
        with pytest.raises(StoreError, match="path of the atlas is empty"):
            atlas.open(path, mode)


def test_names_that_are_no_files_to_duckdb_are_files(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    for name in (":memory:", "md:x"):
        shutil.copy(path, name)
        with atlas.open(name) as reader:
            assert reader.info()["format"] == "neuron-atlas"


def test_memory_is_bounded_and_spills_beside_no_other_process(path):
    query = "SELECT count(*) AS n FROM (SELECT i, hash(i) AS h FROM range(3000000) t(i) ORDER BY h)"
    with atlas.open(path, memory_limit="100MB", threads=1) as reader:
        assert reader.sql("SELECT current_setting('memory_limit') AS v").to_pylist() == [{"v": "95.3 MiB"}]
        assert reader.sql(query)["n"][0].as_py() == 3_000_000


def test_a_query_can_be_stopped(path):
    with atlas.open(path) as reader:
        started = threading.Event()

        def stop():
            started.wait()
            while not stopped:
                reader.interrupt()

        stopped = []
        thread = threading.Thread(target=stop)
        thread.start()
        started.set()
        with pytest.raises(StoreError, match="was stopped"):
            reader.sql("SELECT count(*) FROM range(10000000000) a, range(1000000) b WHERE a.range * b.range = -1")
        stopped.append(True)
        thread.join()


def test_ctrl_c_within_a_query_is_an_interrupt(path, monkeypatch):
    def signalled(*_):
        raise RuntimeError("Query interrupted")  # as DuckDB says it

    with atlas.open(path) as reader:
        monkeypatch.setattr("atlas.store.reader._relation", signalled)
        with pytest.raises(KeyboardInterrupt):
            reader.sql("SELECT 1")


def test_a_read_only_folder_is_readable(path):
    path.parent.chmod(0o555)
    path.chmod(0o444)
    try:
        with atlas.open(path) as reader:
            assert reader.info()["schema"] == f"{schema.VERSION:04}"
    finally:
        path.parent.chmod(0o755)


@pytest.mark.parametrize("name", ["a?.duckdb", "which neurons?/a.duckdb", "back\\slash.duckdb", "?/x/a.duckdb"])
def test_a_path_that_the_database_would_take_for_another_is_told(tmp_path, path, name):
    """Nothing is made of it, and nothing beside it."""
    place = tmp_path / "folder" / name
    place.parent.mkdir(parents=True)
    with pytest.raises(StoreError, match=r"has a (\?|\\) in its path, which DuckDB takes for .*; rename it"):
        atlas.open(place, "w")
    with pytest.raises(StoreError, match="rename it"):
        atlas.open(place, "a")
    shutil.copy(path, place)
    for open_it in (atlas.open, upgrade):
        with pytest.raises(StoreError, match="rename it"):
            open_it(place)
    with pytest.raises(StoreError, match="rename it"):
        list(merge([place], path))
    assert [each for each in (tmp_path / "folder").rglob("*") if each.is_file()] == [place]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["b[1]s*{x} h#x p%20", "q'uote a&b=c; q\"d\nx", "c:", "~"])
def test_other_names_are_names(tmp_path, name):
    place = tmp_path / name / f"{name}.duckdb"
    place.parent.mkdir()
    with atlas.open(place, "w") as writer:
        fill(writer, SAMPLE)
        before = digest(writer)
    upgrade(place)
    list(merge([place], tmp_path / name / "all.duckdb"))
    with atlas.open(tmp_path / name / "all.duckdb") as reader:
        assert digest(reader) == before
    assert sorted(each.name for each in place.parent.iterdir()) == sorted([place.name, "all.duckdb"])


def test_a_pipe_is_no_atlas_and_nobody_waits_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for mode in ("r", "a"):
        with pytest.raises(StoreError, match="pipe is not a plain file"):
            atlas.open(tmp_path / "pipe", mode)


def test_threads_share_an_atlas(path):
    """Each gets the rows of its own query, one after the other."""
    with atlas.open(path, threads=2) as reader, ThreadPoolExecutor(4) as pool:
        asked = range(10_000, 10_064)
        assert list(pool.map(lambda n: reader.sql("FROM range(?)", [n]).num_rows, asked)) == list(asked)


def test_a_forked_process_closes_what_is_not_its_own(path):
    reader = atlas.open(path, threads=2)
    if not (child := os.fork()):
        reader.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert reader.sql("SELECT 1 AS one").num_rows == 1
    reader.close()
