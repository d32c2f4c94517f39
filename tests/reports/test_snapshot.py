"""What the pages are of: the runs and the definition that a report is asked for, whichever are in use."""

from dataclasses import replace

from store.world import MODEL, SAMPLE, World, add_facts, batch

import atlas
from atlas.reports import Selection, snapshot
from atlas.reports.pages.positions import AT_BOTH, AT_BOTH_SHOWN, PROFILE, PROFILE_SHOWN


def test_pages_are_of_the_runs_and_the_definition_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(snapshot, "_VIEWS", ())
    deeper = World(SAMPLE.relations, tuple(replace(p, scores=p.scores[::-1]) for p in SAMPLE.probes))
    made = {}
    with atlas.open(tmp_path / "atlas.duckdb", "w") as writer:
        add_facts(writer, [SAMPLE])
        # The newest, which is in use, has a floor above tau.
        for name, floor, at in (("older", 0.05, "query"), ("older", 0.05, "subject"), ("newest", 0.6, "query")):
            about = {"method": "amig", "settings": {"floor": floor, "at": at}, "seed": 0, "versions": {}}
            made[name] = writer.start_run(model=writer.add_model({**MODEL, "name": name, "digest": name}), **about)
            writer.load_batch(batch(SAMPLE if at == "query" else deeper, made[name], floor=floor))
            writer.finish_run(made[name])
        taken = snapshot.take(writer, Selection(runs=[made["older"]], definition="paper"))
        (model,) = writer.sql("SELECT model FROM model WHERE name = 'older'")["model"].to_pylist()
        (fact,) = writer.sql("SELECT min(fact) AS fact FROM position_neuron")["fact"].to_pylist()
        asked = {"fact": fact, "model": model, "run": made["older"], "definition": "paper"}
        kept, shown = (writer.sql(query.of(asked)).to_pylist() for query in (AT_BOTH, AT_BOTH_SHOWN))
        found = writer.sql("SELECT * FROM position_profile WHERE language IS NULL ORDER BY layer").to_pylist()
        profile = writer.sql(PROFILE.text).to_pylist()
    with atlas.open(tmp_path / "atlas.duckdb") as reader:
        of_page = PROFILE_SHOWN.of({"definition": "paper", "runs": [made["older"]]})
        assert reader.sql(of_page).to_pylist() == profile != [], "the view is of the run in use"
    assert [(row["model"], row["definition"], row["position"], row["layer"]) for row in found] == [
        ("older", "paper", "query", 0),
        ("older", "paper", "subject", 2),
    ]
    assert [(run.name, run.scorer) for run in taken.runs] == [("older", "amig at the subject")]
    assert kept == shown != []
    assert "WITH position_neuron AS" in AT_BOTH_SHOWN.text, "which an atlas does not have"


def test_models_of_one_name_are_told_apart(tmp_path):
    with atlas.open(tmp_path / "atlas.duckdb", "w") as writer:
        for name, digest in (("same", "0a"), ("same", "0b"), ("other", "0c")):
            model = writer.add_model({**MODEL, "name": name, "digest": digest})
            writer.start_run(model=model, method="amig", settings={}, seed=0, versions={})
        runs = writer.sql("SELECT run FROM run")["run"].to_pylist()
        writer.scratch(snapshot._RUNS, {"runs": runs, "definition": "default"})
        found = [snapshot._run(**row).name for row in writer.sql(snapshot._SHOWN_RUNS).to_pylist()]
    assert found == ["other", "same (0a)", "same (0b)"]
