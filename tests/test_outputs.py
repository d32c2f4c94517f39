"""What may be written where: every command that is told of a file or a folder asks one place."""

import os
import shutil

import duckdb
import pytest

from atlas import outputs
from atlas.errors import StoreError, UsageError


def _database(path):
    duckdb.connect(path).close()


def _log(path):
    _database(path.with_suffix(""))
    path.write_bytes(b"log")


def _link(path):
    path.with_name("target").write_text("precious")
    path.symlink_to("target")


def _broken_link(path):
    path.symlink_to("nowhere")


KINDS = {
    "database": ("x.duckdb", _database),
    "log": ("x.duckdb.wal", _log),
    "link": ("x.csv", _link),
    "broken": ("x.csv", _broken_link),
    "pipe": ("x.csv", os.mkfifo),
    "folder": ("x.csv", lambda path: path.mkdir()),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_of_ours_is_left_alone(tmp_path, kind):
    name, make = KINDS[kind]
    make(tmp_path / name)
    before = {path.name: os.lstat(path).st_mtime_ns for path in tmp_path.iterdir()}
    with pytest.raises(UsageError, match="name a"), outputs.whole_file(tmp_path / name, "--output") as part:
        part.write_text("new")
    assert {path.name: os.lstat(path).st_mtime_ns for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("path", ["/dev/null", "/", ".", ".."])
def test_devices_and_folders_by_other_names(path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError), outputs.whole_file(tmp_path / path, "--output"):
        pass


def _write(path, text):
    with outputs.whole_file(path, "--output") as part:
        part.write_text(text)


def test_a_file_of_others_is_left_alone_and_one_of_ours_is_not(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("mine")
    with pytest.raises(UsageError, match="not as atlas made it; remove it"):
        _write(path, "rows")
    assert path.read_text() == "mine"
    path.write_text("")
    _write(path, "rows")
    _write(path, "other rows")
    path.rename(tmp_path / "kept.csv")
    _write(tmp_path / "kept.csv", "rows of a file that was moved")
    with (tmp_path / "kept.csv").open("a") as file:
        file.write("mine")
    with pytest.raises(UsageError, match="not as atlas made it"):
        _write(tmp_path / "kept.csv", "rows")


def test_where_files_have_no_attributes_nothing_is_written_over(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "setxattr")
    _write(tmp_path / "rows.csv", "rows")
    with pytest.raises(UsageError, match="not as atlas made it"):
        _write(tmp_path / "rows.csv", "rows")
    assert os.listdir(tmp_path) == ["rows.csv"]


def test_a_file_appears_whole_or_stays(tmp_path):
    path = tmp_path / "rows.csv"
    with outputs.whole_file(path, "--output") as part:
        part.write_text("one")
    with pytest.raises(TypeError), outputs.whole_file(path, "--output") as part:
        part.write_text("half", part.write_text(7))
    assert path.read_text() == "one"
    assert os.listdir(tmp_path) == ["rows.csv"]
    with (
        pytest.raises(StoreError, match="choose another --output"),
        outputs.whole_file(tmp_path / "no" / "x", "--output") as part,
    ):
        part.write_text("x")


def _filled(folder, **texts):
    with outputs.own_folder(folder, "--out") as part:
        for name, text in texts.items():
            (part / name).write_text(text)


def test_a_folder_of_ours_is_made_anew(tmp_path):
    _filled(tmp_path / "out", a="1", b="2")
    _filled(tmp_path / "out", a="3")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a", outputs.MARK}
    assert (tmp_path / "out" / "a").read_text() == "3"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("foreign", ["added", "changed", "link", "unmarked"])
def test_a_folder_with_files_of_others_is_left_alone(tmp_path, foreign):
    folder = tmp_path / "out"
    _filled(folder, a="1")
    if foreign == "added":
        (folder / "facts.csv").write_text("mine")
    elif foreign == "changed":
        (folder / "a").write_text("mine")
    elif foreign == "link":
        (tmp_path / "mine").write_text("1")
        (folder / "a").unlink()
        (folder / "a").symlink_to(tmp_path / "mine")
    else:
        (folder / outputs.MARK).unlink()
    before = {path: path.read_text() for path in folder.iterdir()}
    with pytest.raises(UsageError, match="which atlas did not make"):
        _filled(folder, a="2")
    assert {path: path.read_text() for path in folder.iterdir()} == before


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_is_there_at_every_moment(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(outputs, "_exchanged", lambda *_: False)
    _filled(tmp_path / "out", a="1")
    _filled(tmp_path / "out", a="2")
    assert (tmp_path / "out" / "a").read_text() == "2"
    assert os.listdir(tmp_path) == ["out"]


def test_a_folder_stays_where_the_disk_refuses(tmp_path, monkeypatch):
    _filled(tmp_path / "out", a="1")
    monkeypatch.setattr(outputs, "_exchanged", lambda *_: False)
    rename, calls = os.rename, []

    def refusing(old, new):
        calls.append(new)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        rename(old, new)

    monkeypatch.setattr(os, "rename", refusing)
    with pytest.raises(StoreError, match="No space left"):
        _filled(tmp_path / "out", a="2")
    assert (tmp_path / "out" / "a").read_text() == "1"
    shutil.rmtree(tmp_path / "out")
    assert os.listdir(tmp_path) == []
