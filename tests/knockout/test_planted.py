"""Degenerate neurons of planted models, found by build, knock-outs and views, against what was planted."""

import shutil
from dataclasses import replace

import duckdb
import pytest
import transformers

import atlas
from atlas.attribution import Settings, attribute
from atlas.attribution.rows import to_tables
from atlas.errors import UsageError
from atlas.knockouts.job import KnockoutOptions, knockout
from atlas.planted import Circuit, PlantConfig, plant

pytestmark = pytest.mark.slow

CIRCUITS = [
    Circuit("degenerate", 0, layers=(1, 1)),
    Circuit("degenerate", 1, layers=(2, 2)),
    Circuit("degenerate", 2, layers=(1, 2)),
    Circuit("additive", 3),
    Circuit("additive", 4),
    Circuit("independent", 5),
    Circuit("knowledge", 6),
    Circuit("silent", 5),
    Circuit("constant", 6),
]


@pytest.fixture(scope="module", params=["bert", "gpt2"])
def planted(request):
    return plant(PlantConfig(family=request.param), CIRCUITS, seed=0)


@pytest.fixture(scope="module")
def measured(planted, tmp_path_factory):
    """An atlas with a run of the default scorer on a planted model, and all knock-outs."""
    folder = tmp_path_factory.mktemp("planted")
    transformers.utils.logging.disable_progress_bar()
    planted.model.save_pretrained(folder / "model")
    planted.tokenizer.save_pretrained(folder / "model")
    db = folder / "planted.duckdb"
    model = planted.language_model(str(folder / "model"))
    with atlas.open(db, "w") as writer:
        add_run(writer, model, planted.facts)
    options = KnockoutOptions(model=str(folder / "model"), db=db, device="cpu")
    return db, options, knockout(options)


def add_run(writer, model, facts):
    prompts = list(facts.prompts())
    settings = Settings()
    writer.add_facts(facts)
    writer.add_prompts(prompts)
    run = writer.start_run(
        model=writer.add_model(model.info.row()), method="amig", settings={"floor": settings.floor}, seed=0, versions={}
    )
    writer.load_batch(to_tables(run, attribute(model, prompts, settings), settings.floor))
    writer.finish_run(run)


def sets_of(db, view):
    with atlas.open(db) as opened:
        rows = opened.sql(f"SELECT fact, language, layers, neurons FROM {view}").to_pylist()
    return {(row["fact"], row["language"], frozenset(zip(row["layers"], row["neurons"], strict=True))) for row in rows}


def planted_sets(planted):
    return {(*key, pair) for key, pairs in planted.truth.degenerate.items() for pair in pairs}


def test_strict_dkn_are_exactly_what_was_planted(planted, measured):
    db, _, _ = measured
    assert sets_of(db, "dkn_all WHERE definition = 'strict'") == planted_sets(planted)


def test_additive_pairs_pass_only_without_the_strict_rule(planted, measured):
    db, _, _ = measured
    additive = {fact for fact, kind in planted.truth.kinds.items() if kind == "additive"}
    loose, strict = sets_of(db, "dkn_all WHERE definition = 'default'"), sets_of(db, "dkn_at(strict := true)")
    assert {fact for fact, _, _ in loose} & additive
    assert not {fact for fact, _, _ in strict} & additive
    assert strict <= loose


def test_random_sets_are_no_dkn(measured):
    db, _, summary = measured
    assert sets_of(db, "dkn_control_all WHERE definition = 'default'") == set()
    assert summary.facts_with_control == 0
    assert summary.facts_with_dkn >= 3
    assert not summary.interrupted


def test_summary_counts_facts_against_controls(measured):
    db, _, _ = measured
    with atlas.open(db) as opened:
        rows = opened.sql("FROM dkn_summary_all WHERE definition = 'strict'").to_pylist()
    assert sum(row["facts_with_dkn"] for row in rows) == 9  # three facts in three languages
    assert all(row["facts_with_control"] == 0 for row in rows)
    assert all(row["share"] == row["facts_with_dkn"] / row["facts"] for row in rows)


def test_a_second_call_measures_nothing(measured):
    _, options, first = measured
    assert first.rows > 0
    assert knockout(options).rows == 0


@pytest.mark.parametrize("planted", ["bert"], indirect=True)
def test_knock_outs_of_another_number_type_than_the_run_are_refused(measured):
    _, options, first = measured
    for source in (None, "union"):
        with pytest.raises(UsageError, match=f"float64: run {first.run}, .* is in float32"):
            knockout(replace(options, source=source, dtype="float64"))


def test_pairs_left_out_change_no_row_and_are_counted_at_looser_thresholds(measured, tmp_path):
    """At a t_low that a neuron of some pairs exceeds; t_high is one that every pair passes, controls too."""
    db, options, first = measured
    options = replace(options, db=tmp_path / "copy.duckdb", definition="tight")
    shutil.copy(db, options.db)
    parts = "SELECT (min(largest_part_cost) + max(largest_part_cost)) / 2 AS low FROM dkn_at()"
    t_low = rows_of(db, f"{parts} WHERE run = {first.run}")[0]["low"]
    with duckdb.connect(str(options.db)) as opened:
        opened.execute("DELETE FROM knockout")
        opened.execute(
            f"INSERT INTO definition SELECT * REPLACE ('tight' AS definition, {t_low} AS t_low) FROM definition "
            "WHERE definition = 'default'"
        )
    views = ("dkn_at", "dkn_control_at")
    asked = [f"FROM {view}(t_low := {t_low}, t_high := -1.0) WHERE run = {first.run} ORDER BY ALL" for view in views]
    untried = f"SELECT sum(untried_sets)::INTEGER AS n FROM dkn_summary_at(t_low := 1.0) WHERE run = {first.run}"
    found = knockout(options)
    before = [rows_of(options.db, query) for query in asked]
    assert all(before)
    assert rows_of(options.db, untried)[0]["n"] == found.pairs_left_out > 0
    every = knockout(replace(options, all_pairs=True))
    assert (every.rows > 0, every.pairs_left_out) == (True, 0)
    assert rows_of(options.db, untried)[0]["n"] == 0
    assert [rows_of(options.db, query) for query in asked] == before


def test_a_union_joins_runs_and_keeps_its_own_rows(planted, measured):
    _, options, _ = measured
    joined = knockout(replace(options, source="union", max_order=3))
    again = knockout(replace(options, source="union", max_order=3))
    assert joined.run != knockout(options).run
    assert joined.rows > 0
    assert again.rows == 0
    assert sets_of(options.db, f"dkn_all WHERE definition = 'strict' AND run = {joined.run}") >= planted_sets(planted)


def rows_of(db, query):
    with atlas.open(db) as opened:
        return opened.sql(query).to_pylist()


def test_dkn_by_other_values_stand_beside_those_by_zero(planted, measured):
    """A planted neuron is silent in other facts' prompts, so that all find the same sets."""
    db, options, first = measured
    zero = rows_of(db, "FROM dkn_at(strict := true) ORDER BY ALL")
    for how in ("mean", "swap"):
        swapped = knockout(replace(options, replace=how))
        assert (swapped.rows, swapped.facts_with_dkn) == (first.rows, first.facts_with_dkn)
        assert sets_of(db, f"dkn_at(strict := true, replace := '{how}')") == planted_sets(planted)
        assert knockout(replace(options, replace=how)).rows == 0
    assert rows_of(db, "FROM dkn_at(strict := true) ORDER BY ALL") == zero
    beside = f"FROM dkn_by_replace_all WHERE definition = 'strict' AND run = {first.run} GROUP BY ALL"
    counts = {row["replace"]: row["n"] for row in rows_of(db, f"SELECT replace, sum(sets) AS n {beside}")}
    assert counts == dict.fromkeys(("zero", "mean", "swap"), len(planted_sets(planted)))


def measures(rows):
    return {(row["prompt"], row["set"], row["control"]): (row["before"], row["after"]) for row in rows}


def set_status(db, facts, status):
    with atlas.open(db, "a") as writer:
        asked = "SELECT prompt FROM prompt WHERE list_contains(?::BIGINT[], fact)"
        writer.sql(f"UPDATE probe SET status = ? WHERE prompt IN ({asked})", [status, facts])


@pytest.mark.parametrize("planted", ["gpt2"], indirect=True)
def test_a_mean_over_fewer_prompts_is_taken_again_once_the_run_has_more(measured, tmp_path):
    db, options, _ = measured
    kept = "SELECT * FROM knockout WHERE replace = 'mean' ORDER BY ALL"
    second = [row["fact"] for row in rows_of(db, "SELECT fact FROM fact ORDER BY fact")][1::2]
    found = []
    for name in ("first_fewer", "at_once"):
        own = replace(options, db=tmp_path / f"{name}.duckdb", replace="mean", top=3)
        shutil.copy(db, own.db)
        with atlas.open(own.db, "a") as writer:
            writer.sql("DELETE FROM knockout")
        if name == "first_fewer":
            set_status(own.db, second, "nan")
            knockout(replace(own, top=2))
            fewer = rows_of(own.db, kept)
            set_status(own.db, second, "ok")
        knockout(own)
        found.append(measures(rows_of(own.db, kept)))
        assert knockout(own).rows == 0
    assert found[0].keys() == found[1].keys()
    for key, numbers in found[1].items():
        assert found[0][key] == pytest.approx(numbers, rel=1e-5)
    others = {key: after / found[1][key][1] - 1 for key, (_, after) in measures(fewer).items() if key in found[1]}
    assert max(map(abs, others.values())) > 1e-4


@pytest.mark.parametrize("planted", ["gpt2"], indirect=True)
def test_controls_of_several_seeds_count_once_for_each_set(measured, tmp_path):
    db, options, first = measured
    own = replace(options, db=tmp_path / "seeds.duckdb")
    shutil.copy(db, own.db)
    every = f"dkn_control_at(t_low := 1e9, t_high := -1e9) WHERE run = {first.run}"
    before = rows_of(own.db, f"SELECT count(*) AS n, count(DISTINCT (fact, language)) AS facts FROM {every}")
    drawn = f"SELECT count(*) AS n FROM knockout WHERE control AND run = {first.run} AND replace = 'zero'"
    once = rows_of(own.db, drawn)[0]["n"]
    for seed in (1, 2):
        assert knockout(replace(own, seed=seed)).rows > 0
    assert rows_of(own.db, drawn)[0]["n"] > 2 * once
    assert rows_of(own.db, f"SELECT count(*) AS n, count(DISTINCT (fact, language)) AS facts FROM {every}") == before
    assert before[0]["n"] > 0


def test_swapped_values_are_those_of_one_other_fact_of_the_relation(measured):
    db, options, _ = measured
    knockout(replace(options, replace="swap"))
    rows = rows_of(
        db,
        "SELECT DISTINCT prompt, own.fact, own.relation AS a, other.relation AS b, own.object AS c, other.object AS d "
        "FROM knockout JOIN prompt USING (prompt) JOIN fact AS own ON own.fact = prompt.fact "
        "JOIN fact AS other ON other.fact = knockout.other WHERE replace = 'swap'",
    )
    assert len({row["prompt"] for row in rows}) == len(rows) > 0
    assert all(row["a"] == row["b"] and row["c"] != row["d"] for row in rows)
    assert not rows_of(db, "FROM knockout WHERE replace = 'zero' AND other IS NOT NULL")


def test_tau_bounds_sets_and_controls_alike(measured):
    db, _, _ = measured
    for macro in ("dkn_at", "dkn_control_at"):
        wide, none = (sets_of(db, f"{macro}(tau := {tau}, t_high := -1.0, t_low := 1.0)") for tau in (0.2, 1.0))
        assert wide
        assert not none


def test_relation_dkn_are_of_training_facts_only(measured):
    db, _, _ = measured
    with atlas.open(db) as opened:
        members = opened.sql(
            "SELECT DISTINCT s.relation, d.language, unnest(d.layers) AS layer, unnest(d.neurons) AS neuron "
            "FROM dkn_all d JOIN fact_split s USING (fact) WHERE d.definition = 'strict' AND s.split = 'train'"
        ).to_pylist()
        found = opened.sql(
            "SELECT relation, language, layer, neuron FROM relation_dkn_all WHERE definition = 'strict'"
        ).to_pylist()
    assert found
    assert all(row in members for row in found)


@pytest.mark.parametrize(
    "change",
    [
        {"source": "greedy"},
        {"definition": "nowhere"},
        {"languages": ("xx",)},
        {"top": 0},
        {"max_order": 7},
        {"replace": "one"},
    ],
)
def test_wrong_options_are_usage_errors(measured, change):
    _, options, _ = measured
    with pytest.raises(UsageError):
        knockout(replace(options, **change))
