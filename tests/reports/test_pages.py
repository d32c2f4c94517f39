"""A report writes into its own folders only."""

import pytest

from atlas.errors import UsageError
from atlas.reports import pages


@pytest.fixture(autouse=True)
def _collected(monkeypatch, make_page):
    monkeypatch.setattr(pages, "collect", lambda source: make_page(source))


@pytest.mark.parametrize("there", [False, True])
def test_a_new_or_empty_folder_is_written(tmp_path, there):
    folder = tmp_path / "a" / "site"
    if there:
        folder.mkdir(parents=True)
    page = pages.write("first", folder)
    assert page == folder / "index.html"
    assert "first" in page.read_text("utf-8")


def test_a_report_may_be_written_again(tmp_path):
    pages.write("first", tmp_path / "site")
    (tmp_path / "site" / "mine.txt").write_text("kept")
    page = pages.write("second", tmp_path / "site")
    assert "second" in page.read_text("utf-8")
    assert (tmp_path / "site" / "mine.txt").read_text() == "kept"


def test_a_folder_of_others_is_left_alone(tmp_path):
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(UsageError, match="never writes over"):
        pages.write("first", tmp_path)
    assert (tmp_path / "index.html").read_text() == "mine"


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "site").write_text("mine")
    with pytest.raises(UsageError, match="is a file"):
        pages.write("first", tmp_path / "site")


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"site cannot be written"):
        pages.write("first", tmp_path / "file" / "site")
