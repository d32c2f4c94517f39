"""Both positions side by side: views and pages of a planted model that recalls at the subject."""

from collections import Counter

import pytest

import atlas
from atlas.attribution import Settings
from atlas.cli.main import main
from atlas.engine.label_tokens import label_tokens
from atlas.planted import Circuit, PlantConfig, plant
from atlas.running.scores import fill_run

KINDS = ("recalled", "shared recall", "independent", "knowledge", "recalled", "independent")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An atlas with a run of kn at each position, by a definition that asks for a share of the probability."""
    config = PlantConfig(family="gpt2", hidden=64, neurons=64, templates=1, relations=2)
    planted = plant(config, [Circuit(kind, fact) for fact, kind in enumerate(KINDS)], seed=1)
    db = tmp_path_factory.mktemp("views") / "atlas.duckdb"
    with atlas.open(db, "w") as writer:
        writer.add_facts(planted.facts)
        writer.define("default", least=0.01)
        model, prompts = planted.language_model(), list(planted.facts.prompts())
        runs = {at: fill_run(writer, model, [prompts], Settings(method="kn", at=at)) for at in ("query", "subject")}
        writer.load("label_token", label_tokens(model, prompts))
    return db, planted, runs


def rows(db, query):
    with atlas.open(db) as opened:
        return opened.sql(query).to_pylist()


@pytest.mark.slow
def test_the_profile_counts_what_was_planted_by_layer_and_position(made):
    db, planted, runs = made
    found = rows(db, "FROM position_profile WHERE language IS NULL")
    for at, run in runs.items():
        truth = planted.truth_at(at)
        pairs = Counter(layer for own in truth.knowledge.values() for layer, _ in own)
        shared = Counter(layer for own in truth.independent.values() for layer, _ in own)
        own = {row["layer"]: row for row in found if row["run"] == run}
        assert {row["position"] for row in own.values()} == {at}
        assert {layer: row["knowledge_neurons"] for layer, row in own.items()} == pairs
        assert {layer: row["likn"] for layer, row in own.items() if row["likn"]} == shared
    assert {row["run"] for row in found} == set(runs.values())
    # No two languages of a planted fact share a token.
    assert all(row["across_scripts"] == row["likn"] for row in found)


@pytest.mark.slow
def test_the_profile_by_language_and_its_controls_are_those_of_the_other_views(made):
    db, _, runs = made
    profile = rows(db, "FROM position_profile_all WHERE definition = 'default'")
    for run in runs.values():
        own = [row for row in profile if row["run"] == run]
        count = "SELECT language, layer, count(*) AS n FROM knowledge_neuron_all WHERE definition = 'default'"
        wanted = rows(db, f"{count} AND run = {run} GROUP BY ALL")
        assert {(r["language"], r["layer"]): r["knowledge_neurons"] for r in own if r["language"]} == {
            (r["language"], r["layer"]): r["n"] for r in wanted
        }
        spoken = "SELECT count(*) AS n FROM (SELECT unnest(languages) FROM likn_all WHERE definition = 'default'"
        assert sum(r["likn"] for r in own if r["language"]) == rows(db, f"{spoken} AND run = {run})")[0]["n"]
        (control,) = rows(
            db,
            f"""
            SELECT
                sum(observed) AS likn, sum(same_relation) AS same_relation, sum(other_relations) AS other_relations,
                sum(same_relation_own) AS same_relation_own, sum(other_relations_own) AS other_relations_own
            FROM likn_control_all WHERE definition = 'default' AND run = {run}
            """,
        )
        for name, total in control.items():
            assert sum(r[name] for r in own if r["language"] is None) == (total or 0), name


@pytest.mark.slow
def test_neurons_at_both_positions_are_the_intersection(made):
    db, _, runs = made
    columns = "fact, language, layer, neuron"
    found = rows(db, f"SELECT {columns}, score_query, score_subject FROM position_overlap WHERE definition = 'paper'")
    sets = {
        at: {
            tuple(row[name] for name in columns.split(", ")): row["score"]
            for row in rows(db, f"SELECT * FROM knowledge_neuron_all WHERE definition = 'paper' AND run = {run}")
        }
        for at, run in runs.items()
    }
    both = {key: (sets["query"][key], sets["subject"][key]) for key in sets["query"].keys() & sets["subject"].keys()}
    assert both
    assert {
        tuple(row[name] for name in columns.split(", ")): (row["score_query"], row["score_subject"]) for row in found
    } == both
    # What works at one position does not at the other.
    assert not rows(db, "FROM position_overlap WHERE definition = 'default'")


@pytest.mark.slow
def test_the_report_shows_both_positions(made, tmp_path):
    db, planted, _ = made
    assert main(["report", "--db", str(db), "--out", str(tmp_path / "site")]) == 0
    shared = planted.facts.facts[1].id
    page = (tmp_path / "site" / "facts" / f"{shared}.html").read_text("utf-8")
    assert "At the query and at the subject" in page
    assert "at_subject" in page or "at subject" in page
    assert "Where neurons are at each position" in (tmp_path / "site" / "index.html").read_text("utf-8")
