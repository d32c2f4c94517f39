"""A report writes into its own folders only."""

import json

import pytest

from atlas.errors import UsageError
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


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "site").write_text("mine")
    with pytest.raises(UsageError, match="is a file"), Folder(tmp_path / "site"):
        pass


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"site cannot be written"), Folder(tmp_path / "file" / "site"):
        pass
