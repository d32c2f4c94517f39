"""Looking things up: by id, key or label; thresholds; results."""

import ast
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from store.world import MODEL, Probed, World, batch, fill

import atlas
from atlas.editing.requests import Request
from atlas.errors import LimitError, StoreError, UsageError
from atlas.facts import Fact, FactSet, Label
from atlas.store.naming import understood
from atlas.store.queries import THRESHOLDS

ZEROS = (0.0,) * 9


@pytest.fixture(scope="module")
def reader(empty, tmp_path_factory):
    path = tmp_path_factory.mktemp("api") / "api.duckdb"
    path.write_bytes(empty.read_bytes())
    world = World(
        ("P1", "P1", "P2"),
        tuple(
            Probed(fact, code, number, "ok", (1.0, 0.25, 0.1 + 0.2 * (code == "en"), *ZEROS))
            for fact in range(3)
            for code in ("en", "fr", "zh")
            for number in (0, 1)
        ),
    )
    with atlas.open(path, "a") as writer:
        run = fill(writer, world)
        model = writer.add_model(MODEL)
        other = writer.start_run(model=model, method="kn", settings={"floor": 0.05}, seed=0, versions={})
        writer.load_batch(batch(world, other))
    with atlas.open(path) as opened:
        opened.world, opened.first = world, run
        yield opened


def found(result, *columns):
    return {tuple(row[column] for column in columns) for row in result.to_pylist()}


@pytest.mark.slow
def test_a_fact_is_found_by_id_key_and_label(reader):
    fact = reader.world.fact(1)
    for name in (fact.id, str(fact.id), "s1", "s1-fr"):
        assert found(reader.likn(fact=name, run=reader.first), "fact", "neuron") == {(fact.id, 0), (fact.id, 1)}
    for name in ("nobody", 5, "12345678901234567890123", "'; DROP TABLE fact; --"):
        with pytest.raises(UsageError, match="has the subject, object or id"):
            reader.likn(fact=name)


def test_a_subject_of_digits_is_found(path):
    facts = [Fact("P1", "1984", "o", {"en": Label("1984", "Orwell")})]
    with atlas.open(path, "a") as writer:
        writer.add_facts(FactSet("made", facts, []))
        assert writer.fact_ids("1984") == writer.fact_ids(facts[0].id) == [facts[0].id]


def test_letters_and_their_accents_may_be_written_apart(path):
    facts = [Fact("P1", "s", "o", {"pt": Label("São Paulo", "o")})]
    with atlas.open(path, "a") as writer:
        writer.add_facts(FactSet("made", facts, []))
        for text in ("são", "Sa\u0303o", "\u200fPaulo"):
            assert writer.facts(text).table["subject"].to_pylist() == ["São Paulo"]
        assert writer.fact_ids("\u200fSa\u0303o  Paulo\u200b") == [facts[0].id]


def test_names_in_a_request_are_read_as_those_of_facts_are(reader):
    asked = understood(reader, Request("s1", " Zu\u0308rich\u200b", {"en": "Zu\u0308 rich", "fr": "\u200fZ\u00adu"}))
    assert (asked.object, asked.objects) == ("Z\u00fcrich", {"en": "Z\u00fc rich", "fr": "Zu"})
    assert understood(reader, Request("s1", "", {})) == Request("s1", "", {})
    for text, said in (("\u200b", "nothing of it is seen"), ("a\x07", "control character U\\+0007")):
        with pytest.raises(UsageError, match=said):
            understood(reader, Request("s1", text))


@pytest.mark.slow
def test_filters(reader):
    assert found(reader.knowledge_neurons(relation="P2", language="en", run=reader.first), "fact", "neuron") == {
        (reader.world.fact(2).id, neuron) for neuron in (0, 1, 2)
    }
    assert len(reader.likn(run=reader.first)) == 6
    assert found(reader.likn(), "run", "method", "model") == {(reader.first, "amig", "made")}
    assert len(reader.likn(limit=5)) == 5
    assert len(reader.likn(limit=0)) == len(reader.likn(fact="s0", tau=1)) == 0
    assert "fact = $fact_0" in reader.knowledge_neurons(fact="s0").sql  # which reaches the scan of its twin, too
    for wrong in ({"relation": "P9"}, {"definition": "none"}):
        with pytest.raises(UsageError, match="There is no"):
            reader.likn(**wrong)
    with pytest.raises(UsageError, match="There is no language 'xx'"):
        reader.knowledge_neurons(language="xx")


@pytest.mark.slow
def test_thresholds_stand_in_for_those_of_the_definition(reader):
    def neurons(**thresholds):
        return {neuron for (neuron,) in found(reader.likn(fact="s0", run=reader.first, **thresholds), "neuron")}

    assert neurons() == {0, 1}
    assert neurons(tau=0.5) == {0}
    assert neurons(tau=0.05) == {0, 1, 2}
    assert neurons(min_languages=1) == {0, 1, 2}
    assert neurons(definition="paper") == {0}
    assert neurons(definition="paper", tau=0.2) == {0, 1}
    assert neurons(definition="paper", share=0.9) == {0}
    assert neurons(normalization="layer") == {0, 1}
    assert neurons(specificity=False) == {0, 1}


@pytest.mark.slow
def test_specificity(reader):
    rows = reader.likn(fact="s0", run=reader.first).to_pylist()
    assert [(row["neuron"], row["same_relation"], row["other_relations"]) for row in rows] == [(0, 1, 1), (1, 1, 1)]
    assert "same_relation" not in reader.likn(specificity=False).table.column_names


@pytest.mark.slow
def test_a_result_can_be_had_again_from_its_sql(reader):
    for result in (reader.likn(fact="s0", tau=0.3), reader.likn(), reader.neurons(layer=0), reader.facts("s1")):
        assert reader.sql(result.sql, result.params).equals(result.to_arrow())
        assert len(result) == result.table.num_rows == len(result.to_pandas()) == len(result.to_pylist())


def test_thresholds_are_those_that_the_macros_take(reader):
    for view, names in THRESHOLDS.items():
        taken = reader.sql("SELECT parameters FROM duckdb_functions() WHERE function_name = ?", [f"{view}_at"])
        assert set(names) <= set(taken["parameters"][0].as_py()), view


def test_facts(reader):
    assert found(reader.facts("S1-F"), "subject", "language") == {("s1-fr", "fr")}
    assert found(reader.facts(relation="P2", language="en"), "subject", "object") == {("s2-en", "o2")}
    assert len(reader.facts()) == 9
    assert len(reader.facts(limit=4)) == 4
    assert len(reader.facts("%")) == 0


def test_neurons_and_runs(reader):
    rows = reader.neurons(run=reader.first).to_pylist()
    assert [(row["neuron"], row["facts"], row["languages"], row["likn_facts"]) for row in rows] == [
        (0, 3, 3, 3),
        (1, 3, 3, 3),
        (2, 3, 1, 0),
    ]
    assert found(reader.neurons(neuron=1, run=reader.first), "neuron") == {(1,)}
    assert found(reader.runs(), "method", "status", "prompts", "usable") == {
        ("amig", "done", 18, 18),
        ("kn", "running", 18, 18),
    }


def test_errors_are_one_sentence(reader):
    for query in ("selec 1", "FROM nowhere", "SELECT 'a'::INTEGER", "SELECT $x"):
        with pytest.raises(StoreError) as caught:
            reader.sql(query)
        assert str(caught.value).startswith(f"The query of {reader.path} failed: ")
    assert reader.sql("").num_rows == reader.sql("-- nothing").num_rows == 0


def test_what_duckdb_proposes_is_passed_on(reader):
    for query, words in (
        ("FROM liknn", 'Did you mean "likn"?'),
        ("SELECT scor FROM likn", 'Candidate bindings: "score"'),
        ("SELECT 1 FRM likn", "LINE 1: SELECT 1 FRM likn\n                     ^^^^"),
    ):
        with pytest.raises(StoreError) as caught:
            reader.sql(query)
        assert words in str(caught.value)


def test_streams(reader):
    batches = reader.stream("FROM range(2500)", rows=1000)
    assert reader.sql("SELECT 1 AS one").num_rows == 1
    assert sum(batch.num_rows for batch in batches) == 2500
    late = reader.stream("SELECT if(range = 250000, error('boom'), range) AS n FROM range(300000)", rows=1000)
    with pytest.raises(StoreError, match="failed: boom"):
        late.read_all()


@pytest.mark.slow
def test_the_time_limit_counts_for_streamed_rows(path):
    endless = "SELECT * FROM range(1000000000) a, range(1000000000) b"
    with atlas.open(path, timeout=0.5) as opened, pytest.raises(LimitError, match=r"stopped after 0\.5 s"):
        sum(batch.num_rows for batch in opened.stream(endless))
    with atlas.open(path, timeout=0.5) as opened, pytest.raises(LimitError, match=r"stopped after 0\.5 s"):
        opened.stream("SELECT sum(a.range + b.range) FROM range(1000000000) a, range(1000000000) b").read_all()


def test_html_is_escaped_and_short(reader):
    shown = reader.query("SELECT '<script>alert(1)</script>' AS \"<b>\", NULL AS n FROM range(30)")._repr_html_()
    assert "<script>" not in shown
    assert "<b>" not in shown
    assert shown.count("<tr>") == 21
    assert "30 rows, the first 20 shown" in shown


IMPORTS = """
import sys
import atlas
assert not {"duckdb", "pyarrow"} & set(sys.modules), "importing atlas alone is quick"
with atlas.open(sys.argv[1], sys.argv[2]) as opened:
    opened.sql("FROM likn LIMIT 1")
    opened.info()
print(*sorted({"torch", "transformers", "pandas", "sqlalchemy", "alembic", "scipy"} & set(sys.modules)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["r", "a"])
def test_an_open_atlas_has_imported_nothing_slow(path, mode):
    done = subprocess.run([sys.executable, "-c", IMPORTS, path, mode], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
    assert done.stderr == ""


def test_the_database_side_never_imports_torch():
    code = """
import sys
import atlas.schema, atlas.store.atlas, atlas.store.writer, atlas.store.migrate, atlas.store.integrity
import atlas.store.digest, atlas.store.docs, atlas.store.rows, atlas.store.run_rows
print("torch" in sys.modules, "transformers" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


def test_public_names():
    jobs = ["build", "check", "edit", "evaluate", "knockout"]
    assert sorted(atlas.__all__) == sorted(["Atlas", "Result", "Writer", "__version__", "open", *jobs])
    assert all(getattr(atlas, name) for name in atlas.__all__)
    told = ast.parse(Path(atlas.__file__).with_suffix(".pyi").read_text("utf-8")).body
    homes = {alias.name: each.module for each in told if isinstance(each, ast.ImportFrom) for alias in each.names}
    assert homes == atlas._HOMES
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        atlas.nothing  # noqa: B018


@pytest.mark.slow
def test_a_run_in_use_is_asked_until_another_is_named(reader):
    (other,) = reader.sql("SELECT run FROM run WHERE method = 'kn'")["run"].to_pylist()
    assert reader.in_use.run == reader.first
    assert found(reader.use(method="kn").likn(), "run", "method") == {(other, "kn")}
    assert {run for (run,) in found(reader.neurons(), "run")} == {other}
    assert found(reader.likn(run=reader.first), "run") == {(reader.first,)}
    assert found(reader.use(model="MADE").knowledge_neurons(fact="s0"), "run") == {(reader.first,)}
    assert found(reader.use(definition="strict").likn(), "run", "definition") == {(reader.first, "strict")}
    assert found(reader.use().likn(), "definition") == {("default",)}
    for wrong in ({"model": "none"}, {"run": 5}, {"definition": "none"}, {"method": "joint"}):
        with pytest.raises(UsageError):
            reader.use(**wrong)
    reader.use(method="kn")
    with pytest.raises(UsageError, match="no run with usable prompts of model MADE by joint"):
        reader.use(model="MADE", method="joint")
    with pytest.raises(UsageError, match="no definition 'none'"):
        reader.use(model="MADE", definition="none")
    assert reader.in_use.run == other


@pytest.mark.slow
def test_rows_carry_names(reader):
    named = {("s0-en", "P1", "o0"), ("s1-en", "P1", "o1"), ("s2-en", "P2", "o2")}
    for result in (reader.likn(), reader.likn(specificity=False), reader.knowledge_neurons()):
        assert found(result, "subject", "relation_name", "object") == named


@pytest.mark.slow
def test_a_choice_that_is_kept_is_that_of_every_client(reader, tmp_path):
    path = tmp_path / "kept.duckdb"
    path.write_bytes(reader.path.read_bytes())
    with atlas.open(path, "a") as writer:
        writer.use(method="kn", definition="strict").keep()
    with duckdb.connect(path) as client:
        assert client.sql("SELECT DISTINCT method, definition FROM likn").fetchall() == [("kn", "strict")]
    with atlas.open(path, "a") as writer:
        assert writer.in_use.method == "kn"
        writer.use().keep(newest=True)
        assert found(writer.likn(), "method", "definition") == {("amig", "strict")}


def test_numbers_of_a_frame_are_numbers(reader):
    frame = reader.likn(limit=1, specificity=False).to_pandas()
    layer, run = frame["layer"][0], frame["run"][0]
    assert len(reader.neurons(layer=layer, run=run)) == len(reader.neurons(layer=int(layer), run=int(run))) > 0
    for several in (frame["run"], [run], frame["run"].to_numpy()):
        assert reader.sql("SELECT list_contains(?, ?) AS found", [several, run]).to_pylist() == [{"found": True}]


@pytest.mark.parametrize(
    ("lookup", "given", "said"),
    [
        ("neurons", {"layer": "3"}, "layer cannot be '3': give a whole number"),
        ("carried", {"neuron": 1.5}, "neuron cannot be 1.5"),
        ("facts", {"limit": -1}, "limit cannot be -1"),
        ("likn", {"run": "5"}, "run cannot be '5'"),
        ("use", {"run": "5"}, "run cannot be '5'"),
        ("likn", {"tau": float("nan")}, "tau cannot be nan: give a number from 0 to 1"),
        ("knowledge_neurons", {"share": -1}, "share cannot be -1"),
        ("likn", {"min_languages": 0}, "min_languages cannot be 0: give 1 or more"),
        ("likn", {"normalization": "laier"}, "did you mean layer"),
    ],
)
def test_numbers_that_cannot_be_are_refused(reader, lookup, given, said):
    with pytest.raises(UsageError, match=said):
        getattr(reader, lookup)(**given)


def test_a_twin_is_told_as_one(path):
    with atlas.open(path, "a") as writer:
        about = {"model": writer.add_model(MODEL), "method": "amig", "settings": {"floor": 0.05}, "versions": {}}
        own = writer.start_run(**about, seed=0)
        twin = writer.start_run(**about, seed=1, twin_of=own, twin_seed=0)
        for ask in (lambda: writer.use(run=twin), lambda: writer.compare(twin, own)):
            with pytest.raises(UsageError, match=f"Run {twin} is that of an untrained twin, beside run {own}"):
                ask()
