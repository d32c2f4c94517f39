"""A report writes into its own folders only."""

import json

import pytest

from atlas.errors import StoreError, UsageError
from atlas.reports.folder import MARK, Folder


@pytest.mark.parametrize("there", [False, True])
def test_a_new_or_empty_folder_is_written(tmp_path, there):
    path = tmp_path / "a" / "site"
    if there:
        path.mkdir(parents=True)
    with Folder(path) as folder:
        folder.write("facts/1.html", "one")
    assert (path / "facts" / "1.html").read_text() == "one"


def test_what_a_report_that_was_cut_off_left_is_removed_by_the_next(tmp_path):
    def cut_off():
        with Folder(tmp_path) as folder:
            folder.write("facts/1.html", "one")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_off()
    with Folder(tmp_path) as folder:
        folder.write("facts/2.html", "two")
    assert [path.name for path in (tmp_path / "facts").iterdir()] == ["2.html"]


def test_a_folder_of_others_is_left_alone(tmp_path):
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(UsageError, match="never writes over"), Folder(tmp_path):
        pass
    assert (tmp_path / "index.html").read_text() == "mine"


def test_a_mark_that_was_changed_removes_nothing_outside(tmp_path):
    (tmp_path / "mine").write_text("kept")
    site = tmp_path / "site"
    site.mkdir()
    (site / MARK).write_text(json.dumps({"files": ["../mine", str(tmp_path / "mine")]}))
    with Folder(site):
        pass
    assert (tmp_path / "mine").read_text() == "kept"


def test_what_lies_behind_a_link_is_neither_removed_nor_written(tmp_path):
    site, other = tmp_path / "site", tmp_path / "other"
    with Folder(site) as folder:
        folder.write("facts/1.html", "one")
    (site / "facts" / "1.html").unlink()
    (site / "facts").rmdir()
    other.mkdir()
    (other / "1.html").write_text("mine")
    (site / "facts").symlink_to(other)
    with Folder(site) as folder:
        folder.write("index.html", "first")
    assert (other / "1.html").read_text() == "mine"
    with Folder(site) as folder, pytest.raises(UsageError, match=r"1\.html lies behind a link"):
        folder.write("facts/1.html", "two")
    assert [(path.name, path.read_text()) for path in other.iterdir()] == [("1.html", "mine")]


@pytest.mark.parametrize("name", ["index.html", MARK])
def test_a_link_in_the_place_of_a_file_is_refused(tmp_path, name):
    site, other = tmp_path / "site", tmp_path / "mine"
    with Folder(site) as folder:
        folder.write("index.html", "one")
    other.write_text((site / name).read_text())
    before = other.read_bytes()
    (site / name).unlink()
    (site / name).symlink_to(other)
    with pytest.raises(UsageError, match=r"no plain file|no report made"), Folder(site) as folder:
        folder.write("index.html", "two")
    assert other.read_bytes() == before
    assert (site / name).is_symlink()


def test_a_leftover_link_is_not_followed_while_writing(tmp_path):
    (tmp_path / "mine").write_text("kept")
    with Folder(tmp_path / "site") as folder:
        (tmp_path / "site" / "index.html.part").symlink_to(tmp_path / "mine")
        folder.write("index.html", "one")
    assert (tmp_path / "mine").read_text() == "kept"


def test_a_folder_may_be_reached_through_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for text in ("one", "two"):
        with Folder(tmp_path / "link") as folder:
            folder.write("facts/1.html", text)
    assert (tmp_path / "real" / "facts" / "1.html").read_text() == "two"


@pytest.mark.parametrize("names", [["a\0b"], ["x" * 5000], [None, {}], ["", "."], "index.html"])
def test_a_mark_of_any_names_removes_nothing_else(tmp_path, names):
    (tmp_path / MARK).write_text(json.dumps({"files": names}))
    (tmp_path / "mine").write_text("kept")
    with Folder(tmp_path):
        pass
    assert (tmp_path / "mine").read_text() == "kept"


@pytest.mark.parametrize("mark", ["[" * 100_000, "1", "{}", '{"files": 1}', ""])
def test_a_damaged_mark_is_none(tmp_path, mark):
    (tmp_path / MARK).write_text(mark)
    with pytest.raises(UsageError, match="never writes over"), Folder(tmp_path):
        pass


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "site").write_text("mine")
    with pytest.raises(UsageError, match="is a file"), Folder(tmp_path / "site"):
        pass


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"site cannot be written"), Folder(tmp_path / "file" / "site"):
        pass
