"""`atlas study` on a demo model and a few facts: one atlas, one ledger, two pages that say the same."""

import json
import re
import shutil
import signal
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest

import atlas
from atlas.cli.main import main
from atlas.editing.job import Done
from atlas.editing.requests import Request
from atlas.errors import AtlasError, StoreError, UsageError
from atlas.facts import Fact, Label, Skip
from atlas.running.progress import Progress
from atlas.study import job
from atlas.study.claims import CLAIMS
from atlas.study.editing import _cuts
from atlas.study.job import Study, StudyOptions, study
from atlas.study.page import Section, markdown, write

WORDS = (
    *("study", "--model", "demo-mgpt", "--languages", "en,fr", "--relations", "P36,P38", "--limit", "8"),
    *("--threads", "1", "--method", "gradient,random", "--replace", "zero", "--edits", "1"),
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / "out"
    assert main([*WORDS, "--out", str(folder)]) == 0
    return folder


def _rows(text, title):
    """Return the rows of a table of the Markdown page."""
    table = text.split(f"## {title}\n")[1].split("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [re.split(r"(?<!\\) \| ", line.strip("| ")) for line in lines[2:]]


@pytest.mark.slow
def test_every_step_is_done_or_says_why_not(folder):
    done = json.loads((folder / "study.json").read_text("utf-8"))["done"]
    names = ["build", "knockout", "evaluate zero", "check", "edit own neurons", "edit other layers", "edit random"]
    assert list(done) == names
    assert {name for name, found in done.items() if "failed" in found} <= {"check"}
    with atlas.open(folder / "study.duckdb") as opened:
        assert opened.sql("SELECT count(*) FROM run WHERE twin_of IS NOT NULL")[0][0].as_py() == 1
        sources = {row["source"].split(" of ")[0] for row in opened.sql("FROM edit").to_pylist()}
    assert {"random", "random in other layers"} < sources


@pytest.mark.slow
def test_the_page_gives_every_claim_a_verdict_from_the_rows_of_the_atlas(folder):
    text = (folder / "study.md").read_text("utf-8")
    rows = _rows(text, "Claims")
    assert [row[0] for row in rows] == [claim.says for claim in CLAIMS]
    assert all(re.match("holds|does not hold|cannot be said: .", row[1]) for row in rows)
    with atlas.open(folder / "study.duckdb") as opened:
        losses = opened.sql("""
            SELECT source, -avg(log_odds_change) AS loss FROM intervention_effect JOIN run USING (run)
            WHERE purpose = 'localisation' AND action = 'suppress' AND method = 'gradient' AND source = 'top'
            GROUP BY source
        """).to_pylist()
    assert float(rows[0][3]) == pytest.approx(losses[0]["loss"], rel=0.01)
    assert rows[1][1].startswith("cannot be said")  # by swap, which was not asked for
    exchanged = _rows(text, "LIKN")[0][5:8]
    assert exchanged == rows[2][2:5]


def _means(rows, value, *sides):
    """How many facts have rows of both sides, and the means over them of their own means."""
    facts = {row["fact"] for row in rows}
    each = [[[row[value] for row in rows if row["fact"] == fact and side(row)] for side in sides] for fact in facts]
    whole = [[sum(side) / len(side) for side in both] for both in each if all(both)]
    return [len(whole), *(sum(column) / len(whole) for column in zip(*whole, strict=True))]


@pytest.mark.slow
def test_both_sides_of_a_claim_are_means_of_the_rows_that_it_names(folder):
    with atlas.open(folder / "study.duckdb") as opened:
        cuts = opened.sql("FROM intervention_effect JOIN run USING (run) WHERE action = 'suppress'").to_pylist()
        edits = opened.sql("FROM edit JOIN edit_outcome USING (edit) WHERE status <> 'not_converged'").to_pylist()
    cuts = [row | {"loss": -row["log_odds_change"]} for row in cuts]
    top = [row for row in cuts if (row["purpose"], row["source"]) == ("localisation", "top")]
    found = {
        0: _means(top, "loss", lambda row: row["method"] == "gradient", lambda row: row["method"] == "random"),
        4: _means(
            [row for row in cuts if row["purpose"] == "cross-lingual"], "loss", lambda row: row["source"] == "likn",
            lambda row: row["source"] == "top" and row["measured"] not in row["languages"],
        ),
    }  # fmt: skip
    for place, measure, value in ((6, "transfer", "argmax_after"), (7, "locality", "same_argmax")):
        own, control = (lambda row: row["source"].startswith("likn")), (lambda row: row["source"] == "random")
        found[place] = _means([row for row in edits if row["measure"] == measure], value, own, control)
    claims = _rows((folder / "study.md").read_text("utf-8"), "Claims")
    for place, (facts, own, control) in found.items():
        assert int(claims[place][2]) == facts > 0
        assert [float(cell) for cell in claims[place][3:5]] == pytest.approx([own, control], rel=0.01, abs=0.005)


@pytest.mark.slow
def test_the_html_page_says_what_the_markdown_says(folder):
    html, text = ((folder / f"study.{end}").read_text("utf-8") for end in ("html", "md"))
    for claim, verdict, *_ in _rows(text, "Claims"):
        assert claim.replace("'", "&#39;") in html
        assert f"<bdi>{verdict}</bdi>" in html
    assert "https://" not in html
    assert "`top`" not in html
    assert 'id="what-the-study-went-without"' in html
    assert "http://" not in html


@pytest.mark.slow
def test_the_page_says_how_templates_were_put_and_shows_no_other_evaluations_and_edits(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "out")
    with atlas.open(tmp_path / "out" / "study.duckdb", "a") as writer:
        for table in ("edit", "edit_outcome"):
            writer.sql(f"INSERT INTO {table} SELECT * REPLACE (edit - 1 AS edit) FROM {table}")
    held = json.loads((folder / "study.json").read_text("utf-8"))
    assert "Templates: " not in (folder / "study.md").read_text("utf-8")
    options = StudyOptions(**{**held["asked"], "out": tmp_path / "out", "ask": True, "examples": 3, "limit": 0})
    done = {name: found for name, found in held["done"].items() if name != "evaluate zero"}
    text = write(Study(options, done, ()))[0].read_text("utf-8")
    assert "Facts of bundled, of P36, P38 in en, fr, known to the model or not, all of them;" in text
    assert "Templates: asked for after sentences that do not end" in text
    assert _rows(text, "Localisation") == _rows(text, "Across languages") == [], "of the steps that are done alone"
    assert _rows(text, "Edits") == _rows((folder / "study.md").read_text("utf-8"), "Edits") != []


@pytest.mark.slow
def test_the_table_of_facts_counts_prompts_and_the_facts_that_the_model_says_in_more_than_half(folder, tmp_path):
    """One fact is made to be said in half of its usable prompts in English, and no prompt of another is usable."""
    shutil.copytree(folder, tmp_path / "out")
    held = json.loads((folder / "study.json").read_text("utf-8"))
    run = int(held["done"]["build"]["run"])
    asked = "SELECT fact, language, prompt.prompt, status, argmax FROM probe JOIN prompt USING (prompt) WHERE run = ?"
    with atlas.open(tmp_path / "out" / "study.duckdb", "a") as writer:
        probes = writer.sql(f"{asked} AND status <> 'not_final' ORDER BY ALL", [run]).to_pylist()
        half, none = ([p for p in probes if (p["fact"], p["language"]) == (fact, "en")]
                      for fact in sorted({p["fact"] for p in probes})[:2])  # fmt: skip
        for column, value, of in (
            ("argmax", "false", half[::2]),
            ("argmax", "true", half[1::2]),
            ("status", "'nan'", none),
        ):
            for probe in of:
                writer.sql(f"UPDATE probe SET {column} = {value} WHERE prompt = ? AND run = ?", [probe["prompt"], run])
        probes = writer.sql(asked, [run]).to_pylist()
    options = StudyOptions(**{**held["asked"], "out": tmp_path / "out"})
    found = _rows(write(Study(options, held["done"], ()))[0].read_text("utf-8"), "Facts")
    for code, facts, known, prompts, usable, _ in found:
        own = [probe for probe in probes if probe["language"] == code]
        said = [p for p in own if p["status"] == "ok"]
        sides = [[p["argmax"] for p in said if p["fact"] == fact] for fact in {p["fact"] for p in own}]
        expected = [len(sides), sum(sum(each) > len(each) - sum(each) for each in sides), len(own), len(said)]
        assert [int(cell) for cell in (facts, known, prompts, usable)] == expected
    assert [int(row[1]) - int(row[2]) for row in found] == [2, 0]


@pytest.mark.slow
@pytest.mark.parametrize("step", [{}, {"knockout": {"failed": "no neurons", "seconds": 1}}])
def test_the_page_says_nothing_of_knockouts_that_were_not_done_to_the_end(folder, tmp_path, step):
    """The atlas holds some; DKN of a few facts would stand as those of all."""
    shutil.copytree(folder, tmp_path / "out")
    held = json.loads((folder / "study.json").read_text("utf-8"))
    done = {name: found for name, found in held["done"].items() if name != "knockout"}
    study = Study(StudyOptions(**{**held["asked"], "out": tmp_path / "out"}), done | step, ())
    text, whole = write(study)[0].read_text("utf-8"), (folder / "study.md").read_text("utf-8")
    assert _rows(text, "DKN") == [] != _rows(whole, "DKN")
    found, before = ({row[0]: row for row in _rows(page, "Claims")} for page in (text, whole))
    (dkn,) = (claim.says for claim in CLAIMS if claim.needs == "dkn")
    assert found.pop(dkn)[1:3] == ["cannot be said: nothing was measured on both sides", "0"] != before.pop(dkn)[1:3]
    assert found == before


@pytest.mark.slow
def test_the_same_command_goes_on_where_it_was_and_another_is_refused(folder, capfd):
    before = (folder / "study.json").read_bytes(), (folder / "study.md").read_bytes()
    assert main([*WORDS, "--out", str(folder)]) == 0
    assert ((folder / "study.json").read_bytes(), (folder / "study.md").read_bytes()) == before
    assert main([*WORDS, "--limit", "9", "--out", str(folder)]) == 2
    assert "asked otherwise (limit)" in capfd.readouterr().err
    held = json.loads(before[0])
    edited = held["done"].pop("edit random")
    (folder / "study.json").write_text(json.dumps(held), "utf-8")
    assert main([*WORDS, "--out", str(folder), "--page"]) == 0
    text = (folder / "study.md").read_text("utf-8")
    assert ["edit random: still to be done"] in _rows(text, "What the study went without")
    assert _rows(text, "Localisation") == _rows(before[1].decode(), "Localisation")
    assert json.loads((folder / "study.json").read_text("utf-8")) == held
    assert main([*WORDS, "--out", str(folder)]) == 0
    again = json.loads((folder / "study.json").read_text("utf-8"))["done"]["edit random"]
    assert again["asked"] == edited["asked"]
    assert _rows((folder / "study.md").read_text("utf-8"), "Edits") == _rows(before[1].decode(), "Edits")


class _StopsAtOnce(Progress):
    """A user who stops the job before its first prompt."""

    def start(self, total, done, things):
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.slow
def test_a_study_that_is_stopped_in_its_build_goes_on(tmp_path):
    options = StudyOptions("demo-mgpt", threads=1, out=tmp_path / "out", languages=("en",), relations=("P36",), limit=2,
                           methods=("gradient",), replaces=(), edits=0)  # fmt: skip
    stopped = study(options, _StopsAtOnce())
    assert (stopped.left[0], stopped.done) == ("build", {})
    assert "build" in study(options).done


def test_a_step_that_could_not_be_done_is_tried_again(tmp_path, monkeypatch):
    said, asked = iter(("no such device", "no such device", None)), []

    def check():
        asked.append("check")
        if why := next(said):
            raise UsageError(why)
        return {"evaluation": "1"}

    steps = {"build": lambda: {"run": "1"}, "check": check, "edit": lambda: {"asked": 0}}
    monkeypatch.setattr("atlas.study.job._steps", lambda *_: steps)
    found = []
    for _ in range(4):
        done = study(StudyOptions(out=tmp_path / "out")).done
        found.append((list(done), done["check"].get("failed"), (tmp_path / "out" / "study.json").read_bytes()))
    assert [why for _, why, _ in found] == ["no such device", "no such device", None, None]
    assert {tuple(names) for names, *_ in found} == {("build", "check", "edit")}
    assert (found[0], found[2]) == (found[1], found[3])
    assert len(asked) == 3


def test_a_study_whose_model_cannot_be_had_leaves_its_folder_to_the_next(tmp_path):
    wrong = StudyOptions("no-such-model", out=tmp_path / "out")
    with pytest.raises(AtlasError, match="no-such-model"):
        study(wrong)
    with pytest.raises(AtlasError, match="another"):
        study(replace(wrong, model="another"))


def test_a_folder_of_anything_else_is_refused(tmp_path, capfd):
    (tmp_path / "notes.txt").write_text("mine", "utf-8")
    assert main([*WORDS, "--out", str(tmp_path)]) == 2
    assert "not empty" in capfd.readouterr().err


@pytest.mark.parametrize("text", [
    "", "{}", "[]", '{"asked": [], "done": {"build": {}}}', '{"asked": {}, "done": {"build": 5}}', "[" * 100_000,
])  # fmt: skip
def test_a_ledger_that_cannot_be_one_is_refused(tmp_path, text):
    """Whatever a file of that name holds that no study wrote."""
    (tmp_path / "study.json").write_text(text, "utf-8")
    with pytest.raises(StoreError, match=r"study\.json cannot be read .* name a new folder"):
        study(StudyOptions(out=tmp_path))
    assert (tmp_path / "study.json").read_text("utf-8") == text


def test_no_page_of_a_study_that_is_not_begun(tmp_path, capfd):
    assert main([*WORDS, "--out", str(tmp_path / "new"), "--page"]) == 2
    assert "holds no study" in capfd.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_fact_that_could_not_be_edited_goes_by_its_name():
    fact = Fact("P36", "Q28", "Q1781", {"en": Label("Hungary", "Budapest"), "fr": Label("Hongrie", "Budapest")})
    done = Done(Request(str(fact.id), "Q90", {"en": "Paris"}, ("en",), "P36"), error=UsageError("it did not fit"))
    assert _cuts({fact.id: fact}, {fact.id: done.request}, [done]) == ["Hungary: it did not fit"]
    (told,) = _cuts({fact.id: fact}, {fact.id: None}, [])
    assert told == "1 fact without another object of the relation in the fact's languages"


def test_a_page_in_markdown():
    """Blank lines between its parts, no note where there is none."""
    sections = [Section("Some facts", "A note.", ("a", "b"), [["1", "2"], ["3", "4"]]), Section("None", "", ("a",), [])]
    assert markdown("Title", ["one", "two"], sections) == (
        "# Title\n\n- one\n- two\n\n## Some facts\n\nA note.\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |\n\n"
        "## None\n\nNone.\n"
    )


def test_a_cell_stays_a_cell():
    text = markdown(
        "T", ["a line"], [Section("S", "", ("a|b", "c"), [["x | y", "two\nlines"]]), Section("E", "", (), [])]
    )
    assert "| a\\|b | c |" in text
    assert "| x \\| y | two lines |" in text
    assert "None." in text.split("## E")[1]


def test_what_a_build_leaves_out_of_several_files_for_one_reason_is_told_once(tmp_path, monkeypatch):
    skips = [
        Skip("en.json", "read before", 2),
        Skip("fr.json", "read before", 3),
        Skip("fr.json", "other", 1),
    ]
    built = SimpleNamespace(run=1, interrupted=False, skips=skips)
    monkeypatch.setattr("atlas.study.job.build", lambda *_: built)
    options = StudyOptions(out=tmp_path / "out")
    monkeypatch.setattr("atlas.study.job._steps", lambda *_: {"build": partial(job._build, options, Progress())})
    assert study(options).done["build"]["cut"] == ["5 left out: read before", "1 left out: other"]
