"""Builds in parts: shards, merged; and what wrong options say."""

import json
import subprocess
import sys

import pytest
from content import content

import atlas
from atlas.building import plan
from atlas.store.digest import digest


@pytest.fixture
def shards(small_batches, build, tmp_path):
    """Three shards of the build, each in an atlas of its own."""
    paths = [tmp_path / f"{number}.duckdb" for number in (1, 2, 3)]
    for number, path in enumerate(paths, 1):
        ended = build("--shard", f"{number}/3", db=path)
        assert ended.code == 0, ended.err
    return paths


def _digest(path):
    with atlas.open(path) as opened:
        return digest(opened)


@pytest.mark.slow
def test_merged_shards_are_the_whole(shards, shell, build, db, tmp_path):
    into = tmp_path / "all.duckdb"
    ended = shell("merge", *shards, "--into", into)
    assert ended.code == 0, ended.err
    assert f"of {shards[2]} to {into}" in ended.out
    build()
    assert content(into) == content(db)
    # The whole build on the merged atlas finds nothing to do: the shards were all of it.
    again = json.loads(build("--json", db=into).out)
    assert (again["attributed"], again["already_done"]) == (0, again["prompts"])
    assert _digest(into) == _digest(db)


@pytest.mark.slow
def test_the_same_build_has_the_same_bits(build, db, tmp_path):
    for path in (db, tmp_path / "again.duckdb"):
        assert build("--memory", "0.05GB", "--seed", "3", db=path).code == 0
    assert _digest(tmp_path / "again.duckdb") == _digest(db)


@pytest.mark.slow
@pytest.mark.parametrize("company", ["less memory", "alone", "in steps"])
def test_another_company_is_the_same_but_for_rounding(shell, build, built, db, tmp_path, monkeypatch, company):
    other = tmp_path / "other.duckdb"
    if company == "alone":
        monkeypatch.setattr(plan, "MOST_PROMPTS", 1)
    if company == "in steps":
        build("--relations", "P38", db=other)
        build("--languages", "fr", db=other)
    assert build(*(("--memory", "0.001GB") if company == "less memory" else ()), db=other).code == 0
    before = _digest(db)
    ended = shell("merge", other, "--into", db, "--json")
    assert ended.code == 0, ended.err
    (united,) = json.loads(ended.out)
    assert united["there"]["probe"] == 11
    assert not united["added"]["probe"]
    assert max(united["rounding"].values()) <= 1e-5
    assert _digest(db) == before


@pytest.mark.slow
def test_a_shard_tells_what_it_is(small_batches, build):
    ended = build("--shard", "2/3")
    assert " of shard 2/3 with " in ended.out.splitlines()[0]
    assert ended.out.splitlines()[-1].startswith("  atlas merge ")


@pytest.mark.slow
def test_more_shards_than_batches(build):
    summary = json.loads(build("--shard", "1/50", "--json").out)
    assert (summary["prompts"], summary["interrupted"], summary["shard"]) == (0, False, "1/50")


@pytest.mark.slow
def test_merging_as_json_and_again(shards, shell, tmp_path):
    words = ("merge", *shards, "--into", tmp_path / "all.duckdb", "--json")
    first, second = (json.loads(shell(*words).out) for _ in range(2))
    assert sum(done["added"]["probe"] for done in first) == 11
    assert not any(rows for done in second for rows in done["added"].values())


@pytest.mark.parametrize(("words", "said"), [
    (("--shard", "4/3"), "--shard cannot be '4/3'"),
    (("--shard", "1/3", "--knockout"), "merge all shards"),
    (("--workers", "2"), "--workers is for Ray workers alone; add --engine ray."),
    (("--shards-to", "x"), "--shards-to is for Ray workers alone"),
    (("--engine", "spark"), "--engine"),
    (("--threads", "0"), "--threads"),
])  # fmt: skip
def test_wrong_options(build, db, words, said):
    ended = build(*words)
    assert ended.code == 2
    assert said in ended.err
    assert not db.exists()


def test_merging_what_cannot_be_merged(shell, built, db, tmp_path):
    assert shell("merge", db, "--into", db).code == 2
    ended = shell("merge", tmp_path / "none.duckdb", "--into", db)
    assert (ended.code, "There is no atlas at" in ended.err) == (1, True)


@pytest.mark.slow
def test_an_export_comes_back_whole(shell, built, db, tmp_path):
    ended = shell("export", "--db", db, "--out", tmp_path / "out")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("Wrote ")
    ended = shell("import", "--parquet", tmp_path / "out", "--db", tmp_path / "back.duckdb")
    assert ended.code == 0, ended.err
    assert "  11 probe\n" in ended.out
    assert _digest(tmp_path / "back.duckdb") == _digest(db)


@pytest.mark.parametrize(("words", "said"), [
    (("export",), "--out"),
    (("export", "--out", "{tmp}/out", "--format", "xls"), "xls"),
    (("export", "--out", "{tmp}/out", "--tables", "facts"), "no table or view 'facts'"),
    (("export", "--out", "{tmp}"), "which no export made"),
    (("import",), "Nothing to import is named"),
    (("import", "bundled", "--parquet", "{tmp}"), "leave out DATASET"),
    (("import", "--parquet", "{tmp}", "--limit", "3"), "leave out DATASET"),
])  # fmt: skip
def test_wrong_options_of_export_and_import(shell, built, db, tmp_path, words, said):
    ended = shell(*(word.format(tmp=tmp_path) for word in words), *(("--db", db)))
    assert ended.code == 2
    assert said in ended.err
    assert not (tmp_path / "out").exists()


def test_an_atlas_opens_in_plain_duckdb(built, db):
    """What DuckDB's shell and other clients do: no configuration, no package of ours."""
    code = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=True);"
        "print(c.sql(\"SELECT value FROM atlas_info WHERE key = 'storage_version'\").fetchall()[0][0],"
        " c.sql('SELECT count(*) FROM probe').fetchall()[0][0], len(c.sql('FROM likn').fetchall()) >= 0)"
    )
    ended = subprocess.run([sys.executable, "-c", code, db], capture_output=True, text=True, check=False)
    assert ended.stdout == "v1.4.0 11 True\n", ended.stderr
