"""A run is one of a tokenizer and a configuration too: what a build makes of a model that had others before."""

import json
import shutil

import duckdb
import pytest
from tiny import make_bert_tokenizer

import atlas
from atlas.ids import stable_id
from atlas.models.tokenizer_settings import tokenizer_digest
from atlas.store import integrity


@pytest.fixture
def folder(masked, tmp_path):
    """A copy of the tiny BERT, whose tokenizer may be changed."""
    return shutil.copytree(masked, tmp_path / "model")


def _lower_cased(folder):
    """Let a folder's tokenizer read all text in lower case, which leaves `Paris` to single letters."""
    settings = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    settings["normalizer"]["lowercase"] = True
    (folder / "tokenizer.json").write_text(json.dumps(settings), "utf-8")


def _without_words(folder):
    """Let a folder's tokenizer know special tokens alone: no answer can be spelled."""
    settings = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    vocabulary = settings["model"]["vocab"]
    settings["model"]["vocab"] = {
        word if word.startswith("[") else f"\ue000{number}": number for word, number in vocabulary.items()
    }
    (folder / "tokenizer.json").write_text(json.dumps(settings, ensure_ascii=True), "utf-8")


def _rows(db, query):
    with atlas.open(db) as opened:
        return opened.sql(query).to_pylist()


PROBES = (
    "SELECT run, count(*) AS prompts, count(*) FILTER (usable(status)) AS usable FROM probe GROUP BY run ORDER BY ALL"
)


@pytest.mark.slow
def test_the_right_tokenizer_is_tried_after_the_wrong_one(build, shell, masked, folder, db):
    right = (folder / "tokenizer.json").read_bytes()
    _without_words(folder)
    assert build(model=folder).code == 1
    (before,) = _rows(db, PROBES)
    assert before["usable"] == 0
    (folder / "tokenizer.json").write_bytes(right)
    assert build(model=folder).code == 0
    after = {row["run"]: row for row in _rows(db, PROBES)}
    assert after.pop(before["run"]) == before
    ((number, new),) = after.items()
    assert (new["prompts"], new["usable"] > 0) == (before["prompts"], True)
    assert json.loads(shell("use", "--db", db, "--json").out)[0]["run"] == str(number)
    assert len({row["digest"] for row in _rows(db, "FROM model")}) == 1


@pytest.mark.slow
def test_what_another_tokenizer_spelled_is_spelled_anew(build, shell, folder, db):
    query = "SELECT fact, language, object FROM label_token ORDER BY ALL"
    _lower_cased(folder)
    assert build(model=folder).code == 0
    wrong = _rows(db, query)
    union = ("--method", "union", "--top", "1", "--max-order", "1", "--no-control", "--limit", "1")
    assert shell("knockout", "--model", folder, "--db", db, *union).code == 0
    make_bert_tokenizer().save_pretrained(folder)
    assert build(model=folder).code == 0
    right = _rows(db, query)
    assert len(right) == len(wrong)
    assert right != wrong
    fresh = db.with_name("fresh.duckdb")
    assert build(model=folder, db=fresh).code == 0
    assert right == _rows(fresh, query)


def _set(folder, **settings):
    """Change entries of a folder's config.json."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **settings}), "utf-8")


OLD = [("config",), ("tokenizer", "config")]
"""What runs did not say at a time."""


def _made_old(db, unsaid_names=OLD[1]):
    """Make a run what it was when runs did not say which tokenizer or configuration they had; return its number."""
    with duckdb.connect(db) as connection:
        digest, method, settings, seed, run = connection.execute(
            "SELECT digest, method, settings, seed, run FROM run JOIN model USING (model)"
        ).fetchone()
        unsaid = {name: value for name, value in json.loads(settings).items() if name not in unsaid_names}
        old = stable_id("run", digest, method, unsaid, seed)
        for table in ("probe", "probe_layer", "attribution"):
            connection.execute(f"UPDATE {table} SET run = ? WHERE run = ?", [old, run])
        connection.execute(
            "UPDATE run SET run = ?, settings = ? WHERE run = ?", [old, json.dumps(unsaid, sort_keys=True), run]
        )
    return old


@pytest.mark.slow
@pytest.mark.parametrize("unsaid", OLD)
def test_an_old_run_of_the_same_tokenizer_and_configuration_goes_on(built, build, db, unsaid):
    before = _rows(db, "SELECT * EXCLUDE (run) FROM attribution ORDER BY ALL")
    old = _made_old(db, unsaid)
    again = build("--json")
    assert again.code == 0, again.err
    assert json.loads(again.out)["run"] == str(old)
    assert [row["run"] for row in _rows(db, "FROM run")] == [old]
    assert _rows(db, "SELECT * EXCLUDE (run) FROM attribution ORDER BY ALL") == before


@pytest.mark.slow
def test_an_old_run_of_another_tokenizer_stays_as_it_is(build, folder, db):
    _lower_cased(folder)
    assert build(model=folder).code == 0
    old = _made_old(db)
    make_bert_tokenizer().save_pretrained(folder)
    assert build(model=folder).code == 0
    assert len(_rows(db, PROBES)) == 2
    assert old in {row["run"] for row in _rows(db, PROBES)}


@pytest.mark.slow
def test_an_old_run_of_another_configuration_stays_as_it_is(build, folder, db):
    _set(folder, hidden_act="relu")
    assert build(model=folder).code == 0
    old = _made_old(db, OLD[0])
    _set(folder, hidden_act="gelu")
    assert build(model=folder).code == 0
    assert len(_rows(db, PROBES)) == 2
    assert old in {row["run"] for row in _rows(db, PROBES)}


@pytest.mark.slow
def test_another_configuration_is_another_run_and_is_described_anew(build, folder, db):
    query = "SELECT * FROM neuron_activation ORDER BY ALL"
    _set(folder, layer_norm_eps=0.1)
    assert build(model=folder).code == 0
    wrong = _rows(db, query)
    _set(folder, layer_norm_eps=1e-12, transformers_version="4.0.0")
    assert build(model=folder).code == 0
    assert len(_rows(db, PROBES)) == 2
    assert build(model=folder).out.startswith("Attributed 0 of ")
    fresh = db.with_name("fresh.duckdb")
    assert build(model=folder, db=fresh).code == 0
    right = {tuple(row.values()) for row in _rows(fresh, query)}
    assert right <= {tuple(row.values()) for row in _rows(db, query)}
    assert not right & {tuple(row.values()) for row in wrong}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "name"),
    [(lambda folder: _set(folder, hidden_act="relu"), "config"), (_lower_cased, "tokenizer")],
)
def test_jobs_on_a_run_refuse_a_model_that_is_not_its_own(build, shell, folder, db, change, name):
    assert build(model=folder).code == 0
    change(folder)
    for words in (("knockout",), ("twin",), ("edit", "--fact", "France", "--object", "Berlin", "--force")):
        ended = shell(*words, "--db", db)
        assert (ended.code, ended.err.count("error: ")) == (1, 1), ended.err
        assert f"has another {name} (" in ended.err


@pytest.mark.slow
def test_prompts_that_other_versions_could_not_use_are_tried_again_once(built, build, db):
    with duckdb.connect(db) as connection:
        (versions,) = connection.execute("SELECT versions FROM run").fetchone()
        connection.execute("UPDATE run SET versions = ?", [json.dumps({**json.loads(versions), "tokenizers": "0.1"})])
        (prompt,) = connection.execute("SELECT min(prompt) FROM probe").fetchone()
        connection.execute("UPDATE probe SET status = 'nan' WHERE prompt = ?", [prompt])
        for table in ("probe_layer", "attribution"):
            connection.execute(f"DELETE FROM {table} WHERE prompt = ?", [prompt])
        # One whose scores are there, though none counts; it is the last, so that its place is taken again.
        connection.execute("UPDATE probe SET status = 'unresolved' WHERE place = (SELECT max(place) FROM probe)")
    assert build().out.startswith("Attributed 2 of ")
    assert build().out.startswith("Attributed 0 of ")
    with atlas.open(db) as opened:
        assert [found.check.name for found in integrity.run(opened) if not found.ok] == []
    (row,) = _rows(db, "FROM run")
    assert json.loads(row["versions"])["tokenizers"] == "0.1"  # of most rows still


def test_the_digest_is_of_what_a_tokenizer_does():
    one, other = make_bert_tokenizer(), make_bert_tokenizer()
    assert tokenizer_digest(one) == tokenizer_digest(other)
    other("a text", padding="max_length", max_length=12, truncation=True)
    assert tokenizer_digest(one) == tokenizer_digest(other)
    other.backend_tokenizer.normalizer = None
    assert tokenizer_digest(one) != tokenizer_digest(other)
    third = make_bert_tokenizer()
    third.mask_token = "[PAD]"
    assert tokenizer_digest(one) != tokenizer_digest(third)
