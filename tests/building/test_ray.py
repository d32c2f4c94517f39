"""Builds on Ray workers: the same rows as in one process, whatever dies on the way."""

import os
from collections import Counter
from types import SimpleNamespace

import pyarrow as pa
import pytest
from store.world import batch, random_world
from warmed import Running, build_with_a_dying_worker, command

import atlas
from atlas.building import plan
from atlas.building.plan import make_plan
from atlas.building.shards import DamagedShardError, Store
from atlas.errors import StoreError, UsageError
from atlas.running.progress import Progress
from atlas.running.stopping import Stop
from atlas.store.digest import digest

RUN = 7


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "shards"), RUN)


@pytest.fixture
def tables():
    return batch(random_world(3), RUN)


def _file(store, name, table):
    return f"{store.url}/run-{RUN}/{name}/{table}.parquet"


def test_a_shard_is_read_as_it_was_written(store, tables):
    name = store.write(tables)
    assert list(store.names()) == [name]
    assert store.prompts(name) == set(tables["probe"]["prompt"].to_pylist())
    assert {table: rows.to_pylist() for table, rows in store.read(name).items()} == {
        table: rows.to_pylist() for table, rows in tables.items()
    }
    assert store.write(tables) == name, "the same batch has the same place"


@pytest.mark.parametrize("table", ["probe", "probe_layer", "attribution"])
@pytest.mark.parametrize("keep", [0, 0.5, 0.99])
def test_a_truncated_shard_is_found_out(store, tables, table, keep):
    name = store.write(tables)
    path = _file(store, name, table)
    os.truncate(path, int(os.path.getsize(path) * keep))
    with pytest.raises(DamagedShardError, match=f"{table}.parquet is damaged"):
        store.read(name)


def test_a_shard_without_its_last_file_is_not_there(store, tables):
    name = store.write(tables)
    os.remove(_file(store, name, "probe"))
    assert list(store.names()) == []


def test_files_of_two_batches_are_no_shard(store, tables):
    name = store.write(tables)
    fewer = tables | {"attribution": tables["attribution"].slice(1)}
    other = Store(store.url + "-other", RUN)
    os.replace(_file(other, other.write(fewer), "attribution"), _file(store, name, "attribution"))
    with pytest.raises(DamagedShardError, match="not of one batch"):
        store.read(name)


def test_another_runs_rows_are_no_shard(store, tables):
    name = store.write(tables)
    os.rename(f"{store.url}/run-{RUN}", f"{store.url}/run-8")
    with pytest.raises(DamagedShardError, match="another run"):
        Store(store.url, 8).read(name)


def test_folders_that_cannot_be_written(tmp_path, tables):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="choose another --shards-to"):
        Store(str(tmp_path / "file"), RUN).write(tables)
    with pytest.raises(UsageError, match="--shards-to cannot be 'nowhere://x'"):
        Store("nowhere://x", RUN).write(tables)


class DeadError(Exception):
    """Ray's word for a worker that died too often."""


class Actor:
    """An actor whose batches come back at once, as the real one's do in the end."""

    def __init__(self, answer):
        self.compute = SimpleNamespace(remote=lambda run, prompts: _Reference(answer, prompts))


class _Reference:
    def __init__(self, answer, prompts):
        self.answer, self.prompts = answer, prompts


RAY = SimpleNamespace(
    wait=lambda references, timeout: (references[-1:], references[:-1]),
    get=lambda reference: reference.answer(reference.prompts),
    exceptions=SimpleNamespace(RayError=DeadError),
)


def _cluster(answers, shards_to=None):
    from atlas.building.ray import Cluster, ClusterOptions

    cluster = object.__new__(Cluster)
    cluster._options = ClusterOptions(shards_to=shards_to)
    cluster._ray = RAY
    cluster._actors = [Actor(answer) for answer in answers]
    return cluster


def _answer(prompts):
    return {"prompt": pa.table({"prompt": [prompt.id for prompt in prompts]})}


def _work(cluster, facts, stop=None):
    loaded = Counter()

    def load(batches):
        for each in batches:
            loaded.update(each["prompt"]["prompt"].to_pylist())

    batches = list(make_plan(facts).batches())
    try:
        cluster.work(RUN, batches, load, Progress(), stop or Stop())
    finally:
        cluster.loaded = loaded
    return loaded, Counter(prompt.id for each in batches for prompt in each)


def test_every_batch_is_loaded_once_in_whatever_order_it_comes(facts):
    loaded, planned = _work(_cluster([_answer] * 3), facts)
    assert loaded == planned


def test_a_stop_gives_out_no_more_and_loads_what_is_out(facts):
    stop = Stop()
    stop.request()
    loaded, _ = _work(_cluster([_answer] * 3), facts, stop)
    assert loaded.total() == 3 * 2 * 2, "two batches of two prompts for each of three workers"


def test_an_error_of_a_worker_rises_with_its_place_and_what_was_computed_stays(facts):
    calls = Counter()

    def third_fails(prompts):
        calls["all"] += 1
        if calls["all"] == 3:
            error = DeadError("task failed")
            error.cause = ValueError("boom")
            raise error
        return _answer(prompts)

    cluster = _cluster([third_fails])
    with pytest.raises(ValueError, match="boom") as caught:
        _work(cluster, facts)
    assert caught.value.__notes__[0].startswith("while computing 2 prompts, the first of them <s")
    assert cluster.loaded.total() == 2 * 2


def test_a_shard_damaged_on_its_way_is_computed_again(facts, tables, tmp_path, monkeypatch, caplog):
    store = Store(str(tmp_path / "shards"), RUN)
    name = store.write(tables)
    damaged = [True]

    def read(self, shard):
        if damaged:
            damaged.pop()
            raise DamagedShardError("Shard x is damaged.")
        return {"prompt": pa.table({"prompt": [1]})}

    monkeypatch.setattr(Store, "read", read)
    loaded, planned = _work(_cluster([lambda prompts: name], store.url), facts)
    assert loaded[1] == len(planned) / 2, "each batch of two prompts once"
    assert "Shard x is damaged. It is computed again." in caplog.text


def test_what_was_left_over_is_found_and_what_is_done_is_not_read(tables, store, caplog):
    name = store.write(tables)
    prompts = set(tables["probe"]["prompt"].to_pylist())
    cluster = _cluster([], store.url)
    assert [set(found["probe"]["prompt"].to_pylist()) for found in cluster.left_over(RUN, prompts, set())] == [prompts]
    assert list(cluster.left_over(RUN, prompts, prompts)) == []
    assert list(cluster.left_over(RUN, prompts - {min(prompts)}, set())) == [], "they are of another selection"
    os.truncate(_file(store, name, "probe"), 10)
    assert list(cluster.left_over(RUN, prompts, set())) == []
    assert "is damaged" in caplog.text


COMMON = ("build", "--limit", "2", "--languages", "en,fr", "--method", "gradient")


@pytest.fixture(scope="module")
def in_one_process(tmp_path_factory):
    """The digest of what a build without workers finds."""
    path = tmp_path_factory.mktemp("local") / "local.duckdb"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "MOST_PROMPTS", 1)
        patch.setattr(plan, "LEAST_PROMPTS", 1)
        assert command(*COMMON, "--threads", "1", "--db", path) == 0
    with atlas.open(path) as opened:
        return digest(opened)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "workers"), [("tables", 2), ("shards", 1)])
def test_the_same_rows_as_in_one_process_though_a_worker_is_killed(kind, workers, in_one_process, tmp_path):
    pytest.importorskip("ray", reason="needs Ray: pip install 'neuron-atlas[ray]'")
    ray = ("--engine", "ray", "--workers", workers, *(("--shards-to", tmp_path / "s") if kind == "shards" else ()))
    words = (*COMMON[1:], *ray, "--db", tmp_path / "ray.duckdb")
    code, _, err = Running(tmp_path, build_with_a_dying_worker, str(tmp_path / "killed"), *words).end()
    assert code == 0, err
    assert (tmp_path / "killed").exists(), "no worker was killed"
    with atlas.open(tmp_path / "ray.duckdb") as opened:
        assert digest(opened) == in_one_process
