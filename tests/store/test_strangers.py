"""Files of others: logs of another file, tables that are views, views that say something else, rows that are none."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from store.transfer.rows import change, digest_of
from store.world import SAMPLE, fill

import atlas
from atlas.doctor.job import examine
from atlas.errors import StoreError
from atlas.store import upgrading
from atlas.store.transfer.exporting import export
from atlas.store.transfer.importing import import_parquet
from atlas.store.transfer.merging import merge

pytestmark = pytest.mark.slow

KILLED = """
import os, sys, atlas
from store.world import SAMPLE, fill
writer = atlas.open(sys.argv[1], "a")
fill(writer, SAMPLE)
os._exit(1)
"""


@pytest.fixture(scope="module")
def sample(empty, tmp_path_factory):
    """The path of an atlas with the sample, to be copied."""
    path = Path(shutil.copy(empty, tmp_path_factory.mktemp("sample") / "sample.duckdb"))
    with atlas.open(path, "a") as writer:
        fill(writer, SAMPLE)
    return path


@pytest.fixture
def filled(sample, tmp_path):
    """The path of a copy of it."""
    return Path(shutil.copy(sample, tmp_path / "atlas.duckdb"))


def _kill(path):
    """Let another process fill the atlas and end without closing it."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run([sys.executable, "-c", KILLED, path], check=False, env=environment)
    assert path.with_name(f"{path.name}.wal").exists()


@pytest.mark.parametrize("mode", ["r", "a"])
@pytest.mark.parametrize("same", [True, False])
def test_the_log_of_another_file_is_never_replayed(filled, empty, tmp_path, mode, same):
    path = tmp_path / "other" / "atlas.duckdb"
    path.parent.mkdir()
    if same:
        shutil.copy(empty, path)
    _kill(path)
    shutil.copy(filled, path)
    with pytest.raises(StoreError, match=r"atlas\.duckdb\.wal is not the log of .*move it away"):
        atlas.open(path, mode)
    path.with_name("atlas.duckdb.wal").unlink()
    assert digest_of(path) == digest_of(filled)


def test_the_own_log_is_replayed(filled, empty, tmp_path):
    path = Path(shutil.copy(empty, tmp_path / "killed.duckdb"))
    _kill(path)
    assert digest_of(path) == digest_of(filled)


@pytest.fixture
def spying(filled, tmp_path):
    """An atlas whose languages are those of a file of its reader's."""
    (tmp_path / "diary.txt").write_text("nobody may read this", "utf-8")
    with duckdb.connect(filled) as connection:
        connection.execute("DROP TABLE language")
        connection.execute(
            "CREATE VIEW language AS SELECT content AS language, content AS name, false AS rtl "
            f"FROM read_text('{tmp_path / 'diary.txt'}')"
        )
    return filled


@pytest.mark.parametrize("act", [
    lambda path, out: export(path, out, "csv"),
    lambda path, out: export(path, out, "parquet", ["language"]),
    lambda path, out: export(path, out, "jsonl", ["edit_summary"]),
    lambda path, out: list(merge([path], out.with_name("mine.duckdb"))),
    lambda path, _: upgrading.upgrade(path),
    lambda path, _: atlas.open(path).sql("FROM language"),
    lambda path, _: atlas.open(path, "a").sql("FROM language"),
])  # fmt: skip
def test_no_view_of_a_stranger_reads_a_file(spying, tmp_path, act):
    with pytest.raises(StoreError):
        act(spying, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    if (tmp_path / "mine.duckdb").exists():
        with atlas.open(tmp_path / "mine.duckdb") as mine:
            assert mine.sql("FROM language").num_rows == 0


def test_a_view_beside_the_tables_reads_no_file_either(filled, tmp_path):
    (tmp_path / "diary.txt").write_text("nobody may read this", "utf-8")
    change(filled, "CREATE OR REPLACE VIEW likn AS FROM query('SELECT 1 AS run')")
    with duckdb.connect(filled) as connection:
        connection.execute(f"CREATE OR REPLACE VIEW likn AS FROM read_text('{tmp_path / 'diary.txt'}')")
    with pytest.raises(StoreError, match="may not touch other files"):
        export(filled, tmp_path / "out", "csv", ["fact", "likn"])
    assert not (tmp_path / "out").exists()


LIES = {
    "CREATE OR REPLACE VIEW likn AS SELECT * FROM knowledge_neuron": "view likn",
    "DROP VIEW dkn": "view dkn",
    "CREATE OR REPLACE MACRO usable(status) AS true": "macro usable",
    "CREATE MACRO max(x) AS min(x)": "macro max",
    "UPDATE definition SET tau = 0.0001 WHERE definition = 'default'": "definition default",
    "DELETE FROM definition WHERE definition = 'strict'": "definition strict",
}


@pytest.fixture(scope="module")
def lying(sample, tmp_path_factory):
    """What doctor finds in an atlas of all these lies, by subject, what an upgrade mends, and what is wrong then."""
    path = Path(shutil.copy(sample, tmp_path_factory.mktemp("lying") / "atlas.duckdb"))
    change(path, *LIES)
    found = {finding.subject: finding for finding in examine(path)}
    mended = [f"{each.kind} {each.name}" for each in upgrading.upgrade(path).mended]
    return found, mended, [finding for finding in examine(path) if finding.status == "wrong"]


@pytest.mark.parametrize("lie", LIES)
def test_doctor_compares_what_is_there_and_upgrade_puts_it_right(lying, lie):
    found, mended, wrong = lying
    assert found[LIES[lie]].status == "wrong"
    assert "atlas upgrade" in found[LIES[lie]].remedy
    assert LIES[lie] in mended
    assert not wrong


def test_nothing_else_is_mended(lying):
    _, mended, _ = lying
    assert sorted(mended) == sorted(LIES.values())


def test_thresholds_that_someone_gave_a_shipped_definition_are_kept_and_named(filled):
    for tau, name in ((0.3, "default-kept"), (0.4, "default-kept2")):
        change(filled, f"UPDATE definition SET tau = {tau} WHERE definition = 'default'")
        (told,) = upgrading.upgrade(filled).mended
        assert f"kept as {name}" in told.what
        with atlas.open(filled) as opened:
            found = {row["definition"]: row["tau"] for row in opened.definitions().to_pylist()}
        assert found[name] == tau
        assert found["default"] == 0.2
    assert len(found) == 5
    assert not upgrading.upgrade(filled).mended


@pytest.mark.parametrize(
    "lie", ["ALTER TABLE fact ADD COLUMN x INTEGER", "ALTER TABLE fact_label ALTER subject TYPE BLOB"]
)
def test_another_table_is_wrong_and_stays_as_it_is(filled, lie):
    with duckdb.connect(filled) as connection:
        connection.execute("DROP VIEW IF EXISTS usage_warning")
        connection.execute(lie)
    before = filled.read_bytes()
    assert [f for f in examine(filled) if f.status == "wrong" and f.subject.startswith("table fact")]
    with pytest.raises(StoreError, match="has another table fact"):
        upgrading.upgrade(filled)
    assert filled.read_bytes() == before
    assert os.listdir(filled.parent) == [filled.name]


def test_what_others_added_is_a_warning_and_stays(filled):
    change(filled, "CREATE VIEW mine AS SELECT 1 AS one", "CREATE TABLE notes (text VARCHAR)")
    (found,) = [f for f in examine(filled) if f.subject == "made by others"]
    assert (found.status, found.detail) == ("warning", "table notes, view mine")
    assert not upgrading.upgrade(filled).mended


def test_macros_that_are_made_no_more_go_with_an_upgrade(filled):
    """Of both kinds; those of others stay."""
    change(
        filled,
        "CREATE MACRO is_default_method(method) AS method = 'amig'",
        "CREATE MACRO plain_hit_of(definitions) AS TABLE SELECT 1 AS one",
        "CREATE MACRO mine(one) AS one",
        "CREATE OR REPLACE VIEW dkn_all AS SELECT 1 AS one",
        "UPDATE atlas_info SET value = 'of before' WHERE key = 'views'",
    )
    upgrading.upgrade(filled)
    assert [f.detail for f in examine(filled) if f.subject == "made by others"] == ["macro mine"]


WRONG = {
    "UPDATE attribution SET score = 'NaN' WHERE neuron = 1": "numbers that are none",
    "UPDATE probe_layer SET score_sum = 'inf' WHERE layer = 0": "numbers that are none",
    "UPDATE probe SET probability = 'NaN'": "numbers that are none",
    "INSERT INTO attribution FROM attribution": "come twice",
    "DELETE FROM attribution": "largest score",
    "DELETE FROM attribution WHERE neuron = 0": "largest score",
    "DELETE FROM probe_layer": "without a row for each layer",
    "DELETE FROM probe_layer WHERE layer = 2": "without a row for each layer",
    "DELETE FROM probe WHERE place = 1": "without their probe",
    "DELETE FROM fact": "without their fact",
    "DELETE FROM model": "without their model",
    "DELETE FROM run": "without their run",
    "UPDATE attribution SET neuron = 4000000 WHERE neuron = 3": "does not have",
    "UPDATE probe_layer SET score_sum = score_sum + 1": "do not add up",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_rows_that_an_atlas_cannot_hold_are_not_merged(filled, empty, tmp_path, wrong):
    change(filled, wrong)
    into = Path(shutil.copy(empty, tmp_path / "mine.duckdb"))
    before = digest_of(into)
    with pytest.raises(StoreError, match=rf"atlas\.duckdb (would bring|holds) .*{WRONG[wrong]}.*nothing was added"):
        list(merge([filled], into))
    assert digest_of(into) == before


@pytest.mark.parametrize("wrong", ["UPDATE attribution SET score = 'NaN' WHERE neuron = 1", "DELETE FROM probe_layer"])
def test_rows_that_an_atlas_cannot_hold_are_not_imported(filled, tmp_path, wrong):
    change(filled, wrong)
    export(filled, tmp_path / "out")
    for add in (lambda into: import_parquet(tmp_path / "out", into), lambda into: list(merge([filled], into))):
        with pytest.raises(StoreError, match="would bring"):
            add(tmp_path / "mine.duckdb")
        assert not list(tmp_path.glob("*mine.duckdb*"))


@pytest.mark.parametrize("left", ["attribution", "probe_layer", "prompt", "model", "fact_label,template,language"])
def test_a_partial_export_is_not_taken_for_a_whole_one(filled, tmp_path, left):
    from atlas.store.transfer.exporting import TABLES

    export(filled, tmp_path / "out", "parquet", [name for name in TABLES if name not in left.split(",")])
    with pytest.raises(StoreError, match="would bring"):
        import_parquet(tmp_path / "out", tmp_path / "mine.duckdb")
    export(filled, tmp_path / "out", "parquet", ["language", "relation", "fact", "fact_label", "template"])
    assert import_parquet(tmp_path / "out", tmp_path / "mine.duckdb").added["fact"] == 2


def test_an_atlas_that_is_wrong_already_is_named_as_such(filled, empty, tmp_path):
    into = Path(shutil.copy(filled, tmp_path / "mine.duckdb"))
    change(into, "DELETE FROM model")
    with pytest.raises(StoreError, match=r"mine\.duckdb itself holds"):
        list(merge([Path(shutil.copy(empty, tmp_path / "empty.duckdb"))], into))
