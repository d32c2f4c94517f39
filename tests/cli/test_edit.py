"""`atlas edit` as a user meets it, on a tiny model of random weights."""

import csv
import json
import shutil

import pytest
from edited import FRANCE

import atlas


def test_one_edit_becomes_a_file_and_rows(edit, db):
    done = edit(*FRANCE, "--json")
    assert done.code == 0, done.err
    (made,) = json.loads(done.out)
    assert made["converged"]
    assert made["efficacy"] == 1
    with atlas.open(db) as opened:
        (row,) = opened.sql("FROM edit_summary").to_pylist()
        measures = set(opened.sql("SELECT DISTINCT measure FROM edit_outcome")["measure"].to_pylist())
    assert str(row["edit"]) == made["edit"]
    assert row["status"] == "made"
    assert {"efficacy", "paraphrase"} <= measures


@pytest.mark.slow
def test_the_new_object_goes_by_its_name_in_any_case(edit):
    done = edit("--fact", "FRANCE", "--object", "BERLIN", "--languages", "English", "--json")
    assert done.code == 0, done.err
    (made,) = json.loads(done.out)
    assert (made["object"], made["languages"]) == ("berlin", ["en"])


@pytest.mark.slow
def test_an_edit_is_shown_by_language_before_and_after(edit, shell, db, monkeypatch):
    for none in ("France", "5"):
        ended = shell("edit", "show", none, "--db", db)
        assert (ended.code, f"has no edit of '{none}'; `atlas edit list` shows" in ended.err) == (2, True), ended.err
    done = edit(*FRANCE, "--json")
    assert done.code == 0, done.err
    (made,) = json.loads(done.out)
    shown = json.loads(shell("edit", "show", made["edit"], "--db", db, "--json").out)
    with atlas.open(db) as opened:
        outcomes = opened.sql("SELECT * FROM edit_outcome JOIN prompt USING (prompt)").to_pylist()
    assert not all(o["known"] for o in outcomes if o["measure"] == "paraphrase")
    outcomes = [o for o in outcomes if o["measure"] != "paraphrase" or o["known"]]
    assert {(row["measure"], row["language"]) for row in shown} >= {("efficacy", "en"), ("efficacy", "fr")}
    for row in shown:
        own = [o for o in outcomes if (o["measure"], o["language"]) == (row["measure"], row["language"])]
        assert row["prompts"] == len(own)
        for name in ("argmax_before", "argmax_after", "probability_before", "probability_after", "same_argmax"):
            assert row[name] == pytest.approx(sum(o[name] for o in own) / len(own))
        assert (row["subject"], row["object"], row["edit"]) == ("France", "Berlin", made["edit"])
    assert json.loads(shell("edit", "show", "france", "--db", db, "--json").out) == shown
    monkeypatch.setenv("COLUMNS", "80")
    table = shell("edit", "show", "France", "--db", db)
    assert "before" in table.out
    assert all(len(line) <= 80 for line in table.out.splitlines())


@pytest.mark.slow
def test_stdout_is_json_alone_where_json_is_asked_for(edit, tmp_path):
    done = edit(*FRANCE, "--json", "--save", tmp_path / "edited")
    assert json.loads(done.out)[0]["converged"]
    assert str(tmp_path / "edited") in done.err


@pytest.mark.slow
def test_edits_are_what_the_progress_counts(edit, monkeypatch):
    from atlas.cli.output.progress import TerminalProgress

    told = []
    monkeypatch.setattr(TerminalProgress, "start", lambda self, total, done, things: told.append((total, things)))
    done = edit(*FRANCE)
    assert (done.code, told) == (0, [(1, "edits")])
    assert done.out.startswith("<France, capital, Paris> to Berlin: ")


@pytest.mark.slow
def test_a_model_in_another_number_type_is_edited(edit, db):
    done = edit(*FRANCE, "--dtype", "float64", "--threads", "1", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)[0]["efficacy"] == 1


@pytest.mark.slow
def test_a_batch_keeps_each_request_apart(edit, shell, db, tmp_path):
    batch = tmp_path / "edits.csv"
    batch.write_text(
        "fact,object,languages,object_fr\nFrance,Berlin,en fr,\nJapan,city,en,\nnobody,Paris,en,\n", "utf-8"
    )
    done = edit("--batch", batch)
    assert done.code == 1  # one of them could not be made
    assert "2 of 3 edits made" in done.out
    assert "not edited" in done.out
    listed = list(csv.DictReader(shell("edit", "list", "--db", db, "--format", "csv").out.splitlines()))
    assert {row["subject"] for row in listed} == {"France", "Japan"}
    assert {row["object"] for row in listed} == {"Berlin", "city"}


def test_a_new_objects_languages_go_by_any_spelling_of_their_code(edit, tmp_path):
    batch = tmp_path / "edits.csv"
    batch.write_text("fact,object_en,object_zh-Hans\nFrance,Berlin,东京\n", "utf-8")
    (made,) = json.loads(edit("--batch", batch, "--json").out)
    assert made["languages"] == ["en", "zh"]


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("object_en,object_xx", "There is no language 'xx'"),
        ("object_zh,object_zh-hans", "'Berlin' and '东京' are both given for language 'zh'"),
    ],
)
def test_names_of_a_new_object_that_say_nothing_clear_are_refused(edit, tmp_path, header, says):
    batch = tmp_path / "edits.csv"
    batch.write_text(f"fact,{header}\nFrance,Berlin,东京\n", "utf-8")
    done = edit("--batch", batch)
    assert done.code in (1, 2)
    assert says in done.err


@pytest.mark.slow
def test_edits_in_a_row_are_asked_again_after_the_last(edit, shell, db, tmp_path):
    batch = tmp_path / "edits.csv"
    batch.write_text("fact,object,languages\nFrance,Berlin,en\nFrance,yen,en\n", "utf-8")
    made = json.loads(edit("--batch", batch, "--together", "--json").out)
    assert [one["efficacy"] for one in made] == [1, 1]
    assert [one["retention"] for one in made] == [0, 1]  # the second edit is of the same prompts
    listed = shell("sql", "select retention from edit_summary order by created", "--db", db, "--format", "csv").out
    assert listed.split() == ["retention", "0.0", "1.0"]


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--fact", "France", "--object", "Paris"), "is the old one"),
        (("--fact", "France"), "--fact and --object"),
        (("--fact", "nobody", "--object", "Paris"), "No fact"),
        (("--fact", "France", "--object", "ψψψ", "--languages", "en"), "cannot spell"),
        (("--fact", "France", "--object", "Berlin", "--languages", "xx"), "xx"),
        (("--fact", "France", "--object", "Berlin", "--method", "other"), "method"),
        (("--fact", "France", "--object", "Berlin", "--neurons", "relation"), "atlas knockout"),
        (("--fact", "France", "--object", "Berlin", "--neurons", "missing.csv"), "--neurons cannot be"),
        (("--batch", "missing.csv"), "cannot be read as edits"),
        (("--fact", "France", "--object", "Berlin", "--grow"), "add --control"),
        (("--fact", "France", "--object", "Berlin", "--generate", "3"), "needs a causal one"),
    ],
)
def test_bad_input_is_refused_in_one_line(edit, words, says):
    done = edit(*words)
    assert done.code in (1, 2)
    assert says in done.err
    assert "Traceback" not in done.err


def test_an_unknown_fact_is_refused_without_force(edit):
    done = edit(*FRANCE, force=False)
    assert done.code == 2
    assert "does not know the fact" in done.err
    assert "--force" in done.err


def test_an_optimiser_that_does_not_converge_leaves_no_file(edit, shell, db, tmp_path):
    done = edit(*FRANCE, "--steps", "1", "--save", tmp_path / "edited")
    assert done.code == 1
    assert "did not converge" in done.out
    assert not (tmp_path / "edited").exists()
    assert not db.with_name("atlas.edits").exists()
    (listed,) = json.loads(shell("edit", "list", "--db", db, "--json").out)
    (shown,) = json.loads(shell("edit", "show", listed["edit"], "--db", db, "--json").out)
    assert (shown["subject"], shown["status"], shown["prompts"]) == ("France", "not_converged", 0)
    assert listed["file"] is None


@pytest.mark.parametrize("words", [("--db", "mine.duckdb"), ("--json",)])
def test_options_before_a_command_that_would_not_hear_of_them_are_refused(shell, words):
    done = shell("edit", *words, "list")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: {words[0]} has to stand behind `atlas edit list`")


@pytest.mark.parametrize("command", [("edit", "--fact", "France", "--object", "Berlin"), ("evaluate",)])
def test_a_mistyped_atlas_is_named_and_not_made(shell, tmp_path, command):
    done = shell(*command, "--db", tmp_path / "nowhere.duckdb")
    assert done.code == 1
    assert "There is no atlas" in done.err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_remade_edit_keeps_its_rows_until_the_new_ones_are_there(edit, db, monkeypatch):
    from atlas.store import Writer

    assert edit(*FRANCE).code == 0
    shutil.rmtree(db.with_name("atlas.edits"))
    load = Writer.load

    def refusing(self, table, rows):
        if table == "edit_outcome":
            raise KeyboardInterrupt
        return load(self, table, rows)

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "load", refusing)
        edit(*FRANCE)
    with atlas.open(db) as opened:
        assert opened.sql("SELECT count(*) AS n FROM edit_outcome")["n"][0].as_py() > 0
        assert opened.sql("FROM edit").num_rows == 1
