"""Which run is meant, among several of one model."""

import pytest
from store.world import FLOOR, MODEL, SAMPLE, Probed, World, add_facts, batch

import atlas
from atlas.errors import StoreError, UsageError
from atlas.ids import stable_id
from atlas.store.runs import UNION, choose_runs, runs_of_models, stored_run

MADE = stable_id("model", MODEL["digest"])
UNUSABLE = World(("P1",), (Probed(0, "en", 0, "unspellable", (0.0,) * 12),))
FEW = World(SAMPLE.relations, SAMPLE.probes[:2])
RUNS = {
    "first": ("amig", 0, FEW),
    "second": ("amig", 1, SAMPLE),
    "kn": ("kn", 0, SAMPLE),
    "useless": ("kn", 1, UNUSABLE),
    "empty": ("joint", 0, World((), ())),
    "random": ("random", 0, SAMPLE),
    "union": (UNION, 0, World((), ())),
}
"""Method, seed and what the run holds, in the order in which they were started."""


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    with atlas.open(tmp_path_factory.mktemp("runs") / "atlas.duckdb", "w") as writer:
        add_facts(writer, [SAMPLE, UNUSABLE])
        for day, (method, seed, world) in enumerate(RUNS.values(), 1):
            about = {"method": method, "settings": {"floor": FLOOR}, "seed": seed, "versions": {}}
            run = writer.start_run(model=MADE, **about)
            writer.load_batch(batch(world, run))
            writer.sql("UPDATE run SET started = ?::TIMESTAMP WHERE run = ?", [f"2026-01-{day:02}", run])
        untrained = writer.add_model({**MODEL, "name": "untrained-0:made", "digest": "other"})
        about = {"method": "amig", "settings": {"floor": FLOOR}, "seed": 1, "versions": {}}
        run = writer.start_run(model=untrained, **about, twin_of=run_of(writer, "second"), twin_seed=0)
        writer.load_batch(batch(SAMPLE, run))
        yield writer


def run_of(opened, name):
    method, seed, _ = RUNS[name]
    query = "SELECT run FROM run WHERE method = ? AND seed = ? AND twin_of IS NULL"
    return opened.sql(query, [method, seed])["run"][0].as_py()


@pytest.mark.quick(1)
@pytest.mark.parametrize(("method", "chosen"), [("amig", "second"), ("kn", "kn"), (UNION, "union")])
def test_a_method_means_its_newest_run_with_a_usable_prompt(opened, method, chosen):
    assert choose_runs(opened, MADE, "made", method) == [run_of(opened, chosen)]


def test_no_method_means_one_run_of_each_that_holds_usable_prompts_but_random(opened):
    assert choose_runs(opened, MADE, "made", None) == sorted([run_of(opened, "second"), run_of(opened, "kn")])


@pytest.mark.parametrize("by", ["run", "method"])
def test_a_union_is_meant_by_its_knock_outs_alone(opened, by):
    with pytest.raises(UsageError, match="A union of runs has no prompts of its own: name one of those"):
        stored_run(opened, **{by: {"run": run_of(opened, "union"), "method": UNION}[by]})


@pytest.mark.parametrize("method", ["joint", "greedy"])
def test_a_method_without_prompts_is_an_error_with_the_command(opened, method):
    with pytest.raises(UsageError, match=f"atlas build --model made --method {method}"):
        choose_runs(opened, MADE, "made", method)
    with pytest.raises(UsageError, match="atlas build --model 'my model' --method"):
        choose_runs(opened, MADE, "my model", method)


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [({}, "second"), ({"method": "kn"}, "kn"), ({"model": "made"}, "second")],
)
def test_a_job_goes_on_with_the_newest_usable_run_of_the_default_method(opened, asked, chosen):
    assert stored_run(opened, **asked).run == run_of(opened, chosen)


def test_a_run_may_be_named(opened):
    assert stored_run(opened, run=run_of(opened, "first")).run == run_of(opened, "first")
    with pytest.raises(UsageError, match=f"no run with usable prompts of run {run_of(opened, 'useless')}"):
        stored_run(opened, run=run_of(opened, "useless"))
    with pytest.raises(UsageError, match="has no run 5; `atlas runs` lists them"):
        stored_run(opened, run=5)
    assert len(opened.likn(run=run_of(opened, "useless"))) == 0
    for ask in (opened.likn, opened.knowledge_neurons, opened.neurons, opened.carried, opened.dkn):
        with pytest.raises(UsageError, match="has no run 5; `atlas runs`"):
            ask(run=5)
    with pytest.raises(UsageError, match="cannot be a name: it is not valid UTF-8"):
        opened.facts("\udcff")
    with pytest.raises(StoreError, match="bytes that are no text"):
        opened.sql("SELECT ?", ["\udcff"])


def test_no_job_takes_an_untrained_twin_for_a_run(opened):
    (twin,) = opened.sql("SELECT run FROM run WHERE twin_of IS NOT NULL")["run"].to_pylist()
    asked = (({"run": twin}, "is that of an untrained twin"), ({"model": "untrained-0:made"}, "no run with usable"))
    for given, said in asked:
        with pytest.raises(UsageError, match=said):
            stored_run(opened, **given)


def test_a_report_shows_the_run_that_each_model_means(opened):
    assert list(runs_of_models(opened)) == [run_of(opened, "second")]
