"""The jobs as Python functions: the commands' arguments, and what the commands store."""

import inspect
import subprocess
import sys
from contextlib import nullcontext
from importlib import import_module
from keyword import iskeyword

import duckdb
import numpy as np
import pytest
import typer

import atlas
from atlas.cli.options import _DESTINATION
from atlas.errors import UsageError
from atlas.running.numbers import bounded

PRINTING = {"json", *(name.rstrip("_") for name in _DESTINATION)}
"""Options that say how a command prints."""
LEFT_OUT = {"build": {"knockout", "report"}, "evaluate": {"planted", "out"}}
"""Options that begin another command at the end, or write what the function returns."""
JOBS = ("build", "knockout", "edit", "check", "evaluate")


def _options(command):
    """Return the default of every option that is shown, by its name as Python would have it."""
    found = {}
    for name, parameter in inspect.signature(command).parameters.items():
        metadata = getattr(parameter.annotation, "__metadata__", ())
        info = next((each for each in metadata if hasattr(each, "hidden")), None)
        if parameter.annotation is not typer.Context and info is not None and not info.hidden:
            written = [each for each in (info.default, *info.param_decls, f"--{name}") if str(each).startswith("--")]
            spelled = written[0].partition("/")[0].lstrip("-").replace("-", "_").rstrip("_")
            found[f"{spelled}_" if iskeyword(spelled) else spelled] = parameter.default
    return found


@pytest.mark.parametrize("name", JOBS)
def test_arguments_are_the_options_of_the_command(name):
    options = _options(getattr(import_module(f"atlas.cli.commands.{name}"), name))
    function = getattr(atlas, name)
    arguments = {each.name: each.default for each in inspect.signature(function).parameters.values()}
    assert arguments.pop("progress") is None
    shown = {own: default for own, default in options.items() if own not in PRINTING | LEFT_OUT.get(name, set())}
    assert {own: str(default) for own, default in arguments.items()} == {own: str(each) for own, each in shown.items()}
    assert f"the command `atlas {name}`" in function.__doc__


def test_whole_numbers_of_numpy_reach_a_job_as_those_of_python():
    def job(*, seed=0, limit=None):
        return repr((seed, limit))

    run = bounded(job, inspect.signature(job).parameters.values())
    assert run(seed=np.int64(3), limit=None) == "(3, None)"


def test_the_package_shows_them_and_imports_nothing_for_it():
    code = "import sys, atlas; print({*%r} <= {*dir(atlas)}, 'atlas.jobs' in sys.modules)" % (JOBS,)  # noqa: UP031
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["True", "False"]


@pytest.mark.slow
def test_a_build_stores_what_the_command_stores(one_built, masked, data, db):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        summary = atlas.build(model=str(masked), dataset=str(data), db=db, memory="1GB", languages="en, fr,zh")
    assert summary.atlas == db
    with atlas.open(db) as ours, atlas.open(one_built) as theirs:
        query = "SELECT place, layer, neuron, score FROM attribution ORDER BY ALL"
        rows = [each.sql(query).to_pylist() for each in (ours, theirs)]
    assert rows[0] == rows[1] != []


@pytest.mark.slow
def test_knockouts_edits_and_checks_follow_one_another(built, db, caplog):
    found = atlas.knockout(db=db, relations=["P36"], top=2, max_order=1, control=False, limit=1)
    assert found.rows > 0
    assert found.facts_with_control is None
    (done,) = atlas.edit(
        db=db, fact="France", object="Berlin", neurons="L0.1,L1.2", languages="en", force=True, steps=1
    )
    assert done.made is not None
    with pytest.raises(UsageError, match="too few training facts"):
        atlas.check(db=db, subject="France", relation="P36", object="Paris", language="en", evidence="kn")
    assert "the model does not know" in caplog.text


@pytest.fixture
def doubtful(built, db):
    """An atlas of one neuron, the same for all facts, languages and the run's twin; no answer is known."""
    with duckdb.connect(db) as connection:
        connection.execute("DELETE FROM attribution")
        connection.execute("UPDATE probe SET rank = 2, max_score = 1")
        for table, changed in (
            ("run", "twin_of := run, twin_seed := 0, run := 1"),
            ("probe", "run := 1, place := place + (SELECT max(place) + 1 FROM probe)"),
        ):
            values = ", ".join("{1} AS {0}".format(*each.split(" := ")) for each in changed.split(", "))
            connection.execute(f"INSERT INTO {table} SELECT * REPLACE ({values}) FROM {table}")
        connection.execute(
            "INSERT INTO attribution (place, run, prompt, layer, neuron, score) "
            "SELECT place, run, prompt, 0, 1, 1 FROM probe WHERE usable(status)"
        )
    return db


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("knockout", {"relations": ["P36"], "top": 1, "max_order": 1, "control": False, "limit": 1}),
        ("edit", {"fact": "France", "object": "Berlin", "neurons": "kn", "languages": "en", "force": True, "steps": 1}),
        ("evaluate", {"languages": "en,fr", "neurons": 1, "method": "amig"}),
        ("check", {"subject": "France", "relation": "P36", "object": "Paris", "language": "en", "evidence": "kn"}),
    ],
)
def test_what_speaks_against_the_neurons_is_told_with_its_remedy(name, asked, doubtful, caplog):
    with pytest.raises(UsageError, match="too few training facts") if name == "check" else nullcontext():
        getattr(atlas, name)(db=doubtful, **asked)
    told = [record.message for record in caplog.records if record.levelname == "WARNING"]
    for begun, remedy in (
        ("the model does not know", "go by a definition with `known`"),
        ("the untrained twin has knowledge neurons of", "go by a definition of a larger `least` or `tau`"),
        ("the LIKN of", "the view likn_exchange names the others"),
    ):
        (line,) = [text for text in told if text.startswith(begun)]
        assert line.endswith(remedy)
        assert "\n" not in line


def test_wrong_arguments_are_refused_in_the_words_of_the_commands(built, db):
    for function, given, words in (
        (atlas.build, {"method": "amgi"}, "--method cannot be 'amgi': did you mean amig"),
        (atlas.build, {"at": "end"}, "--at cannot be 'end'"),
        (atlas.build, {"workers": 2}, "--workers is for Ray workers alone"),
        (atlas.build, {"memory": "4"}, "write 4GB"),
        (atlas.build, {"dataset": "", "db": db}, "No data set ''"),
        (atlas.build, {"memory": 0}, "--memory cannot be 0"),
        (atlas.build, {"seed": 10**20}, "--seed cannot be 1"),
        (atlas.build, {"threads": 0}, "--threads cannot be 0: give a number from 1 to 1,024"),
        (atlas.build, {"examples": 2.5}, "--examples cannot be 2.5"),
        (atlas.knockout, {"db": db, "limit": -1}, "--limit cannot be -1"),
        (atlas.knockout, {"db": db, "run": "5"}, "--run cannot be '5'"),
        (atlas.check, {"db": db, "evaluate": True, "templates": 0}, "--templates cannot be 0"),
        (atlas.evaluate, {"db": db, "neurons": 0}, "--neurons cannot be 0"),
        (atlas.edit, {"db": db, "fact": "France", "object": "Berlin", "generate": -1}, "--generate cannot be -1"),
        (atlas.edit, {"db": db, "fact": "France"}, "--fact and --object"),
        (atlas.edit, {"db": db, "batch": "edits.csv", "relation": "P36"}, "a file of edits has a column relation"),
        (atlas.edit, {"db": db, "fact": "France", "object": "Berlin", "at": ""}, "--at cannot be ''"),
        (atlas.check, {"db": db, "subject": "France"}, "whole claim"),
        (atlas.check, {"db": db, "claims": ""}, "--claims is empty"),
        (atlas.edit, {"db": db, "fact": "France", "object": "Berlin", "save": ""}, "--save is empty"),
        (atlas.evaluate, {"db": db, "scope": "qurey"}, "did you mean query"),
    ):
        with pytest.raises(UsageError, match=words):
            function(**given)
