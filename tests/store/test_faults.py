"""What goes wrong from outside: kills, full disks, shut folders, damaged files, clocks. Whatever happens, the atlas
opens, holds every row once, and ends with the content of one that was left alone.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store.killing import WORLD, load

import atlas
from atlas.errors import LockedError, StoreError
from atlas.store import integrity, upgrading, writer
from atlas.store.digest import digest

TESTS = Path(__file__).parents[1]
LOAD = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
from pathlib import Path
from store.killing import load
from atlas.errors import StoreError
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """The path of an atlas that was loaded without a fault."""
    path = tmp_path_factory.mktemp("loaded") / "loaded.duckdb"
    load(path)
    return path


@pytest.fixture(scope="module")
def whole(loaded):
    """Its digest."""
    return sound(loaded)


def sound(path):
    """Check that the atlas opens and that nothing in it is wrong; return its digest."""
    with atlas.open(path) as opened:
        assert [r.check.name for r in integrity.run(opened) if not r.ok and not r.check.harmless] == []
        return digest(opened)


def probes(path):
    with atlas.open(path) as opened:
        return opened.sql("SELECT count(*) AS n FROM probe")["n"][0].as_py()


def killed(kind, path, rounds):
    """Kill work of `kind` on the atlas so often, each at another step; return how many probes it held after each."""
    command = [sys.executable, Path(__file__).with_name("killing.py"), kind, path, str(rounds), "8"]
    return [int(line) for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()]


@pytest.mark.slow
def test_a_loader_killed_at_any_step_loses_nothing(tmp_path, whole):
    path = tmp_path / "killed.duckdb"
    after = killed("load", path, len(WORLD.probes) + 1)
    assert after == sorted(after), "rows that were loaded are lost"
    assert len(after) == len(WORLD.probes) + 1
    load(path)
    assert sound(path) == whole
    assert probes(path) == len(WORLD.probes)


@pytest.mark.slow
def test_a_loader_killed_in_the_middle_loses_nothing(tmp_path, whole):
    path = tmp_path / "killed.duckdb"
    assert len(killed("load", path, 2)) == 2
    load(path)
    assert sound(path) == whole


def aged(path):
    """Give the atlas views that are not those of this version."""
    with atlas.open(path, "a") as opened:
        opened.sql("UPDATE atlas_info SET value = 'other' WHERE key = 'views'")


@pytest.mark.slow
def test_an_upgrade_killed_half_way_keeps_all_rows(tmp_path, loaded, whole):
    path = Path(shutil.copy(loaded, tmp_path / "old.duckdb"))
    aged(path)
    assert set(killed("upgrade", path, 3)) == {len(WORLD.probes)}
    upgrading.upgrade(path)
    assert sound(path) == whole
    assert os.listdir(tmp_path) == ["old.duckdb"]


def ended(code, **options):
    """Run Python code in a process of its own and return what it printed."""
    found = subprocess.run([sys.executable, "-c", LOAD + code], capture_output=True, text=True, check=False, **options)
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, *(pytest.param(size, marks=pytest.mark.slow) for size in (4096, 12_000))])
def test_files_that_may_not_grow(tmp_path, whole, size):
    path = tmp_path / "full.duckdb"
    atlas.open(path, "w").close()
    said = ended(f"""
import os, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sys.dont_write_bytecode = True
resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, resource.RLIM_INFINITY))
try:
    load(Path({str(path)!r}))
except StoreError as error:
    print(error)
sys.stdout.flush()
os._exit(0)
""")
    assert str(path) in said
    load(path)
    assert sound(path) == whole


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of its own, of 3 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.slow
def test_a_full_disk(small_disk, whole):
    path = small_disk / "atlas.duckdb"
    atlas.open(path, "w").close()
    filler = small_disk / "filler"
    free = shutil.disk_usage(small_disk).free
    filler.write_bytes(b"x" * (free - free % 4096))
    said = ended(f"""
import os
try:
    load(Path({str(path)!r}))
except StoreError as error:
    print(error)
sys.stdout.flush()
os._exit(0)
""")
    assert str(path) in said
    filler.unlink()
    load(path)
    assert sound(path) == whole


@pytest.fixture
def shut_folder(tmp_path, loaded):
    """A folder that may not be written, with an atlas in it; for root, who may write anywhere, a read-only mount."""
    folder = tmp_path / "shut"
    folder.mkdir()
    shutil.copy(loaded, folder / "atlas.duckdb")
    if os.getuid():
        (folder / "atlas.duckdb").chmod(0o444)
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)
        return
    for options in (["--bind", folder, folder], ["-o", "remount,ro,bind", folder]):
        mounted = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
        if mounted.returncode:
            pytest.skip(f"a folder cannot be mounted read-only here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.slow
def test_a_folder_that_may_not_be_written(shut_folder, whole):
    with pytest.raises(StoreError, match=r"atlas\.duckdb cannot be opened"):
        load(shut_folder / "atlas.duckdb")
    with pytest.raises(StoreError, match=r"new\.duckdb cannot be made"):
        load(shut_folder / "new.duckdb")
    assert sound(shut_folder / "atlas.duckdb") == whole
    assert os.listdir(shut_folder) == ["atlas.duckdb"]


@pytest.mark.slow
def test_a_second_build_is_refused_and_does_no_harm(tmp_path, whole):
    path = tmp_path / "shared.duckdb"
    refused = []

    def meanwhile():
        refused.append(ended(f"""
try:
    load(Path({str(path)!r}))
except StoreError as error:
    print(error)
""")) if len(refused) < 1 else None  # fmt: skip

    load(path, meanwhile)
    assert f"held by process {os.getpid()}" in refused[0]
    assert sound(path) == whole


@pytest.mark.slow
def test_a_clock_that_goes_backwards(tmp_path, whole, monkeypatch):
    times = iter(datetime(2030 - number, 1, 1) for number in range(20))
    monkeypatch.setattr(writer, "_now", lambda: next(times))
    path = tmp_path / "clock.duckdb"
    load(path)
    load(path)
    with atlas.open(path) as opened:
        (run,) = opened.runs().to_pylist()
    assert run["finished"] < run["started"]
    assert run["status"] == "done"
    assert sound(path) == whole


changes = st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=64)), max_size=3)


@pytest.mark.slow
@settings(settings.get_profile("store"), max_examples=25)
@given(changes=changes, length=st.one_of(st.none(), st.floats(0, 1)), mode=st.sampled_from(["r", "a"]))
def test_a_damaged_file_is_an_error_or_no_harm_and_stays_as_it_is(loaded, whole, changes, length, mode):
    content = bytearray(loaded.read_bytes())
    for where, bytes_ in changes:
        place = int(where * (len(content) - len(bytes_)))
        content[place : place + len(bytes_)] = bytes_
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "damaged.duckdb")
        path.write_bytes(content if length is None else content[: int(length * len(content))])
        before = path.read_bytes()
        told = None
        try:
            with atlas.open(path, mode) as opened:
                assert digest(opened) == whole
        except StoreError as error:
            told = error
        assert told is None or str(path) in str(told)
        assert not isinstance(told, LockedError)
        assert path.read_bytes() == before
        assert os.listdir(folder) == ["damaged.duckdb"]
