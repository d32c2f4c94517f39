"""Which run commands mean: named by model, method and run, or the one in use, and what they say of it."""

import json
import shutil

import duckdb
import pytest

import atlas
from atlas.cli.main import main

WIDE = json.dumps([[layer, neuron] for layer in range(3) for neuron in range(40)])


@pytest.fixture(scope="module")
def two_built(one_built, causal, tmp_path_factory):
    """An atlas of two models, the tiny GPT-2 built last, built once."""
    path = shutil.copy(one_built, tmp_path_factory.mktemp("two") / "atlas.duckdb")
    words = ("build", "--model", causal, "--dataset", one_built.parent / "facts", "--db", path)
    assert main([str(word) for word in words]) == 0
    return path


@pytest.fixture
def two(two_built, db):
    """A copy of that atlas."""
    return shutil.copy(two_built, db)


def _rows(db, query, *params):
    with atlas.open(db) as opened:
        return opened.sql(query, params).to_pylist()


def _run_of(db, kind):
    (row,) = _rows(db, "SELECT run FROM run JOIN model USING (model) WHERE kind = ?", kind)
    return str(row["run"])


@pytest.mark.slow
def test_of_two_models_the_choice_is_said_in_one_line(two, shell):
    ended = shell("neurons", "--db", two, "--json")
    (said,) = [line for line in ended.err.splitlines() if "taken: run" in line]
    assert f"taken: run {_run_of(two, 'causal')}, amig of " in said
    assert "tiny-gpt2, not of " in said
    assert "tiny-bert; " in said
    named = shell("neurons", "--db", two, "--model", "TINY-bert", "--json")
    assert "not of" not in named.err
    assert {row["run"] for row in json.loads(named.out)} == {_run_of(two, "masked")}
    shell("use", "--model", "tiny-bert", "--db", two)
    chosen = shell("neurons", "--db", two, "--json")
    assert "not of" not in chosen.err
    assert {row["run"] for row in json.loads(chosen.out)} == {_run_of(two, "masked")}


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [("--model", "tiny-bert", "--method", "AMIG"), ("--model", "Tiny-BERT"), ("--run", "{masked}")],
)
def test_knock_outs_take_a_run_by_name(two, shell, words):
    words = [word.format(masked=_run_of(two, "masked")) for word in words]
    ended = shell("knockout", "--limit", 1, "--no-control", "--languages", "en", *words, "--db", two, "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["run"] == _run_of(two, "masked")


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("knockout",),
        ("twin",),
        ("check", "--evaluate"),
        ("edit", "--fact", "France", "--object", "Berlin"),
        ("report",),
        ("export", "--out", "new"),
    ],
)
def test_what_is_not_there_is_refused_by_all_in_the_same_words(built, shell, db, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    method = ("--from", "amgi") if words[0] == "edit" else ("--method", "amgi")
    for wrong, said in (
        (("--run", 7), "run 7"),
        (("--model", "tiny-brt"), "There is no model 'tiny-brt' in "),
        (("--definition", "strickt"), "did you mean strict?"),
        (method, "did you mean"),
        (("--run", 7, "--model", "tiny-bert"), "--run names one run: leave out --model and --method."),
    ):
        if (words[0], wrong[0]) == ("twin", "--definition"):
            continue
        ended = shell(*words, *wrong, "--db", db)
        assert (ended.code, ended.out) == (2, ""), (words, wrong, ended.err)
        assert said in ended.err
        assert "loading model" not in ended.err


@pytest.mark.slow
def test_an_atlas_of_facts_alone_says_what_to_do_before_a_knock_out(shell, facts_only):
    ended = shell("knockout", "--db", facts_only)
    assert ended.code == 2
    assert "holds no run with usable prompts at the query: `atlas build` makes one" in ended.err
    named = shell("knockout", "--db", facts_only, "--method", "kn", "--at", "subject").err
    assert "no run with usable prompts by kn at the subject: " in named


def test_a_model_by_another_path_is_that_of_its_runs(shell, build, masked, db, tmp_path):
    build("--method", "gradient", "--languages", "fr")
    moved = shutil.copytree(masked, tmp_path / "moved")
    ended = shell("knockout", "--model", moved, "--limit", 1, "--no-control", "--db", db, "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["run"] == _run_of(db, "masked")
    assert "gradient of " in ended.err


def test_jobs_go_by_the_definition_in_use(built, shell, db):
    with atlas.open(db, "a") as writer:
        writer.define("none", known=True)
    shell("use", "--definition", "none", "--db", db)
    ended = shell("knockout", "--limit", 1, "--db", db, "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["measured"] == 0
    ended = shell("knockout", "--limit", 1, "--definition", "default", "--db", db, "--json")
    assert json.loads(ended.out)["measured"] > 0


@pytest.mark.slow
def test_a_model_that_an_edit_was_saved_in_is_not_edited_unless_it_is_named(built, shell, build, db, tmp_path):
    wide = tmp_path / "neurons.json"
    wide.write_text(WIDE, "utf-8")
    edit = ("edit", "--db", db, "--neurons", wide, "--force", "--fact", "France", "--languages", "en", "--json")
    saved = shell(*edit, "--object", "Berlin", "--save", tmp_path / "edited")
    assert saved.code == 0, saved.err
    number = json.loads(saved.out)[0]["edit"]
    assert build(model=tmp_path / "edited").code == 0
    assert "edited" in shell("neurons", "--db", db, "--json").err
    again = shell(*edit, "--object", "Tokyo")
    assert f"holds edit {number} already and is passed over; --model names it" in again.err
    assert "amig of " in again.err
    assert "tiny-bert" in again.err.partition("taken: ")[2]
    named = shell(*edit, "--object", "Tokyo", "--model", "edited")
    assert f"holds edit {number} already; what is edited now comes on top of it" in named.err
    with duckdb.connect(db) as connection:
        connection.execute(
            "DELETE FROM probe WHERE run IN (SELECT run FROM run JOIN model USING (model) WHERE name LIKE '%tiny-bert')"
        )
    alone = shell(*edit, "--object", "Tokyo")
    assert alone.code == 2
    assert f"holds edit {number} already, and {db} has a run of no other model" in alone.err


@pytest.mark.slow
def test_a_report_shows_the_run_that_is_named_and_says_so(two, shell, tmp_path):
    every = shell("report", "--db", two, "--out", tmp_path / "all", "--facts", 1)
    assert every.code == 0, every.err
    assert every.err.count("amig of ") == 2
    one = shell("report", "--db", two, "--out", tmp_path / "one", "--facts", 1, "--model", "tiny-bert")
    assert f"taken: run {_run_of(two, 'masked')}" in one.err
    assert len(list((tmp_path / "all" / "runs").iterdir())) == 2
    assert [path.stem for path in (tmp_path / "one" / "runs").iterdir()] == [_run_of(two, "masked")]


@pytest.mark.slow
def test_a_report_goes_by_the_definition_that_is_named_or_in_use(built, shell, db, tmp_path):
    shell("use", "--definition", "strict", "--db", db)
    assert shell("report", "--db", db, "--out", tmp_path / "used", "--facts", 1).code == 0
    assert shell("report", "--db", db, "--out", tmp_path / "named", "--facts", 1, "--definition", "default").code == 0
    for folder, word in (("used", "strict"), ("named", "default")):
        pages = [path.read_text("utf-8") for path in (tmp_path / folder).rglob("*.html")]
        shown = "".join(pages)
        assert f"definition = &#39;{word}&#39;" in shown
        assert "$definition" not in shown
        assert f"definition = &#39;{'default' if word == 'strict' else 'strict'}&#39;" not in shown


@pytest.mark.slow
def test_exported_views_answer_for_the_run_that_is_named(two, shell, tmp_path):
    words = ("export", "--db", two, "--format", "jsonl", "--tables", "likn,run")
    assert "tiny-gpt2" in shell(*words, "--out", tmp_path / "newest").err
    ended = shell(*words, "--out", tmp_path / "named", "--model", "tiny-bert", "--definition", "strict")
    assert ended.code == 0, ended.err
    assert f"taken: run {_run_of(two, 'masked')}" in ended.err
    for folder, kind, definition in (("newest", "causal", "default"), ("named", "masked", "strict")):
        rows = [json.loads(line) for line in (tmp_path / folder / "likn.jsonl").read_text("utf-8").splitlines()]
        with atlas.open(two) as opened:
            asked = opened.use(run=int(_run_of(two, kind)), definition=definition).likn(specificity=False)
        assert len(rows) == len(asked.to_arrow())
        assert {(row["run"], row["definition"]) for row in rows} <= {(_run_of(two, kind), definition)}
        assert len((tmp_path / folder / "run.jsonl").read_text("utf-8").splitlines()) == 2


@pytest.mark.slow
def test_two_runs_of_one_model_are_compared_by_number(built, build, shell, db):
    assert build("--method", "kn").code == 0
    runs = [str(row["run"]) for row in _rows(db, "SELECT run FROM run ORDER BY method")]
    ended = shell("compare", *runs, "--db", db, "--json")
    assert ended.code == 0, ended.err
    assert f"run {runs[0]} (amig)" in ended.err
    assert f"run {runs[1]} (kn)" in ended.err
    assert shell("compare", runs[0], runs[0], "--db", db).code == 2
