"""`atlas evaluate` as a user meets it, on a tiny model of random weights."""

import csv

import pytest

import atlas


def test_evaluate_writes_both_tables(shell, built, db, tmp_path):
    done = shell(
        "evaluate", "--db", db, "--method", "gradient,random", "--languages", "en,fr",
        "--neurons", "3", "--out", tmp_path / "tables",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert {path.name for path in (tmp_path / "tables").iterdir() if not path.name.startswith(".")} == {
        f"{name}.{kind}" for name in ("localisation", "cross_lingual") for kind in ("csv", "md")
    }
    assert "random" in done.out
    rows = list(csv.DictReader((tmp_path / "tables" / "localisation.csv").read_text("utf-8").splitlines()))
    assert len({row["facts"] for row in rows}) == 1
    assert {row["method"] for row in rows} == {"gradient", "random"}


@pytest.mark.parametrize("words", [("--languages", ","), ("--method", ",")])
def test_evaluate_refuses_lists_of_nothing(shell, built, db, words):
    done = shell("evaluate", "--db", db, *words)
    assert (done.code, "name some" in done.err) == (2, True)


@pytest.mark.parametrize("words", [("--scope", "some"), ("--method", "amig,best"), ("--likn-method", "best")])
def test_evaluate_refuses_unknown_words(shell, built, db, words):
    done = shell("evaluate", "--db", db, *words)
    assert done.code == 2
    assert f"{words[0]} cannot be" in done.err


@pytest.mark.parametrize("words", [("--scope", "all"), ("--replace", "mean")])
def test_curves_refuse_what_is_asked_of_the_tables(shell, built, db, words):
    done = shell("evaluate", "--db", db, "--curve", *words)
    assert (done.code, f"{words[0]} is for the tables" in done.err) == (2, True)


@pytest.mark.slow
def test_evaluate_leaves_a_broken_off_run_as_it_is(built, db, shell):
    with atlas.open(db, "a") as writer:
        run = writer.sql("SELECT run FROM run WHERE method = 'amig'")["run"][0].as_py()
        gone = writer.sql("SELECT prompt FROM probe JOIN prompt USING (prompt) WHERE language = 'zh'")[
            "prompt"
        ].to_pylist()
        for table in ("probe", "probe_layer", "attribution"):
            writer.sql(f"DELETE FROM {table} WHERE list_contains(?::BIGINT[], prompt)", [gone])
        writer.finish_run(run, "interrupted")
    ended = shell("evaluate", "--db", db, "--method", "amig,random", "--languages", "en,fr", "--neurons", "2")
    assert ended.code == 0, ended.err
    with atlas.open(db) as opened:
        assert opened.sql("SELECT status FROM run WHERE run = ?", [run]).to_pylist() == [{"status": "interrupted"}]
