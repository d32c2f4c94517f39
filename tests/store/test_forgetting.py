"""A run that is forgotten leaves nothing, and all else as it was."""

import pyarrow as pa
import pytest
from store.transfer.rows import fill_others
from store.world import FLOOR, MODEL, SAMPLE, batch, fill, random_world

import atlas
from atlas import schema
from atlas.errors import UsageError
from atlas.ids import stable_id
from atlas.store import integrity
from atlas.store.digest import digest
from atlas.store.forgetting import clear, forget

MADE = stable_id("model", MODEL["digest"])


def another(writer, method="kn", world=SAMPLE, **more):
    run = writer.start_run(model=MADE, method=method, settings={"floor": FLOOR, **more}, seed=0, versions={})
    writer.load_batch(batch(world, run))
    writer.finish_run(run)
    return run


@pytest.mark.slow
def test_a_run_that_is_forgotten_leaves_the_atlas_as_it_was_before(path):
    with atlas.open(path, "a") as writer:
        writer.add_facts(random_world(1).facts())
        kept = fill(writer, SAMPLE)
        before = digest(writer)
        run = another(writer)
        writer.use(run=run).keep()
        scores = writer.sql("SELECT count(*) AS n FROM attribution WHERE run = ?", [run])["n"][0].as_py()
        assert forget(writer, run)["attribution"] == scores > 0
        assert digest(writer) == before
        assert writer.use().in_use.run == kept
        assert [found.check.name for found in integrity.run(writer) if not found.ok] == []
        with pytest.raises(UsageError, match="has no run"):
            forget(writer, run)


def test_nothing_of_a_run_is_left_in_any_table(path):
    with atlas.open(path, "a") as writer:
        fill_others(writer)
        writer.sql("UPDATE edit SET run = 7")
        removed = forget(writer, 7)
        assert {"run", "knockout", "intervention", "verdict"} <= removed.keys()
        for table in schema.TABLES.values():
            if "run" in [column.name for column in table.columns]:
                assert writer.sql(f"FROM {table.name} WHERE run = 7").num_rows == 0
        assert writer.sql("FROM edit").num_rows == 1


def test_what_a_forgotten_runs_tokenizer_spelled_goes_with_the_last_run_of_it(path):
    row = {"model": MADE, "fact": 1, "language": "en", "subject": [3], "object": [4], "scripts": []}
    with atlas.open(path, "a") as writer:
        fill(writer, SAMPLE)
        writer.load("label_token", pa.Table.from_pylist([row], schema=schema.arrow("label_token")))
        first, second = (another(writer, method, tokenizer="other") for method in ("kn", "joint"))
        union = another(writer, "union", runs=[second], floor=0)
        assert "label_token" not in forget(writer, union)
        assert "label_token" not in forget(writer, first)
        assert forget(writer, second)["label_token"] == 1


def test_a_run_that_others_are_made_of_stays(path):
    with atlas.open(path, "a") as writer:
        run = fill(writer, SAMPLE)
        union = another(writer, "union", runs=[run])
        before = digest(writer)
        with pytest.raises(UsageError, match=f"run {union} is made of"):
            forget(writer, run)
        assert digest(writer) == before
        assert forget(writer, union)["run"] == 1
        assert forget(writer, run)["run"] == 1


def test_a_run_that_is_cleared_can_be_filled_again(path):
    with atlas.open(path, "a") as writer:
        run = fill(writer, SAMPLE)
        before = digest(writer)
        assert clear(writer, run)["probe"] == len(SAMPLE.probes)
        assert writer.done_prompts(run) == set()
        writer.load_batch(batch(SAMPLE, run))
        assert digest(writer) == before
