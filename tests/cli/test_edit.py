"""`atlas edit` and `atlas evaluate` as a user meets them, on a tiny model of random weights."""

import csv
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny import make_bert, make_bert_tokenizer

import atlas

WIDE = json.dumps([[layer, neuron] for layer in range(3) for neuron in range(40)])


@pytest.fixture
def wide(tmp_path):
    path = tmp_path / "neurons.json"
    path.write_text(WIDE, "utf-8")
    return path


@pytest.fixture
def edit(shell, built, db, wide):
    """Runs `atlas edit` on the atlas of the tiny model, with all of its neurons."""

    def run(*words, neurons=wide, force=True):
        always = ("--db", db, "--neurons", neurons, "--steps", "300", *(["--force"] if force else []))
        return shell("edit", *always, *words)

    return run


FRANCE = ("--fact", "France", "--object", "Berlin", "--languages", "en,fr")


def weights(folder):
    return load_file(folder / "model.safetensors")


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


def test_the_saved_model_opens_says_the_new_object_and_is_undone(edit, shell, db, masked, tmp_path):
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    done = edit(*FRANCE, "--save", tmp_path / "edited")
    assert done.code == 0, done.err
    model = AutoModelForMaskedLM.from_pretrained(tmp_path / "edited")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "edited")
    ids = tokenizer("the capital of France is [MASK] .", return_tensors="pt")
    best = model(**ids).logits[0, ids["input_ids"][0] == tokenizer.mask_token_id].argmax(-1)
    assert tokenizer.convert_ids_to_tokens(best.tolist()) == ["Berlin"]
    with atlas.open(db) as opened:
        number = opened.sql("SELECT edit FROM edit")["edit"][0].as_py()
    assert shell("edit", "undo", number, "--model", tmp_path / "edited", "--db", db).code == 0
    again = shell("edit", "undo", number, "--model", tmp_path / "edited", "--db", db)
    assert again.code == 1
    assert "already undone" in again.err
    before = weights(masked)
    assert all(torch.equal(value, before[name]) for name, value in weights(tmp_path / "edited").items())


def test_the_new_object_goes_by_its_name_in_any_case(edit):
    done = edit("--fact", "FRANCE", "--object", "BERLIN", "--languages", "English", "--json")
    assert done.code == 0, done.err
    (made,) = json.loads(done.out)
    assert (made["object"], made["languages"]) == ("berlin", ["en"])


def test_an_edit_is_shown_by_language_before_and_after(edit, shell, db, monkeypatch):
    assert shell("edit", "show", "France", "--db", db).code == 2  # none yet
    done = edit(*FRANCE, "--json")
    assert done.code == 0, done.err
    (made,) = json.loads(done.out)
    shown = json.loads(shell("edit", "show", made["edit"], "--db", db, "--json").out)
    with atlas.open(db) as opened:
        outcomes = opened.sql("SELECT * FROM edit_outcome JOIN prompt USING (prompt)").to_pylist()
    assert {(row["measure"], row["language"]) for row in shown} >= {("efficacy", "en"), ("efficacy", "fr")}
    for row in shown:
        own = [o for o in outcomes if (o["measure"], o["language"]) == (row["measure"], row["language"])]
        assert row["prompts"] == len(own)
        for name in ("argmax_before", "argmax_after", "probability_before", "probability_after", "same_argmax"):
            assert row[name] == pytest.approx(sum(o[name] for o in own) / len(own))
        assert (row["subject"], row["object"], row["edit"]) == ("France", "berlin", made["edit"])
    assert json.loads(shell("edit", "show", "france", "--db", db, "--json").out) == shown
    monkeypatch.setenv("COLUMNS", "80")
    table = shell("edit", "show", "France", "--db", db)
    assert "before" in table.out
    assert all(len(line) <= 80 for line in table.out.splitlines())


def test_stdout_is_json_alone_where_json_is_asked_for(edit, tmp_path):
    done = edit(*FRANCE, "--json", "--save", tmp_path / "edited")
    assert json.loads(done.out)[0]["converged"]
    assert str(tmp_path / "edited") in done.err


def test_edits_are_what_the_progress_counts(edit, monkeypatch):
    from atlas.cli.output.progress import TerminalProgress

    told = []
    monkeypatch.setattr(TerminalProgress, "start", lambda self, total, done, things: told.append((total, things)))
    assert edit(*FRANCE).code == 0
    assert told == [(1, "edits")]


def test_a_model_in_another_number_type_is_edited(edit, db):
    done = edit(*FRANCE, "--dtype", "float64", "--threads", "1", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)[0]["efficacy"] == 1


def test_an_edit_is_applied_to_a_copy_and_refused_elsewhere(edit, shell, db, tmp_path):
    assert edit(*FRANCE, "--save", tmp_path / "edited").code == 0
    (file,) = db.with_name("atlas.edits").iterdir()
    done = shell("edit", "apply", file, "--save", tmp_path / "adapter", "--peft", "--db", db)
    assert (done.code, done.out) == (0, f"The adapter is {tmp_path / 'adapter'}\n"), done.err
    assert {"adapter_config.json", "adapter_model.safetensors"} <= {
        path.name for path in (tmp_path / "adapter").iterdir()
    }
    done = shell("edit", "apply", file, "--save", tmp_path / "copy", "--db", db)
    assert done.code == 0, done.err
    edited = weights(tmp_path / "edited")
    assert all(torch.equal(value, edited[name]) for name, value in weights(tmp_path / "copy").items())
    tokenizer = make_bert_tokenizer()
    for part in (make_bert(tokenizer, seed=1), tokenizer):
        part.save_pretrained(tmp_path / "other")
    refused = shell("edit", "apply", file, "--model", tmp_path / "other", "--save", tmp_path / "no", "--db", db)
    assert refused.code == 1
    assert "made on weights" in refused.err
    assert not (tmp_path / "no").exists()


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


def test_edits_in_a_row_are_asked_again_after_the_last(edit, shell, db, tmp_path):
    batch = tmp_path / "edits.csv"
    batch.write_text("fact,object,languages\nFrance,Berlin,en\nFrance,yen,en\n", "utf-8")
    made = json.loads(edit("--batch", batch, "--together", "--json").out)
    assert [one["efficacy"] for one in made] == [1, 1]
    assert [one["retention"] for one in made] == [0, 1]  # the second edit is of the same prompts
    listed = shell("sql", "select retention from edit_summary order by created", "--db", db, "--format", "csv").out
    assert listed.split() == ["retention", "0.0", "1.0"]


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


def test_an_optimiser_that_does_not_converge_leaves_no_file(edit, db, tmp_path):
    done = edit(*FRANCE, "--steps", "1", "--save", tmp_path / "edited")
    assert done.code == 1
    assert "did not converge" in done.out
    assert not (tmp_path / "edited").exists()
    assert not db.with_name("atlas.edits").exists()


@pytest.mark.parametrize("style", ["rome", "easyedit"])
def test_edits_are_converted_both_ways(shell, built, db, tmp_path, style):
    batch = tmp_path / "edits.csv"
    batch.write_text("fact,object,languages\nFrance,Berlin,fr\n", "utf-8")
    sent = shell("edit", "convert", batch, "--out", tmp_path / "sent.json", "--style", style, "--db", db)
    assert sent.code == 0, sent.err
    back = shell("edit", "convert", tmp_path / "sent.json", "--out", tmp_path / "back")
    assert back.code == 0, back.err
    (row,) = csv.DictReader((tmp_path / "back" / "edits.csv").read_text("utf-8").splitlines())
    assert (row["fact"], row["object_fr"]) == ("France", "Berlin")


def test_evaluate_writes_both_tables(shell, built, db, tmp_path):
    done = shell(
        "evaluate", "--db", db, "--method", "gradient,random", "--likn-method", "gradient", "--languages", "en,fr",
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


@pytest.mark.parametrize("words", [("--scope", "some"), ("--method", "amig,best")])
def test_evaluate_refuses_unknown_words(shell, built, db, words):
    done = shell("evaluate", "--db", db, *words)
    assert done.code == 2
    assert f"{words[0]} cannot be" in done.err


@pytest.mark.parametrize("command", [("edit", "--fact", "France", "--object", "Berlin"), ("evaluate",)])
def test_a_mistyped_atlas_is_named_and_not_made(shell, tmp_path, command):
    done = shell(*command, "--db", tmp_path / "nowhere.duckdb")
    assert done.code == 1
    assert "There is no atlas" in done.err
    assert not list(tmp_path.iterdir())


def _status(db):
    with atlas.open(db) as opened:
        return opened.sql("SELECT status FROM edit").to_pylist()[0]["status"]


def test_an_edit_is_applied_once_its_model_is_saved(edit, db, tmp_path, monkeypatch):
    from atlas.editing import job

    with monkeypatch.context() as patch:
        patch.setattr(job, "save_model", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        assert edit(*FRANCE, "--save", tmp_path / "edited").code == 1
    assert _status(db) == "made"
    assert not (tmp_path / "edited").exists()
    assert edit(*FRANCE, "--save", tmp_path / "edited").code == 0
    assert _status(db) == "applied"


def test_a_part_that_a_kill_left_blocks_no_retry(edit, tmp_path):
    (tmp_path / ".edited.part").mkdir()
    assert edit(*FRANCE, "--save", tmp_path / "edited").code == 0
    assert weights(tmp_path / "edited")


def test_a_remade_edit_keeps_its_rows_until_the_new_ones_are_there(edit, db, monkeypatch):
    from atlas.store import Writer

    assert edit(*FRANCE).code == 0
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


def test_a_file_that_is_not_the_one_that_the_atlas_knows(edit, shell, db, tmp_path):
    made = json.loads(edit(*FRANCE, "--json").out)[0]
    other = json.loads(edit("--fact", "France", "--object", "Berlin", "--languages", "en", "--json").out)[0]
    Path(made["file"]).write_bytes(Path(other["file"]).read_bytes())
    ended = shell("edit", "apply", made["edit"], "--save", tmp_path / "edited", "--db", db)
    assert ended.code == 1
    assert "is not the file that" in ended.err
    assert not (tmp_path / "edited").exists()


def test_undo_never_writes_into_a_folder_of_others(edit, shell, db, tmp_path):
    made = json.loads(edit(*FRANCE, "--json", "--save", tmp_path / "edited").out)[0]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    words = ("edit", "undo", made["edit"], "--model", tmp_path / "edited", "--db", db)
    ended = shell(*words, "--save", tmp_path / "mine")
    assert ended.code == 2
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]
    (tmp_path / "edited" / "notes.txt").write_text("mine")
    assert shell(*words).code == 0
    assert (tmp_path / "edited" / "notes.txt").read_text() == "mine"


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


def test_a_build_whose_file_was_taken_away_fails(build, db, monkeypatch):
    from atlas.store import Writer

    load = Writer.load_batch

    def moving(self, tables):
        added = load(self, tables)
        if db.exists():
            db.rename(db.with_name("moved.duckdb"))
        return added

    monkeypatch.setattr(Writer, "load_batch", moving)
    ended = build()
    assert ended.code == 1
    assert "was deleted or moved" in ended.err


class Killed(BaseException):
    """In place of SIGKILL: nothing of the commands catches it."""


def _killed(*_):
    raise Killed


def _edited(edit, shell, db, tmp_path):
    return edit(*FRANCE, "--save", tmp_path / "new")


def _applied(edit, shell, db, tmp_path):
    return shell("edit", "apply", _number(db), "--save", tmp_path / "new", "--db", db)


def _undone(edit, shell, db, tmp_path):
    return shell("edit", "undo", _number(db), "--model", tmp_path / "old", "--save", tmp_path / "new", "--db", db)


def _undone_in_place(edit, shell, db, tmp_path):
    return shell("edit", "undo", _number(db), "--model", tmp_path / "old", "--db", db)


def _number(db):
    with atlas.open(db) as opened:
        return opened.sql("SELECT edit FROM edit")["edit"][0].as_py()


@pytest.mark.parametrize(
    ("command", "before", "after"),
    [
        (_edited, "made", "applied"),
        (_applied, "made", "applied"),
        (_undone, "applied", "undone"),
        (_undone_in_place, "applied", "undone"),
    ],
)
def test_what_was_killed_between_model_and_row_goes_on(edit, shell, db, tmp_path, monkeypatch, command, before, after):
    from atlas.editing import copies, job

    if command is not _edited:
        assert edit(*FRANCE, *(("--save", tmp_path / "old") if before == "applied" else ())).code == 0
    with monkeypatch.context() as patch:
        for module in (copies, job):
            patch.setattr(module, "note", _killed)
        with pytest.raises(Killed):
            command(edit, shell, db, tmp_path)
    folder = tmp_path / ("old" if command is _undone_in_place else "new")
    assert _status(db) == before
    left = {path.name: path.read_bytes() for path in folder.iterdir()}
    ended = command(edit, shell, db, tmp_path)
    assert ended.code == 0, ended.err
    assert _status(db) == after
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == left
    again = command(edit, shell, db, tmp_path)
    assert again.code
    assert "unexpected" not in again.err
    assert _status(db) == after


def test_a_folder_that_was_changed_since_is_no_half_done_one(edit, shell, db, tmp_path, monkeypatch):
    from atlas.editing import copies

    assert edit(*FRANCE).code == 0
    with monkeypatch.context() as patch:
        patch.setattr(copies, "note", _killed)
        with pytest.raises(Killed):
            _applied(edit, shell, db, tmp_path)
    (tmp_path / "new" / "config.json").write_text("{}")
    ended = _applied(edit, shell, db, tmp_path)
    assert ended.code == 2
    assert "is not empty" in ended.err
    assert _status(db) == "made"
