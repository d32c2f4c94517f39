"""Builds in parts: shards, merged; and what wrong options say."""

import json

import pytest
from content import content

import atlas
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


def test_merged_shards_are_the_whole(shards, shell, build, db, tmp_path):
    into = tmp_path / "all.duckdb"
    ended = shell("merge", *shards, "--into", into)
    assert ended.code == 0, ended.err
    assert f"of {shards[2]} to {into}" in ended.out
    build()
    assert content(into) == content(db)
    assert _digest(into) == _digest(db)
    # The whole build on the merged atlas finds nothing to do: the shards were all of it.
    again = json.loads(build("--json", db=into).out)
    assert (again["attributed"], again["already_done"]) == (0, again["prompts"])
    assert _digest(into) == _digest(db)


def test_a_shard_tells_what_it_is(small_batches, build):
    ended = build("--shard", "2/3")
    assert " of shard 2/3 with " in ended.out.splitlines()[0]
    assert ended.out.splitlines()[-1].startswith("  atlas merge ")


def test_more_shards_than_batches(build):
    summary = json.loads(build("--shard", "1/50", "--json").out)
    assert (summary["prompts"], summary["interrupted"], summary["shard"]) == (0, False, "1/50")


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
