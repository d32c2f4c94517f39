"""`atlas build --twin` and `atlas twin`: the same prompts put to the same architecture with other weights."""

import json

import pytest
import torch
from content import content

import atlas
from atlas.building.job import BuildOptions
from atlas.errors import ModelError
from atlas.models import LanguageModel, load_model
from atlas.models.twin import untrained
from atlas.running.choice import ModelChoice


def _runs(db):
    with atlas.open(db) as opened:
        columns = "run.*, model.name, model.layers, model.neurons"
        return opened.sql(f"SELECT {columns} FROM run JOIN model USING (model) ORDER BY started").to_pylist()


@pytest.mark.slow
def test_a_twin_of_one_language_is_told(build, db):
    told = build("--twin", "--seed", "3", "--languages", "en").out
    assert f"Its untrained twin was asked the same (run {_runs(db)[1]['run']}, " in told


@pytest.mark.slow
def test_a_build_with_its_twin_puts_the_same_prompts_to_both(build, db, monkeypatch):
    load, loaded = ModelChoice.load, []
    monkeypatch.setattr(ModelChoice, "load", lambda choice: loaded.append(choice.model) or load(choice))
    summary = json.loads(build("--twin", "--seed", "3", "--json").out)
    assert len(loaded) == 1  # the twin is drawn of the model that is there
    own, twin = _runs(db)
    assert [str(own["run"]), str(twin["run"])] == [summary["run"], summary["twin"]["run"]]
    assert (own["twin_of"], twin["twin_of"], twin["twin_seed"]) == (None, own["run"], 3)
    assert twin["name"] == f"untrained-3:{own['name']}"
    for same in ("method", "settings", "seed", "layers", "neurons", "status"):
        assert own[same] == twin[same]
    with atlas.open(db) as opened:
        of_each = opened.sql("SELECT run, list(prompt ORDER BY prompt) AS prompts FROM probe GROUP BY run").to_pylist()
        assert of_each[0]["prompts"] == of_each[1]["prompts"]
        scores = opened.sql("SELECT run, sum(score) AS sum FROM attribution GROUP BY run").to_pylist()
        assert scores[0]["sum"] != scores[1]["sum"]


@pytest.mark.slow
def test_a_twin_made_later_is_that_of_the_build(build, shell, db, tmp_path):
    assert build("--twin", "--seed", "3", db=tmp_path / "at_once.duckdb").code == 0
    assert build("--seed", "3").code == 0
    ended = shell("twin", "--db", db, "--seed", "3")
    assert ended.code == 0, ended.err
    assert content(db) == content(tmp_path / "at_once.duckdb")
    assert "such neurons in" not in ended.out  # the summary is the twin's own
    assert shell("use", "--model", "tiny-bert", "--db", db).code == 0
    again = json.loads(shell("twin", "--db", db, "--seed", "3", "--json").out)
    assert (again["attributed"], again["already_done"]) == (0, again["prompts"])
    assert shell("twin", "--db", db, "--seed", "1").code == 0
    assert [run["twin_seed"] for run in _runs(db)] == [None, 3, 1]


@pytest.mark.slow
def test_a_twin_stands_beside_the_prompts_of_its_run_alone(build, shell, db):
    build("--languages", "en")
    build("--method", "gradient")
    first, second = (run["run"] for run in _runs(db))
    words = [("twin", "--db", db, "--run", run, "--seed", "3", "--json") for run in (first, second)]
    summaries = [json.loads(shell(*each).out) for each in words]
    assert [each["prompts"] for each in summaries] == [5, 11]
    assert [run["twin_of"] for run in _runs(db)] == [None, None, first, second]
    with atlas.open(db, "a") as writer:
        writer.sql("UPDATE run SET twin_of = ? WHERE twin_of = ?", [second, first])
    ended = shell(*words[0])
    assert (ended.code, f"is the untrained twin of run {second} already" in ended.err) == (2, True)


def test_a_twin_is_made_unasked_for_the_default_build_alone(tmp_path):
    assert BuildOptions(settings={"method": "amig"}).is_default
    for other in ({"limit": 60}, {"dataset": str(tmp_path)}, {"model": "demo-mgpt"}, {"settings": {"method": "kn"}}):
        assert not BuildOptions(**{"settings": {"method": "amig"}, **other}).is_default


@pytest.mark.slow
def test_other_weights_than_the_runs_have_no_twin_beside_it(build, shell, db, causal, masked):
    build()
    ended = shell("twin", "--db", db, "--run", "1")
    assert (ended.code, "has no run 1; `atlas runs` lists them." in ended.err) == (2, True)
    ended = shell("twin", "--db", db, "--dtype", "float64")
    assert (ended.code, "--dtype cannot be float64: run " in ended.err) == (2, True)
    with atlas.open(db, "a") as writer:
        writer.sql("UPDATE model SET digest = 'other'")
    ended = shell("twin", "--db", db)
    assert (ended.code, "has other weights" in ended.err) == (1, True)


def test_the_weights_of_a_twin_hang_on_its_seed_alone(masked):
    model = load_model(str(masked))
    torch.manual_seed(5)
    before = torch.get_rng_state()
    twins = [untrained(model, seed) for seed in (3, 3, 1)]
    assert torch.equal(torch.get_rng_state(), before)
    digests = [twin.info.digest for twin in twins]
    assert digests[0] == digests[1] != digests[2]
    assert model.info.digest == model.digest() not in digests
    assert not twins[0].model.training
    with pytest.raises(ModelError, match="untrained itself"):
        untrained(twins[0], 3)


def test_a_model_that_transformers_cannot_initialise_has_no_twin(masked):
    model = load_model(str(masked))

    class Own(type(model.model)):
        """A class of its own, as remote code brings it."""

    made = LanguageModel(Own(model.model.config), model.tokenizer, model.info, model.family)
    with pytest.raises(ModelError, match=r"no initialiser of its own in transformers.*--no-twin"):
        untrained(made, 0)
