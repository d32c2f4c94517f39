"""Loading: idempotent, whole or not at all, checked."""

import multiprocessing
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from store.world import FLOOR, MODEL, SAMPLE, World, batch, count_probes, fill, worlds

import atlas
from atlas import schema
from atlas.errors import StoreError, UsageError
from atlas.ids import stable_id
from atlas.store.digest import digest


@pytest.fixture
def writer(path):
    with atlas.open(path, "a") as opened:
        yield opened


def content(writer):
    return {
        name: writer.sql(f"SELECT {', '.join(schema.arrow(name).names)} FROM {name} ORDER BY ALL").to_pylist()
        for name in ("fact", "fact_label", "template", "prompt", "probe", "probe_layer", "attribution")
    }


@pytest.mark.slow
def test_the_same_input_twice_gives_the_same_atlas(writer):
    run = fill(writer, SAMPLE)
    before = content(writer), digest(writer)
    assert fill(writer, SAMPLE) == run
    assert (content(writer), digest(writer)) == before
    assert writer.add_facts(SAMPLE.facts()) == dict.fromkeys(
        ("language", "language_spelling", "dataset", "relation", "fact", "fact_label", "template"), 0
    )
    assert set(writer.load_batch(batch(SAMPLE, run)).values()) == {0}


def test_what_is_loaded_is_what_was_given(writer):
    run = fill(writer, SAMPLE)
    for name, rows in batch(SAMPLE, run).items():
        stored = writer.sql(f"SELECT {', '.join(rows.column_names)} FROM {name} ORDER BY place, rowid")
        assert stored.cast(rows.schema).to_pylist() == rows.to_pylist()
    assert writer.done_prompts(run) == {SAMPLE.prompt(probe).id for probe in SAMPLE.probes}


@pytest.mark.slow
@settings(settings.get_profile("store"), max_examples=10)
@given(worlds())
def test_batches_that_overlap_load_each_prompt_once(holding, world):
    with holding(World(world.relations, ())) as (writer, run):
        writer.add_facts(world.facts())
        writer.add_prompts(world.prompt(probe) for probe in world.probes)
        cut = len(world.probes) // 2
        writer.load_batch(batch(world, run, range(cut)))
        writer.load_batch(batch(world, run, range(len(world.probes))))
        in_parts = digest(writer)
    with holding(world) as (writer, _):
        assert digest(writer) == in_parts


def test_rows_are_sorted_whatever_order_they_come_in(writer):
    run = fill(writer, World(SAMPLE.relations, ()))
    tables = batch(SAMPLE, run)
    tables["attribution"] = tables["attribution"].take(pa.array(range(tables["attribution"].num_rows - 1, -1, -1)))
    writer.load_batch(tables)
    stored = writer.sql("SELECT place, layer, neuron FROM attribution").to_pylist()
    assert stored == sorted(stored, key=lambda row: tuple(row.values()))
    assert len(stored) == 3 * len(SAMPLE.probes)


def test_a_facts_prompts_lie_together(writer):
    fill(writer, SAMPLE)
    facts = writer.sql("SELECT fact FROM probe JOIN prompt USING (prompt) ORDER BY place")["fact"].to_pylist()
    assert facts == sorted(facts, key=facts.index)


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: {**t, "probe": pa.concat_tables([t["probe"]] * 2)}, "holds a prompt twice"),
        (lambda t: {**t, "attribution": pa.concat_tables([t["attribution"]] * 2)}, "row of attribution twice"),
        (lambda t: {**t, "probe_layer": pa.concat_tables([t["probe_layer"]] * 2)}, "row of probe_layer twice"),
        (lambda t: {"attribution": t["attribution"]}, "but no probe of it"),
        (lambda t: {**t, "attribution": t["attribution"].drop_columns(["score"])}, "Rows for table attribution have"),
        (lambda t: {**t, "fact": t["probe"]}, "not fact"),
        (lambda t: {**t, "probe": t["probe"].set_column(0, "run", pa.array([1] * 8))}, "belongs to one run"),
        (
            lambda t: {**t, "attribution": t["attribution"].set_column(2, "layer", pa.array([-1] * 24))},
            "do not fit its types",
        ),
    ],
)
def test_a_batch_that_is_wrong_is_not_loaded_at_all(writer, change, message):
    run = fill(writer, World(SAMPLE.relations, ()))
    before = content(writer)
    with pytest.raises(StoreError, match=message):
        writer.load_batch(change(batch(SAMPLE, run)))
    assert content(writer) == before
    assert writer.load_batch(batch(SAMPLE, run))["probe"] == 8


def test_null_where_a_value_must_be(writer):
    rows = pa.table({"relation": ["P9"], "name": pa.array([None], pa.string())})
    with pytest.raises(StoreError, match="null values"):
        writer.load("relation", rows)
    assert not writer.sql("FROM relation").num_rows


def test_an_empty_batch_is_nothing(writer):
    run = fill(writer, World(SAMPLE.relations, ()))
    assert writer.load_batch({}) == {"probe": 0, "probe_layer": 0, "attribution": 0}
    assert writer.load_batch(batch(World((), ()), run)) == {"probe": 0, "probe_layer": 0, "attribution": 0}


def test_load_keeps_rows_whose_key_is_there(writer):
    rows = pa.table({"relation": ["P1", "P2"], "name": ["one", "two"]})
    assert writer.load("relation", rows) == 2
    assert writer.load("relation", pa.table({"name": ["other", "three"], "relation": ["P1", "P3"]})) == 1
    names = writer.sql("FROM relation ORDER BY relation").to_pylist()
    assert [row["name"] for row in names] == ["one", "two", "three"]
    with pytest.raises(StoreError, match="twice"):
        writer.load("relation", pa.table({"relation": ["P4", "P4"], "name": ["a", "b"]}))
    with pytest.raises(StoreError, match="by themselves"):
        writer.load("attribution", schema.arrow("attribution").empty_table())


def test_runs_go_on_and_end(writer):
    model = writer.add_model(MODEL)
    about = {
        "model": model,
        "method": "amig",
        "settings": {"floor": FLOOR, "a": [1]},
        "seed": 3,
        "versions": {"x": "1"},
    }
    run = writer.start_run(**about)
    assert model == stable_id("model", "made")
    assert run == stable_id("run", "made", "amig", about["settings"], 3)
    writer.finish_run(run, "interrupted")
    assert writer.runs().to_pylist()[0]["status"] == "interrupted"
    assert writer.start_run(**about) == run
    row = writer.runs().to_pylist()[0]
    assert (row["status"], row["finished"], row["model"]) == ("running", None, "made")
    writer.finish_run(run)
    assert writer.runs().to_pylist()[0]["status"] == "done"
    with pytest.raises(UsageError, match="not as 'gone'"):
        writer.finish_run(run, "gone")
    with pytest.raises(StoreError, match="has no model 5"):
        writer.start_run(**{**about, "model": 5})


def test_definitions(writer):
    writer.define("mine", tau=0.4, tau_by_language={"en": 0.3})
    writer.define("mine", tau=0.5)
    mine = writer.sql("FROM definition WHERE definition = 'mine'").to_pylist()
    default = writer.sql("FROM definition WHERE definition = 'default'").to_pylist()
    assert mine == [{**default[0], "definition": "mine", "tau": 0.5}]
    writer.define("spelled", tau_by_language={"zh-hans": 0.2, "eng": 0.3})
    (spelled,) = writer.sql("SELECT tau_by_language FROM definition WHERE definition = 'spelled'").to_pylist()
    assert dict(spelled["tau_by_language"]) == {"zh": 0.2, "en": 0.3}
    with pytest.raises(UsageError, match="has no taus"):
        writer.define("mine", taus=1)
    for wrong in (
        {"tau": 2}, {"min_languages": 0}, {"tau_by_language": {"en": -1}}, {"least": float("nan")}, {"t_low": "0.1"},
        {"known": "no"}, {"strict": 1},
    ):  # fmt: skip
        with pytest.raises(UsageError, match="cannot be"):
            writer.define("mine", **wrong)


def test_languages_have_names_and_directions(writer):
    rows = [("ar", True), ("zh-hans", False), ("xx", False), ("ku", False), ("ku-Arab", True), ("azb", True)]
    rows += [("lah", True)]  # what mBERT's pnb is
    facts = [atlas.facts.Fact("P1", "s", "o", {code: atlas.facts.Label("a", "b") for code, _ in rows})]
    writer.add_facts(atlas.facts.FactSet("made", facts, []))
    found = {row["language"]: (row["name"], row["rtl"]) for row in writer.sql("FROM language").to_pylist()}
    assert {code: rtl for code, (_, rtl) in found.items()} == dict(rows)
    assert [found[code][0] for code, _ in rows[:3]] == ["Arabic", "Chinese (hans)", "xx"]


def test_spellings_of_languages_that_were_not_taken_stay_out(writer):
    facts = [atlas.facts.Fact("P1", "s", "o", {"en": atlas.facts.Label("a", "b")})]
    writer.add_facts(atlas.facts.FactSet("made", facts, [], spellings={"zh": ["zh-hans"], "en": ["eng"]}))
    assert writer.sql("FROM language_spelling").to_pylist() == [{"language": "en", "spelling": "eng"}]


@pytest.mark.slow
def test_a_killed_writer_loses_nothing_that_was_loaded(path):
    code = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from store.world import SAMPLE, fill
import atlas
writer = atlas.open({str(path)!r}, "a")
fill(writer, SAMPLE)
writer._connection.begin()
writer.sql("DELETE FROM attribution")
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    with atlas.open(path) as reader:
        assert reader.sql("SELECT count(*) AS n FROM attribution")["n"][0].as_py() == 24
    with atlas.open(path, "a") as writer:
        before = digest(writer)
        fill(writer, SAMPLE)
        assert digest(writer) == before


@pytest.mark.slow
def test_a_spawned_process_opens_its_own(path):
    with atlas.open(path, "a") as writer:
        fill(writer, SAMPLE)
    with atlas.open(path) as reader, multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(count_probes, (path,)) == 8
        assert reader.sql("SELECT 1 AS one").num_rows == 1


def test_an_atlas_is_not_used_in_a_process_that_did_not_open_it(path):
    reader = atlas.open(path)
    reader._process += 1
    with pytest.raises(StoreError, match="open it again in this one"):
        reader.sql("SELECT 1")
    reader._process -= 1
    reader.close()
    with pytest.raises(StoreError, match="is closed"):
        reader.sql("SELECT 1")
