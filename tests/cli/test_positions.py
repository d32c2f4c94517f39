"""Runs at the subject's last token from end to end: a run of their own, and what reads it acts there."""

import json
import shutil

import pytest
import torch
from by_hand import put_by_hand, read_by_hand

import atlas
from atlas.models import load_model
from atlas.store.stored import usable_prompts

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("positions")


@pytest.fixture
def both(build, shell, folder, db):
    """An atlas with a run of kn at each position, made once; returns their ids by position."""
    kept = folder / "atlas.duckdb"
    if not kept.exists():
        for at in ("query", "subject"):
            assert build("--method", "kn", "--at", at).code == 0
        shutil.copy(db, kept)
    shutil.copy(kept, db)
    with atlas.open(db) as opened:
        rows = opened.runs().to_pylist()
    return {json.loads(row["settings"]).get("at", "query"): int(row["run"]) for row in rows}


def test_positions_are_runs_of_their_own(both, build, shell, db):
    assert set(both) == {"query", "subject"}
    with atlas.open(db) as opened:
        scores = "SELECT * EXCLUDE run FROM attribution WHERE run = ? ORDER BY ALL"
        at_query, at_subject = (opened.sql(scores, [both[at]]).to_pylist() for at in ("query", "subject"))
        named = opened.sql("SELECT DISTINCT position FROM neuron_activation ORDER BY ALL")["position"].to_pylist()
    assert at_subject
    assert at_query != at_subject
    assert named == ["query", "subject"]
    listed = json.loads(shell("runs", "--db", db, "--json").out)
    assert {row["position"]: int(row["run"]) for row in listed} == both
    again = json.loads(build("--method", "kn", "--json").out)
    assert (again["run"], again["attributed"]) == (str(both["query"]), 0)


def test_prompts_without_a_place_of_the_subject_are_counted(shell, causal, data, db):
    """A byte-level tokenizer joins Han characters over the subject's edge."""
    words = ("build", "--model", causal, "--dataset", data, "--db", db, "--method", "kn", "--json")
    at_query, at_subject = (json.loads(shell(*words, "--at", at).out) for at in ("query", "subject"))
    assert "no_subject" not in at_query["skipped"]
    missing = at_subject["skipped"]["no_subject"]
    assert missing > 0
    with atlas.open(db) as opened:
        languages = opened.sql(
            "SELECT DISTINCT language FROM probe JOIN prompt USING (prompt) WHERE status = 'no_subject'"
        )["language"].to_pylist()
    assert languages == ["zh"]


def test_knock_outs_cut_at_the_runs_position(both, shell, masked, db):
    words = ("knockout", "--model", masked, "--from", "kn", "--at", "subject", "--top", "3", "--no-control", "--db", db)
    ended = shell(*words)
    assert ended.code == 0
    assert "facts; random sets were not measured." in ended.out
    model = load_model(str(masked), device="cpu")
    with atlas.open(db, "a") as opened:
        assert opened.sql(ended.out.split('"')[1]).num_rows  # what is shown next, though another run is in use
        prompts = {prompt.id: prompt for prompt in usable_prompts(opened, [both["subject"]])}
        rows = opened.sql(
            "SELECT prompt, layers, neurons, before, after FROM knockout WHERE run = ? AND size = 2 LIMIT 20",
            [both["subject"]],
        ).to_pylist()
    assert rows
    for row in rows:
        cut = list(zip(row["layers"], row["neurons"], strict=True))
        for name, neurons in (("before", []), ("after", cut)):
            assert row[name] == pytest.approx(zeroed(model, prompts[row["prompt"]], neurons), rel=1e-4, abs=1e-9)


def test_swapped_values_are_those_of_the_other_subjects_token(both, shell, masked, db):
    """A relation of one fact has nothing to swap with: its prompt is counted."""
    words = ("knockout", "--model", masked, "--from", "kn", "--at", "subject", "--replace", "swap", "--top", "2")
    ended = shell(*words, "--no-control", "--db", db, "--json")
    assert json.loads(ended.out)["unusable"] == {"no_partner": 1}
    model, run = load_model(str(masked), device="cpu"), both["subject"]
    with atlas.open(db) as opened:
        prompts = {prompt.id: prompt for prompt in usable_prompts(opened, [run])}
        rows = opened.sql("FROM knockout WHERE run = ? AND replace = 'swap' ORDER BY ALL", [run]).to_pylist()
    assert rows
    for row in rows[:20]:
        prompt, neurons = prompts[row["prompt"]], list(zip(row["layers"], row["neurons"], strict=True))
        (other,) = (p for p in prompts.values() if (p.fact.id, p.template) == (row["other"], prompt.template))
        values = read_by_hand(model, other, "subject")
        expected = put_by_hand(model, prompt, neurons, values, "subject")
        assert row["after"] == pytest.approx(expected, rel=1e-4, abs=1e-9)


def zeroed(model, prompt, cut):
    """Return the answer's probability with `cut` zero at the subject's last token, by hooks on the model."""
    total = 1.0
    for step in model.steps(prompt, "subject"):
        handles = []
        for layer, neuron in cut:

            def zero(_, args, place=step.subject, neuron=neuron):
                values = args[0].clone()
                values[:, place, neuron] = 0
                return (values,)

            handles.append(model.down_projection(layer).register_forward_pre_hook(zero))
        logits = model.model(input_ids=torch.tensor([step.ids])).logits[0, step.query]
        for handle in handles:
            handle.remove()
        total *= float(logits.softmax(-1)[step.target])
    return total


def test_a_union_is_of_one_position(both, build, shell, masked, db):
    assert build("--method", "activation", "--at", "subject").code == 0
    words = ("knockout", "--model", masked, "--from", "union", "--top", "2", "--no-control", "--db", db, "--json")
    unions = {at: int(json.loads(shell(*words, "--at", at).out)["run"]) for at in ("query", "subject")}
    with atlas.open(db) as opened:
        rows = {int(row["run"]): json.loads(row["settings"]) for row in opened.runs().to_pylist()}
    assert rows[unions["query"]]["runs"] == [both["query"]]
    joined = rows[unions["subject"]]["runs"]
    assert len(joined) == 2
    assert both["subject"] in joined
    assert both["query"] not in joined


def test_an_evaluation_changes_neurons_where_they_were_found(both, shell, db):
    words = ("evaluate", "--method", "kn,random", "--likn-method", "kn", "--languages", "en,fr", "--neurons", "3")
    ended = shell(*words, "--at", "subject", "--db", db)
    assert ended.code == 0, ended.err
    with atlas.open(db) as opened:
        found = opened.sql(
            "SELECT DISTINCT scope, coalesce(settings ->> 'at', 'query') AS at FROM intervention JOIN run USING (run)"
        ).to_pylist()
        rows = opened.sql("SELECT probability_before AS b, probability_after AS a FROM intervention").to_pylist()
    assert found == [{"scope": "subject", "at": "subject"}]
    assert any(row["a"] != row["b"] for row in rows)


@pytest.mark.parametrize("command", [("knockout", "--from", "amig"), ("check", "--evaluate", "--from", "amig")])
def test_without_a_run_at_the_position_the_command_that_makes_one_is_named(both, shell, masked, db, command):
    ended = shell(*command, "--model", masked, "--at", "subject", "--db", db)
    assert ended.code == 2
    assert "at the subject" in ended.err
    assert "--at subject" in ended.err


def test_merging_keeps_positions_apart(both, shell, build, tmp_path):
    parts = [tmp_path / f"{at}.duckdb" for at in both]
    for at, part in zip(both, parts, strict=True):
        assert build("--method", "kn", "--at", at, db=part).code == 0
    count = "SELECT run, count(*) AS n FROM knowledge_neuron_all GROUP BY run ORDER BY run"
    held = []
    for part in parts:
        with atlas.open(part) as opened:
            held += opened.sql(count).to_pylist()
    assert shell("merge", *parts, "--into", tmp_path / "merged.duckdb").code == 0
    with atlas.open(tmp_path / "merged.duckdb") as opened:
        merged = opened.sql(count).to_pylist()
    assert {row["run"] for row in merged} == set(both.values())
    assert merged == sorted(held, key=lambda row: row["run"])


@pytest.fixture
def wide(both, db):
    """Both runs, with a definition that takes many neurons."""
    with atlas.open(db, "a") as writer:
        writer.define("wide", tau=0.06, share=0.0)
    return both


def test_an_edit_takes_the_neurons_of_the_runs_position(wide, shell, masked, db):
    words = ("edit", "--fact", "France", "--object", "Berlin", "--neurons", "kn", "--languages", "en,fr", "--force")
    taken = {}
    for at, run in wide.items():
        ended = shell(*words, "--at", at, "--definition", "wide", "--method", "kn", "--model", masked, "--db", db)
        assert ended.code == 0, ended.err
        with atlas.open(db) as opened:
            edit = opened.sql("SELECT layers, neurons FROM edit WHERE run = ?", [run]).to_pylist()[0]
            own = opened.sql(
                "SELECT DISTINCT layer, neuron FROM knowledge_neuron_all JOIN fact USING (fact) WHERE run = ? "
                "AND definition = 'wide' AND fact.subject = 'france' AND language IN ('en', 'fr') ORDER BY ALL",
                [run],
            ).to_pylist()
        taken[at] = list(zip(edit["layers"], edit["neurons"], strict=True))
        assert taken[at] == [tuple(row.values()) for row in own]
    assert taken["query"] != taken["subject"]
