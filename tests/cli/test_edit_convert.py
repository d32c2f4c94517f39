"""Edits written as other packages read them, and read back."""

import csv
import json

import pytest


@pytest.mark.parametrize("style", ["rome", "easyedit"])
def test_edits_are_converted_both_ways(shell, built, db, tmp_path, style):
    batch = tmp_path / "edits.csv"
    batch.write_text("fact,object,languages\nFrance,Berlin,fr\n", "utf-8")
    sent = shell("edit", "convert", batch, "--out", tmp_path / "sent.json", "--style", style, "--db", db)
    assert (sent.code, sent.out.startswith("Wrote 1 edit to ")) == (0, True), sent.err
    back = shell("edit", "convert", tmp_path / "sent.json", "--out", tmp_path / "back")
    assert back.code == 0, back.err
    (row,) = csv.DictReader((tmp_path / "back" / "edits.csv").read_text("utf-8").splitlines())
    assert (row["fact"], row["object_fr"]) == ("France", "Berlin")
    for source, out, told in ((batch, "folder", "a .json file"), (tmp_path / "sent.json", "new.json", "a folder")):
        ended = shell("edit", "convert", source, "--out", tmp_path / out)
        assert (ended.code, f"becomes {told}: name one with --out" in ended.err) == (2, True)


@pytest.mark.parametrize("name", ["facts.csv", "edits.csv", "notes.txt"])
def test_convert_never_writes_over_files_of_others(shell, tmp_path, name):
    (tmp_path / "requests.json").write_text(json.dumps([{
        "subject": "France", "prompt": "The capital of France is", "ground_truth": "Paris", "target_new": "Berlin",
    }]), "utf-8")  # fmt: skip
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("mine")
    words = ("edit", "convert", tmp_path / "requests.json", "--out")
    assert shell(*words, tmp_path / "out").code == 2
    assert {path.name: path.read_text() for path in (tmp_path / "out").iterdir()} == {name: "mine"}
    assert shell(*words, tmp_path / "new").code == 0
    assert shell(*words, tmp_path / "new").code == 0
