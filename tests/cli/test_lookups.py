"""`import`, `facts`, `neurons`, `runs`, `doctor`, `upgrade` and `report`."""

import json

import pytest

import atlas
from atlas.reports.pages.shared import Draft
from atlas.reports.site import KINDS, Kind


def _rows(ended):
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


@pytest.mark.slow
def test_import_adds_facts_without_a_model_and_counts_them(shell, data, db):
    ended = shell("import", data, "--db", db)
    assert ended.code == 0
    assert "Read 4 facts and 7 templates" in ended.out
    assert str(db) in ended.out
    again = shell("import", data, "--db", db)
    assert "0 fact" in again.out
    assert len(_rows(shell("facts", "--db", db, "--json", "--limit", 0))) == len(
        _rows(shell("sql", "SELECT * FROM fact_label", "--db", db, "--json"))
    )


@pytest.mark.slow
def test_facts_are_found_by_part_of_a_name_in_any_language(shell, data, db):
    shell("import", data, "--db", db)
    found = _rows(shell("facts", "法国", "--db", db, "--json"))
    assert {row["object"] for row in found} == {"巴黎"}
    assert _rows(shell("facts", "--relation", "P38", "--db", db, "--json"))[0]["subject"] == "Japan"
    assert _rows(shell("facts", "no such thing", "--db", db, "--json")) == []
    assert "no fact's name holds 'Frence'; did you mean France?" in shell("facts", "Frence", "--db", db).err


@pytest.mark.slow
def test_neurons_of_the_atlas_and_of_a_fact(built, shell, db):
    summary = _rows(shell("neurons", "--db", db, "--json", "--limit", 0))
    assert {(row["layer"], row["neuron"]) for row in summary}
    of_france = _rows(shell("neurons", "--fact", "France", "--language", "en", "--db", db, "--json", "--limit", 0))
    assert {row["language"] for row in of_france} == {"en"}
    one = of_france[0]
    same = _rows(shell("neurons", "--layer", one["layer"], "--neuron", one["neuron"], "--db", db, "--json"))
    assert {(row["layer"], row["neuron"]) for row in same} == {(one["layer"], one["neuron"])}
    shared = _rows(shell("neurons", "--fact", "France", "--likn", "--db", db, "--json", "--limit", 0))
    assert {(r["layer"], r["neuron"]) for r in shared} <= {(r["layer"], r["neuron"]) for r in of_france}


@pytest.mark.slow
def test_neurons_are_told_to_another_package(built, shell, db, tmp_path):
    rows = _rows(shell("neurons", "France", "--db", db, "--json", "--limit", 0))
    found = {(row["layer"], row["neuron"]) for row in rows}
    ended = shell("neurons", "France", "--hooks", "transformer-lens", "--db", db, "--limit", 0)
    told = json.loads(ended.out)
    assert (told["family"], told["position"], told["model"]) == ("bert", "query", rows[0]["model"])
    assert {(f"blocks.{layer}.mlp.hook_post", neuron) for layer, neuron in found} == {
        (name, neuron) for name, own in told["hooks"].items() for neuron in own
    }
    place = tmp_path / "hooks.json"
    one = shell("neurons", "France", "--hooks", "transformer-lens", "--db", db, "--limit", 1, "--output", place)
    assert "the first 1 rows" in one.err
    assert json.loads(place.read_text("utf-8"))["hooks"] == {
        f"blocks.{rows[0]['layer']}.mlp.hook_post": [rows[0]["neuron"]]
    }


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--hooks", "pyvene"), 2, "pyvene takes no models of family 'bert'"),
        (("--hooks", "pyvene", "--format", "csv"), 2, "--hooks writes JSON of its own"),
        (("--hooks", "pyveen"), 2, "pyveen"),
        (("--hooks", "transformer-lens", "--relations", "P38"), 2, "No neuron fits"),
    ],
)
def test_what_no_package_can_be_told_is_refused(built, shell, db, words, code, said):
    ended = shell("neurons", "France", *words, "--db", db)
    assert (ended.code, ended.out) == (code, "")
    assert said in ended.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("thresholds", "languages"),
    [({"min_languages": 2}, 3), ({"known": True}, 2), ({"known": True, "min_languages": 2}, 2)],
)
def test_a_fact_is_set_beside_what_its_definition_expects_by_chance(built, shell, db, thresholds, languages):
    """A language that does not count, as the model does not know the fact there, is none of those that it is over."""
    with atlas.open(db, "a") as writer:
        writer.sql("UPDATE probe SET argmax = language <> 'zh' FROM prompt WHERE prompt.prompt = probe.prompt")
        writer.define("other", **thresholds)
        query = "FROM likn_control_all JOIN fact USING (fact) WHERE definition = 'other' AND subject = 'france'"
        (row,) = writer.sql(query).to_pylist()
    said = shell("neurons", "France", "--definition", "other", "--relation", "P36", "--db", db)
    assert row["of_languages"] == languages
    assert row["expected"] > 0
    assert f"over {languages} languages; random sets as large would share {row['expected']:.1g}." in said.out
    rows = _rows(shell("neurons", "France", "--definition", "other", "--db", db, "--json"))
    assert {row["of_languages"] for row in rows} == {languages}


@pytest.mark.slow
def test_another_tau_is_another_query(built, shell, db):
    counts = [
        len(_rows(shell("neurons", "--fact", "France", "--tau", tau, "--db", db, "--json", "--limit", 0)))
        for tau in (0.1, 0.5, 0.9)
    ]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[2]
    ended = shell("neurons", "--fact", "France", "--tau", 0.01, "--db", db)
    assert ended.code == 1
    assert "floor" in ended.err


@pytest.mark.parametrize(
    "words",
    [
        ("--layer", 1, "--fact", "France"),
        ("--neuron", 1, "--likn"),
        ("--likn", "--language", "en"),
        ("--fact", "Atlantis"),
        ("--definition", "none such"),
    ],
)
def test_options_that_make_no_sense(built, shell, db, words):
    ended = shell("neurons", *words, "--db", db)
    assert ended.code == 2
    assert ended.err.startswith("error: ")


def test_runs_name_model_method_and_status(built, shell, db):
    (run,) = _rows(shell("runs", "--db", db, "--json"))
    assert run["method"] == "amig"
    assert run["status"] == "done"


@pytest.mark.slow
def test_doctor_finds_an_atlas_in_order(built, shell, db):
    findings = _rows(shell("doctor", "--db", db, "--json"))
    assert {finding["status"] for finding in findings} == {"ok"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "check"),
    [
        ("DELETE FROM probe", "rows of attribution without their probe"),
        ("INSERT INTO attribution SELECT * FROM attribution LIMIT 1", "scores that come twice"),
        ("UPDATE probe_layer SET score_sum = score_sum + 1", "layers whose scores do not add up"),
        ("DELETE FROM prompt", "rows of probe without their prompt"),
        ("UPDATE model SET layers = 1", "scores of neurons that the model does not have"),
    ],
)
def test_doctor_finds_damage(built, shell, db, damage, check):
    assert shell("sql", damage, "--db", db, "--write").code == 0
    ended = shell("doctor", "--db", db, "--json")
    assert ended.code == 1
    wrong = [finding for finding in json.loads(ended.out) if finding["status"] == "wrong"]
    assert any(finding["subject"].startswith(check) and finding["remedy"] for finding in wrong)


@pytest.mark.slow
def test_doctor_warns_of_a_run_cut_off(built, shell, db):
    shell("sql", "UPDATE run SET status = 'running'", "--db", db, "--write")
    ended = shell("doctor", "--db", db, "--json")
    assert ended.code == 0
    assert [f["subject"] for f in json.loads(ended.out) if f["status"] == "warning"] == ["runs that are not done"]


@pytest.mark.slow
def test_doctor_tells_a_digest_of_the_content(built, shell, db):
    ended = shell("doctor", "--db", db, "--digest")
    assert (ended.code, ended.err, len(ended.out)) == (0, "", 33)
    assert shell("doctor", "--db", db, "--digest", "--json").out == f'[\n{{"digest": "{ended.out.strip()}"}}\n]\n'
    shell("sql", "DELETE FROM attribution WHERE rowid = 0", "--db", db, "--write")
    assert shell("doctor", "--db", db, "--digest").out != ended.out
    assert "leave out --model" in shell("doctor", "--model", "demo-mbert", "--digest").err


def test_doctor_hears_no_option_of_a_model_where_none_is_named(shell, db):
    ended = shell("doctor", "--db", db, "--allow-pickle")
    assert (ended.code, ended.out) == (2, "")
    assert "--allow-pickle is of a model: name one with --model, or leave it out." in ended.err


@pytest.mark.slow
def test_doctor_names_what_killed_commands_left(built, shell, db):
    db.with_name(f".{db.name}.upgrade").write_bytes(b"half of a copy")
    db.with_name(".other.duckdb.upgrade").touch()
    (found,) = [f for f in _rows(shell("doctor", "--db", db, "--json")) if f["status"] != "ok"]
    assert found["detail"].endswith(f": .{db.name}.upgrade")
    assert found["remedy"].startswith("remove them")


def test_doctor_looks_at_a_broken_file_too(shell, tmp_path):
    ended = shell("doctor", "--db", tmp_path / "none" / "x.duckdb", "--json")
    assert ended.code == 1
    assert json.loads(ended.out)[-1]["status"] == "wrong"


def test_upgrade_of_an_atlas_of_this_version_changes_nothing(built, shell, db):
    ended = shell("upgrade", "--db", db)
    assert ended.code == 0
    assert str(db) in ended.out


@pytest.mark.slow
def test_an_atlas_of_a_newer_version_is_left_alone(built, shell, db):
    shell("sql", "UPDATE schema_version SET version_num = '9999'", "--db", db, "--write")
    for words in (("sql", "SELECT 1"), ("build",), ("upgrade",), ("runs",)):
        ended = shell(*words, "--db", db)
        assert ended.code == 1
        assert "newer version" in ended.err


@pytest.mark.slow
def test_a_second_writer_is_told_who_holds_the_atlas(built, build, db):
    import subprocess
    import sys

    hold = "import sys, atlas\nwith atlas.open(sys.argv[1], 'a'):\n    print('held', flush=True)\n    sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(db)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        ended = build()
        holder.stdin.close()
    assert ended.code == 1
    assert f"held by process {holder.pid}" in ended.err


@pytest.mark.slow
def test_report_shows_an_atlas(built, shell, db, tmp_path):
    ended = shell("report", "--db", db, "--out", tmp_path / "site")
    assert ended.code == 0
    page = (tmp_path / "site" / "index.html").read_text("utf-8")
    for text in ("tiny-bert", "single template", "model does not know the answer", "LIKN", "<svg"):
        assert text in page


@pytest.mark.slow
def test_report_of_facts_alone(shell, data, db, tmp_path):
    shell("import", data, "--db", db)
    assert shell("report", "--db", db, "--out", tmp_path / "site").code == 0
    assert "No model has been run yet" in (tmp_path / "site" / "index.html").read_text("utf-8")


@pytest.mark.slow
def test_report_names_a_page_that_fails(shell, data, db, tmp_path, monkeypatch):
    shell("import", data, "--db", db)
    monkeypatch.setitem(KINDS, "relations", Kind(lambda snapshot: [Draft("relations/odd.html", lambda: 1 / 0)]))
    ended = shell("report", "--db", db, "--out", tmp_path / "site")
    assert ended.code == 1
    assert "relations/odd.html could not be made: ZeroDivisionError: division by zero" in ended.err
    assert "ZeroDivisionError" in (tmp_path / "site" / "relations" / "odd.html").read_text("utf-8")
    assert (tmp_path / "site" / "index.html").is_file()


@pytest.mark.slow
def test_a_lookup_says_which_run_it_took_and_another_may_be_chosen(built, shell, db):
    ended = shell("neurons", "--db", db, "--json")
    (first,) = {row["method"] for row in _rows(ended)}
    assert f"note: taken: run {_rows(ended)[0]['run']}, {first} of " in ended.err
    (shown,) = _rows(shell("use", "--db", db, "--json"))
    assert (shown["method"], shown["definition"], shown["chosen"]) == (first, "default", False)
    (shown,) = _rows(shell("use", "--run", shown["run"], "--definition", "strict", "--db", db, "--json"))
    assert (shown["definition"], shown["chosen"]) == ("strict", True)
    assert shell("use", "--newest", "--columns", "nope", "--db", db).code == 2
    assert _rows(shell("use", "--db", db, "--json")) == [shown]
    assert {row["definition"] for row in _rows(shell("sql", "from knowledge_neuron", "--db", db, "--json"))} == {
        "strict"
    }
    (shown,) = _rows(shell("use", "--newest", "--definition", "default", "--db", db, "--json"))
    assert (shown["definition"], shown["chosen"]) == ("default", False)
    assert shell("use", "--newest", "--method", "amig", "--db", db).code == 2
    assert shell("neurons", "--run", shown["run"], "--method", "amig", "--db", db).code == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("facts", "--limit", "-1"), "--limit': give a number of at least 0"),
        (("facts", "--limit", "x"), "--limit': give a whole number"),
        (("neurons", "--tau", "7"), "--tau': give a number of at most 1"),
        (("neurons", "--tau", "much"), "--tau': give a number"),
        (("build", "--at", "foo"), "--at': 'foo' is not one of 'query', 'subject'."),
    ],
)
def test_wrong_values_are_refused_in_our_words(shell, words, said):
    ended = shell(*words)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines()[0].endswith(said)


def test_what_narrows_a_fact_is_told_its_way(shell):
    ended = shell("neurons", "New York", "--tau", "0.3")
    assert (ended.code, "; --fact 'New York' goes with --languages, --likn and --tau." in ended.err) == (2, True)
