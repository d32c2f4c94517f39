"""Models that edits are written into, applied to and taken out of again, and what a kill leaves of them."""

import json
from pathlib import Path

import pytest
import torch
from edited import FRANCE, status, weights
from tiny import make_bert, make_bert_tokenizer

import atlas


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_an_edit_is_applied_once_its_model_is_saved(edit, db, tmp_path, monkeypatch):
    from atlas.editing import job

    with monkeypatch.context() as patch:
        patch.setattr(job, "save_model", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        assert edit(*FRANCE, "--save", tmp_path / "edited").code == 1
    assert status(db) == "made"
    assert not (tmp_path / "edited").exists()
    assert edit(*FRANCE, "--save", tmp_path / "edited").code == 0
    assert status(db) == "applied"


@pytest.mark.slow
def test_a_part_that_a_kill_left_blocks_no_retry(edit, tmp_path):
    (tmp_path / ".edited.part").mkdir()
    assert edit(*FRANCE, "--save", tmp_path / "edited").code == 0
    assert weights(tmp_path / "edited")


@pytest.mark.slow
def test_a_file_that_is_not_the_one_that_the_atlas_knows(edit, shell, db, tmp_path):
    made = json.loads(edit(*FRANCE, "--json").out)[0]
    other = json.loads(edit("--fact", "France", "--object", "Berlin", "--languages", "en", "--json").out)[0]
    Path(made["file"]).write_bytes(Path(other["file"]).read_bytes())
    ended = shell("edit", "apply", made["edit"], "--save", tmp_path / "edited", "--db", db)
    assert ended.code == 1
    assert "is not the file that" in ended.err
    assert not (tmp_path / "edited").exists()
    Path(made["file"]).unlink()
    ended = shell("edit", "apply", made["edit"], "--save", tmp_path / "edited", "--db", db)
    assert (ended.code, "is not there: it lies beside the atlas" in ended.err) == (1, True)


@pytest.mark.slow
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


@pytest.mark.slow
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
    assert status(db) == before
    left = {path.name: path.read_bytes() for path in folder.iterdir()}
    ended = command(edit, shell, db, tmp_path)
    assert ended.code == 0, ended.err
    assert status(db) == after
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == left
    again = command(edit, shell, db, tmp_path)
    assert again.code
    assert "unexpected" not in again.err
    assert status(db) == after


@pytest.mark.slow
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
    assert status(db) == "made"
