"""Prompts that other versions of the packages could not use: who tries them again."""

import pytest
from tiny import make_model, make_prompt

import atlas
from atlas.attribution import Settings
from atlas.facts import FactSet
from atlas.running.scores import fill_run


@pytest.mark.slow
def test_a_job_tries_again_what_it_asks_alone(tmp_path):
    model, settings = make_model("gpt2"), Settings(method="gradient")
    asked, other = (
        make_prompt("[X] is [Y]", "France", "Paris"),
        make_prompt("[Y] is [X]", "Japan", "yen", relation="P38"),
    )
    with atlas.open(tmp_path / "atlas.duckdb", "w") as writer:
        writer.add_facts(FactSet("made", [asked.fact, other.fact], [asked.template, other.template]))
        fill_run(writer, model, [[asked, other]], settings)
        writer.sql("UPDATE run SET versions = '{}'")
        fill_run(writer, model, [[asked]], settings)
        found = {row["prompt"]: row["status"] for row in writer.sql("FROM probe").to_pylist()}
        assert writer.sql("SELECT versions FROM run")["versions"].to_pylist() == ["{}"]
    assert found == {asked.id: "ok", other.id: "not_final"}
