"""Exports: a full circle back to equal content, files that say what they are, and no other file touched."""

import csv
import hashlib
import json

import pyarrow.parquet as pq
import pytest
from store.transfer.rows import change, digest_of, wrong_scores
from store.world import SAMPLE, add_facts, add_run, batch

import atlas
from atlas import schema
from atlas.errors import StoreError, UsageError
from atlas.store.transfer.card import CARD
from atlas.store.transfer.exporting import TABLES, export
from atlas.store.transfer.importing import import_parquet
from atlas.store.transfer.manifest import NAME


@pytest.fixture
def exported(whole, tmp_path):
    """The folder of a Parquet export of all tables."""
    export(whole, tmp_path / "out")
    return tmp_path / "out"


@pytest.mark.slow
def test_a_full_circle(whole, exported, into):
    added = import_parquet(exported, into).added
    assert digest_of(into) == digest_of(whole)
    assert wrong_scores(into) == wrong_scores(whole)
    assert added["attribution"] > 0
    assert not any(import_parquet(exported, into).added.values()), "a second time adds nothing"


@pytest.mark.slow
def test_a_run_that_went_on_after_another_comes_back(into, tmp_path):
    with atlas.open(into, "a") as writer:
        add_facts(writer, [SAMPLE])
        first = add_run(writer, SAMPLE, [0, 1])
        add_run(writer, SAMPLE, seed=1)
        writer.load_batch(batch(SAMPLE, first))
    export(into, tmp_path / "out")
    import_parquet(tmp_path / "out", tmp_path / "back.duckdb")
    assert digest_of(tmp_path / "back.duckdb") == digest_of(into)
    assert wrong_scores(tmp_path / "back.duckdb") == []


def test_the_manifest_names_every_file(whole, exported):
    manifest = json.loads((exported / NAME).read_text("utf-8"))
    there = {path.relative_to(exported).as_posix() for path in exported.rglob("*") if path.is_file()}
    assert {file["path"] for file in manifest["files"]} | {NAME, CARD} == there
    assert {file["table"] for file in manifest["files"]} == set(TABLES)
    for file in manifest["files"]:
        path = exported / file["path"]
        assert (file["sha256"], file["bytes"]) == (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
        assert file["rows"] == pq.read_metadata(path).num_rows
    assert (manifest["format"], manifest["atlas"]["schema"]) == ("parquet", f"{schema.VERSION:04}")


def test_the_card_says_what_is_there_and_is_the_makers_once_changed(whole, exported):
    text = (exported / CARD).read_text("utf-8")
    front, body = text.split("---\n")[1], text.split("---\n")[2]
    assert {line.split(": ")[1] for line in front.splitlines() if "config_name" in line} == set(TABLES)
    files = [line.removeprefix("  - ") for line in front.splitlines() if line.startswith("  - ")]
    assert all((exported / file).is_file() for file in files)
    rows = pq.read_metadata(exported / "language.parquet").num_rows
    assert f"| language | {rows:,} | {schema.TABLES['language'].meaning} |" in body
    assert "\u202e" not in text
    (exported / CARD).write_text(text + "License: mine.\n", "utf-8")
    with pytest.raises(UsageError, match=r"holds README.md, which no export made"):
        export(whole, exported)


@pytest.mark.quick(1)
@pytest.mark.parametrize("format_", ["csv", "jsonl"])
def test_text_formats_hold_the_same_values(whole, tmp_path, format_):
    export(whole, tmp_path / "out", format_, ["language", "likn"])
    text = (tmp_path / "out" / f"language.{format_}").read_text("utf-8")
    read = list(csv.DictReader(text.splitlines(keepends=True))) if format_ == "csv" else None
    rows = read or [json.loads(line) for line in text.splitlines()]
    assert 'a,"b"\n\\ 法国 \u202e' in {row["name"] for row in rows}
    assert (tmp_path / "out" / f"likn.{format_}").exists()


def test_ids_of_runs_that_views_set_side_by_side_are_strings_in_json(whole, tmp_path):
    export(whole, tmp_path / "out", "jsonl", ["knockout_source"])
    rows = [json.loads(row) for row in (tmp_path / "out" / "knockout_source.jsonl").read_text("utf-8").splitlines()]
    assert rows
    assert all(isinstance(name, str) for row in rows for name in (row["run"], row["source"]))


@pytest.mark.slow
def test_an_export_goes_over_an_export_and_over_nothing_else(whole, exported):
    export(whole, exported, "csv", ["fact"])
    assert {path.name for path in exported.iterdir()} == {NAME, CARD, "fact.csv"}
    (exported / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"holds notes.txt, which no export made"):
        export(whole, exported)
    assert {path.name for path in exported.iterdir()} == {NAME, CARD, "fact.csv", "notes.txt"}


def test_folders_and_tables_that_cannot_be(whole, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("")
    for folder, tables, said in (
        ("file", None, "is a file"), ("full", None, "thesis.tex"), ("new", ["x"], "'x'"), ("new", [], "--t"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=said):
            export(whole, tmp_path / folder, "parquet", tables)
    with pytest.raises(StoreError, match="There is no atlas"):
        export(tmp_path / "none.duckdb", tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "full"]


def _truncate(folder):
    path = folder / "fact.parquet"
    path.write_bytes(path.read_bytes()[:-10])


def _other(**values):
    def act(folder):
        manifest = json.loads((folder / NAME).read_text("utf-8"))
        (folder / NAME).write_text(json.dumps(manifest | values), "utf-8")

    return act


FILE = {"path": "../fact.parquet", "table": "fact", "rows": 1, "bytes": 1, "sha256": ""}
DAMAGES = [
    (_truncate, "not what was exported"),
    (lambda folder: (folder / "fact.parquet").unlink(), "is missing"),
    (lambda folder: (folder / NAME).unlink(), "is no export"),
    (lambda folder: (folder / NAME).write_text("[1"), "is no export"),
    (lambda folder: (folder / NAME).write_text("[]"), "is no export"),
    (_other(made_by="me"), "another program"),
    (_other(files=[FILE]), "outside the folder"),
    (_other(files=[FILE | {"path": "/etc/passwd"}]), "outside the folder"),
    (_other(files=[FILE | {"path": "fact.parquet"}, FILE | {"path": "fact.parquet"}]), "twice"),
    (_other(files=[FILE | {"path": "fact.parquet"}, FILE | {"path": "./fact.parquet"}]), "twice"),
    (_other(files=[FILE | {"path": "fact.parquet", "rows": "1"}]), "wrong shape"),
    (_other(format="csv"), "as csv"),
    (_other(atlas={"schema": "0000"}), "schema 0000"),
    (_other(atlas={"schema": "9999"}), "or upgrade this package"),
    (_other(files=[FILE | {"path": "likn.parquet", "table": "likn"}]), "holds no table"),
]


@pytest.mark.quick(1)
@pytest.mark.parametrize(("damage", "said"), DAMAGES)
def test_what_is_no_export_is_refused(exported, tmp_path, damage, said):
    damage(exported)
    with pytest.raises(StoreError, match=said):
        import_parquet(exported, tmp_path / "new.duckdb")
    assert not (tmp_path / "new.duckdb").exists()


def test_another_number_of_rows_is_refused(exported, tmp_path):
    manifest = json.loads((exported / NAME).read_text("utf-8"))
    manifest["files"][0]["rows"] += 1
    (exported / NAME).write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(StoreError, match="another number of rows"):
        import_parquet(exported, tmp_path / "new.duckdb")


@pytest.mark.slow
def test_rows_that_disagree_are_refused(exported, full):
    into = change(full("other.duckdb"), "UPDATE run SET settings = '{}'")
    before = digest_of(into)
    with pytest.raises(StoreError, match="with different settings"):
        import_parquet(exported, into)
    assert digest_of(into) == before
