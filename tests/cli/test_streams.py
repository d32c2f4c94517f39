"""Streams that are closed or full, and signals: an exit code, nothing on the wrong stream, nothing left behind."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from atlas.cli import streams
from atlas.store.digest import digest


@pytest.fixture
def facts_only(shell, data, db):
    assert shell("import", data, "--db", db).code == 0
    return db


def _run(words, redirected, **options):
    command = f'exec "$0" -m atlas.cli "$@" {redirected}'
    return subprocess.run(["sh", "-c", command, sys.executable, *words], capture_output=True, check=False, **options)


@pytest.mark.slow
@pytest.mark.parametrize("redirected", [">&-", "--format csv >&-", ">/dev/full", ">&- <&-", ">&- 2>&-", ">&- <&- 2>&-"])
def test_a_stdout_that_cannot_be_written_is_a_failure(facts_only, redirected):
    before = facts_only.read_bytes()
    ended = _run(["facts", "--db", facts_only], redirected)
    assert ended.returncode == 1
    assert ended.stdout == b""
    assert ended.stderr == b"" or ended.stderr.startswith(b"error: the output cannot be written")
    assert ended.stderr.count(b"\n") <= 1
    assert facts_only.read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize("redirected", ["2>&-", "<&-", "2>&- <&-"])
def test_other_closed_streams_do_no_harm(facts_only, redirected):
    ended = _run(["sql", "SELECT 7 AS n", "--db", facts_only, "--format", "csv"], redirected)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"n\n7\n", b"")


def test_streams_are_utf_8_in_any_locale(monkeypatch):
    for name in ("stdin", "stdout"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(io.BytesIO("利马".encode()), "latin-1"))
    streams.open_all()
    assert sys.stdin.read() == "利马"
    assert sys.stdout.encoding == "utf-8"


WRITES = """
import os
import atlas
from atlas.cli import main
opened = atlas.open
def opening(*given, **more):
    found = opened(*given, **more)
    os.write({descriptor}, b"interrupted" * 1000)  # as the handler of a signal does
    return found
atlas.open = opening
main.run()
"""


@pytest.mark.slow
def test_what_is_written_to_a_closed_stderr_is_not_written_into_the_atlas(facts_only, data, tmp_path):
    import atlas

    db = tmp_path / "other.duckdb"
    driver = WRITES.format(descriptor=2)
    words = ["sh", "-c", 'exec "$0" -c "$1" import "$2" --db "$3" 2>&-', sys.executable, driver, data, db]
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0
    with atlas.open(db) as other, atlas.open(facts_only) as usual:
        assert digest(other) == digest(usual)


@pytest.mark.slow
def test_a_build_without_a_stderr_is_stopped_and_whole(shell, masked, data, tmp_path):
    import atlas

    words = ["build", "--model", masked, "--dataset", data, "--db", tmp_path / "a.duckdb"]
    command = ["sh", "-c", 'exec "$0" -c "$@" 2>&-', sys.executable, WRITES.format(descriptor=1), *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout.read(1) == b"i"  # the atlas is open
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode in (0, 1)
    assert shell(*words).code == 0
    with atlas.open(tmp_path / "a.duckdb") as opened:
        assert digest(opened)


QUERIES = {
    "query": "SELECT count(*) FROM range(10000000000) a, range(1000000) b WHERE a.range * b.range = -1",
    "deaf": "SELECT length((repeat('9', 9000000)::BIGNUM * repeat('9', 9000000)::BIGNUM)::VARCHAR)",
}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("query", QUERIES)
def test_a_signal_ends_a_query_within_ten_seconds(facts_only, tmp_path, number, query):
    before = facts_only.read_bytes()
    (tmp_path / "temporary").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary")}
    words = [sys.executable, "-c", MAIN, "sql", QUERIES[query], "--db", facts_only]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        try:
            assert process.stdout.read(1) == b"x"
            process.send_signal(number)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, out) == (1, b"")
    assert err.decode().count("error: ") == 1
    assert os.listdir(tmp_path / "temporary") == []
    assert facts_only.read_bytes() == before


MAIN = """
import os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
from atlas.cli import interrupts, main
watch = interrupts.watch
def watching():
    watch()
    os.write(1, b"x")
interrupts.watch = watching
main.run()
"""


@pytest.mark.slow
def test_a_temporary_folder_with_a_quote(facts_only, tmp_path):
    (tmp_path / "it's").mkdir()
    ended = _run(["facts", "--db", facts_only], "", env={**os.environ, "TMPDIR": str(Path(tmp_path / "it's"))})
    assert ended.returncode == 0, ended.stderr
