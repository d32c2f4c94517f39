"""Which run a query means that names none: the rule against brute force, and the views against those of all runs."""

import json
import re
import shutil
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from quick import first_quick
from store.world import FLOOR, LAYERS, MODEL, NEURONS, SAMPLE, add_facts, batch, random_world

import atlas
from atlas.checking.neurons import relation_neurons
from atlas.editing.sources import choices
from atlas.errors import StoreError
from atlas.ids import stable_id
from atlas.knockouts.rows import Trial, to_table
from atlas.store import docs, views

RUNS = st.lists(
    st.fixed_dictionaries(
        {
            "model": st.integers(1, 3),
            "method": st.sampled_from(["amig", "amig", "kn", "peel", "gradient", "random", "union"]),
            "status": st.sampled_from(["done", "done", "interrupted", "running"]),
            "started": st.integers(0, 5),
            "lasted": st.integers(0, 5),
            "at": st.sampled_from(["query", "query", "subject"]),
            "twin": st.sampled_from([False, False, True]),
            "usable": st.sampled_from([True, True, False]),
        }
    ),
    max_size=6,
)


def ended(run):
    return run["started"] + (run["lasted"] if run["status"] != "running" else 0)


def meant(runs):
    """The number of the run that is meant, None if there is none."""
    able = [n for n, r in enumerate(runs) if r["usable"] and not r["twin"]]
    able = [n for n in able if runs[n]["method"] not in ("random", "union")]
    able = [n for n in able if runs[n]["status"] == "done"] or able
    if not able:
        return None
    latest = max(ended(runs[n]) for n in able)
    model = min(runs[n]["model"] for n in able if ended(runs[n]) == latest)
    of_model = [n for n in able if runs[n]["model"] == model]
    first = min((runs[n]["method"] for n in of_model), key=["amig", "kn", "peel", "gradient"].index)
    of_model = [n for n in of_model if runs[n]["method"] == first]
    of_model = [n for n in of_model if runs[n]["at"] == "query"] or of_model
    return max(of_model, key=lambda n: (ended(runs[n]), -n))


@pytest.fixture(scope="module")
def memory():
    """All tables and views, in memory."""
    with docs.in_memory() as connection:
        yield connection


@pytest.mark.slow
@given(runs=RUNS)
def test_the_rule_is_that_of_brute_force(memory, runs):
    memory.execute("DELETE FROM run; DELETE FROM probe")
    for number, run in enumerate(runs):
        finished = None if run["status"] == "running" else f"2026-01-{1 + ended(run):02}"
        settings = json.dumps({"at": run["at"]} if run["at"] != "query" else {})
        row = (
            number,
            run["model"],
            run["method"],
            settings,
            run["status"],
            f"2026-01-{1 + run['started']:02}",
            finished,
        )
        row += (99 if run["twin"] else None,)
        memory.execute(
            "INSERT INTO run (run, model, method, settings, status, started, finished, twin_of) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        status = "ok" if run["usable"] else "unspellable"
        memory.execute("INSERT INTO probe (run, prompt, status) VALUES (?, 1, ?)", [number, status])
    found = memory.execute("SELECT run, definition FROM run_in_use").fetchall()
    assert found == ([] if meant(runs) is None else [(meant(runs), "default")])


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """An atlas of two models with three methods; its path and the ids of its runs in the order of building."""
    path = tmp_path_factory.mktemp("several") / "atlas.duckdb"
    worlds = [random_world(seed, facts=4) for seed in (3, 4)]
    with atlas.open(path, "w") as writer:
        add_facts(writer, [SAMPLE, *worlds])
        models = [writer.add_model({**MODEL, "name": name, "digest": name}) for name in ("older", "newer")]
        made = []
        for model, method, seed, floor, world in (
            (models[0], "amig", 0, 0.15, SAMPLE),
            (models[1], "amig", 0, FLOOR, worlds[0]),
            (models[1], "amig", 1, FLOOR, SAMPLE),
            (models[1], "kn", 0, FLOOR, worlds[1]),
            (models[1], "random", 0, FLOOR, SAMPLE),
        ):
            run = writer.start_run(model=model, method=method, settings={"floor": floor}, seed=seed, versions={})
            writer.load_batch(batch(world, run, floor=floor))
            writer.finish_run(run)
            made.append(run)
        writer.define("loose", tau=0.1)
    return path, made


@pytest.fixture
def own(several, tmp_path):
    """A copy of that atlas, to write to, and the ids of its runs."""
    path, made = several
    return shutil.copy(path, tmp_path / "copy.duckdb"), made


def twice():
    """The views that are there for the run in use and for all."""
    folder = Path(views.__file__).parent
    names = {n for path in folder.glob("*.sql") for n in re.findall(r"REPLACE VIEW (\w+)", path.read_text("utf-8"))}
    return sorted(name for name in names if f"{name}_all" in names)


def rounded(rows):
    return sorted((tuple(round(v, 5) if isinstance(v, float) else v for v in row) for row in rows), key=repr)


@pytest.fixture(scope="module")
def client(several, tmp_path_factory):
    """The file as a DuckDB client without this package reads it; the older model's run cannot answer `loose`."""
    path, made = several
    with duckdb.connect(path) as connection:
        connection.execute("DELETE FROM definition WHERE definition = 'loose'")
        yield connection, made


# position_profile holds both positions.
@pytest.mark.slow
@pytest.mark.parametrize("view", [view for view in twice() if view != "position_profile"])
def test_views_answer_for_the_run_and_the_definition_in_use(client, view):
    connection, made = client
    names = ", ".join(f'"{name}"' for name, _ in docs.columns(f"{view}_all", connection))
    every = f"SELECT {names} FROM {view}_all WHERE definition = '{{}}' AND run = {{}}"
    found = connection.execute(f"SELECT {names} FROM {view}").fetchall()
    assert rounded(found) == rounded(connection.execute(every.format("default", made[2])).fetchall())
    connection.execute("UPDATE in_use SET run = ?, definition = 'strict'", [made[3]])
    try:
        found = connection.execute(f"SELECT {names} FROM {view}").fetchall()
        assert rounded(found) == rounded(connection.execute(every.format("strict", made[3])).fetchall())
    finally:
        connection.execute("UPDATE in_use SET run = NULL, definition = 'default'")


@pytest.mark.slow
def test_the_views_that_exist_twice_are_those_that_thresholds_decide():
    assert {"knowledge_neuron", "likn", "likn_control", "likn_exchange", "dkn", "neuron_summary"} <= set(twice())


def test_a_run_that_is_not_in_use_raises_no_error(own):
    copy, made = own
    with atlas.open(copy, "a") as writer:
        writer.define("loose", tau=0.1)
        writer.sql("UPDATE in_use SET definition = 'loose'")
        assert set(writer.sql("FROM knowledge_neuron")["run"].to_pylist()) == {made[2]}
        with pytest.raises(StoreError, match=f"floor of run {made[0]}"):
            writer.sql("FROM knowledge_neuron_all WHERE definition = 'loose'")
        cuts = [(Trial(((0, 0),)), 0.5), (Trial(((0, 1),)), 0.5), (Trial(((0, 0), (0, 1))), 0.1)]
        for probe in SAMPLE.probes:
            writer.load("knockout", to_table(made[2], SAMPLE.prompt(probe).id, 0.5, cuts))
        assert len(writer.dkn(run=made[2], definition="loose")) == 4
        (found,) = choices(writer, made[2], "loose", "relation", SAMPLE.fact(0), ["en"], None)
        assert found.neurons == ((0, 0), (0, 1))


def test_a_run_that_is_named_is_asked_alone(own):
    copy, made = own
    with atlas.open(copy, "a") as reader:
        reader.define("loose", tau=0.1)
        assert set(reader.neurons(run=made[2], definition="loose").table["run"].to_pylist()) == {made[2]}
        assert set(reader.likn(run=made[2], definition="loose").table["run"].to_pylist()) == {made[2]}
        assert relation_neurons(reader, made[2], "loose", LAYERS, NEURONS, seed=0)
        with pytest.raises(StoreError, match=f"floor of run {made[0]}.* by --run or `atlas use`"):
            reader.neurons(run=made[0], definition="loose")


def test_an_empty_atlas_has_no_run_in_use(path):
    with atlas.open(path) as reader:
        assert reader.sql("FROM run_in_use").num_rows == 0
        assert all(reader.sql(f"FROM {view}").num_rows == 0 for view in ("likn", "dkn", "likn_exchange"))


def test_a_union_in_use_answers_with_its_own_sets_and_the_neurons_of_its_runs(own):
    copy, made = own
    with atlas.open(copy, "a") as writer:
        model = stable_id("model", "newer")
        union = writer.start_run(model=model, method="union", settings={"runs": made[2:4]}, seed=0, versions={})
        writer.finish_run(union)
        assert writer.sql("SELECT run FROM run_in_use")["run"].to_pylist() == [made[2]]
        writer.sql("UPDATE in_use SET run = ?", [union])
        assert set(writer.sql("FROM knowledge_neuron")["run"].to_pylist()) == set(made[2:4])


def test_the_ten_best_likns_by_name_as_typed(client):
    connection, made = client
    found = connection.execute(
        "select subject, object, layer, neuron, score from likn order by score desc limit 10"
    ).fetchall()
    plain = connection.execute(
        "SELECT label.subject, label.object, layer, neuron, score FROM likn_all JOIN fact_label AS label "
        "ON label.fact = likn_all.fact AND label.language = 'en' WHERE definition = 'default' AND run = ?",
        [made[2]],
    ).fetchall()
    assert set(found) <= set(plain)
    assert [row[4] for row in found] == sorted((row[4] for row in plain), reverse=True)[:10] != []


def test_names_are_english_or_of_the_first_language_or_keys(memory):
    memory.execute("DELETE FROM fact; DELETE FROM fact_label; DELETE FROM relation")
    memory.execute("INSERT INTO relation VALUES ('P36', 'capital'); INSERT INTO fact VALUES (1, 'P36', 'Q142', 'Q90')")
    named = []
    for label in ("(1, 'zh', '法国', '巴黎')", "(1, 'fr', 'la France', 'Paris')", "(1, 'en', 'France', 'Paris')"):
        named.append(memory.execute("SELECT * EXCLUDE (fact) FROM fact_name").fetchone())
        memory.execute(f"INSERT INTO fact_label VALUES {label}")
    named.append(memory.execute("SELECT * EXCLUDE (fact) FROM fact_name").fetchone())
    assert [(subject, object_) for subject, _, _, object_ in named] == [
        ("Q142", "Q90"),
        ("法国", "巴黎"),
        ("la France", "Paris"),
        ("France", "Paris"),
    ]
    assert {row[1:3] for row in named} == {("P36", "capital")}


@pytest.mark.parametrize("view", first_quick(*twice()))
def test_rows_say_model_and_method(client, view):
    connection, _ = client
    rows = connection.execute(f"SELECT DISTINCT model, method FROM {view}").fetchall()
    assert set(rows) <= {("newer", "amig")}
    assert rows or view not in ("knowledge_neuron", "likn", "likn_control", "likn_exchange", "neuron_summary")


def test_views_are_spelled_the_same_in_every_process():
    # DuckDB writes the columns of one EXCLUDE in the order of their hashes, which differ between processes.
    assert [name for name in views.order() if re.search(r"EXCLUDE \([^)]*,", views.text(name))] == []
