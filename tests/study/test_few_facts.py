"""What a study says of fact checking, by an atlas that holds claims of few facts, and how its page says it."""

import re

import pyarrow as pa
import pytest

import atlas
from atlas import schema
from atlas.facts import Fact, FactSet, Label
from atlas.ids import stable_id
from atlas.store.digest import digest
from atlas.study.claims import CANNOT_BE_SAID, FEWEST, GATHERED, RULE
from atlas.study.job import Study, StudyOptions
from atlas.study.page import write

pytestmark = pytest.mark.slow

EVALUATION, LANGUAGES = 7, ("en", "fr")


def _facts(count):
    return [Fact("P36", f"s{n}", f"o{n}", {code: Label(f"s{n}", f"o{n}") for code in LANGUAGES}) for n in range(count)]


def _claims(facts, split):
    """Return a true and a wrong claim of every fact in every language."""
    return [
        {
            "claim": stable_id("claim", fact.id, code, truth), "fact": fact.id, "language": code, "relation": "P36",
            "subject": fact.subject, "object": fact.object, "texts": [], "condition": "plain", "truth": truth,
            "split": split,
        }
        for fact in facts for code in LANGUAGES for truth in (True, False)
    ]  # fmt: skip


def _verdicts(run, claims, dkn):
    """Return verdicts by which DKN (if any) put every second claim in the wrong order, the probability none."""
    return [
        {
            "evaluation": EVALUATION, "run": run, "claim": claim["claim"], "evidence": evidence,
            "source_language": claim["language"], "score": score, "threshold": 0.5,
            "supported": None if score is None else score > 0.5, "status": "no dkn neurons" if score is None else "ok",
        }
        for claim in claims
        for evidence, score in (
            ("dkn", float(claim["language"] == "en") if dkn else None), ("probability", float(claim["truth"])),
        )
    ]  # fmt: skip


@pytest.fixture
def finding(tmp_path):
    """What is found of fact checking with so many facts in the test part, and as many in the other."""

    def found(count, dkn=True):
        facts = _facts(2 * count)
        claims = _claims(facts[:count], "test") + _claims(facts[count:], "train")
        with atlas.open(tmp_path / "study.duckdb", "w") as writer:
            writer.add_facts(FactSet("made", facts, []))
            model = {"name": "made", "family": "bert", "kind": "masked", "layers": 1, "neurons": 4, "hidden": 4}
            number = writer.add_model(model | {"vocabulary": 9, "revision": None, "digest": "made"})
            run = writer.start_run(model=number, method="amig", settings={}, seed=0, versions={})
            for table, rows in (("claim", claims), ("verdict", _verdicts(run, claims, dkn))):
                writer.load(table, pa.Table.from_pylist(rows, schema=schema.arrow(table)))
        study = Study(
            StudyOptions("made", out=tmp_path), {"build": {"run": run}, "check": {"evaluation": EVALUATION}}, ()
        )
        with atlas.open(tmp_path / "study.duckdb") as opened:
            opened.scratch(GATHERED, {"run": run})
            return next(each for each in study.findings(opened) if each.claim.needs == "check")

    return found


@pytest.mark.parametrize("count", [1, 3])
def test_many_claims_of_few_facts_say_nothing(finding, count):
    found = finding(count)
    assert (found.verdict, found.facts, found.why) == (CANNOT_BE_SAID, count, f"fewer than {FEWEST} facts")
    assert found.bounded == (count > 1)


def test_enough_facts_are_judged_and_counted(finding):
    found = finding(FEWEST)
    assert found.facts == FEWEST
    assert "fewer" not in found.why
    assert (found.own, found.control) == (0.5, 1.0)


def test_without_a_single_dkn_nothing_is_said_of_them(finding):
    found = finding(FEWEST, dkn=False)
    assert (found.verdict, found.facts, found.why) == (CANNOT_BE_SAID, 0, "nothing was measured on both sides")


@pytest.fixture
def page(finding, tmp_path):
    """The Markdown page of a study with such an atlas, and what was found of fact checking."""

    def written(count=FEWEST, failed=None, left=(), **asked):
        found = finding(count)
        with atlas.open(tmp_path / "study.duckdb") as opened:
            build = {"run": opened.one("SELECT run FROM run"), "seconds": 1234.4, "cut": ["3 left out: no object"]}
        check = {"failed": failed} if failed else {"evaluation": EVALUATION}
        options = StudyOptions("made", **{"out": tmp_path, "methods": ("amig", "kn"), **asked})
        markdown, html = write(Study(options, {"build": build, "check": check | {"seconds": 3.2}}, left))
        assert (markdown.name, html.name) == ("study.md", "study.html")
        return markdown.read_text("utf-8"), found

    return written


def _table(text, title):
    section = text.split(f"\n## {title}\n\n")[1].split("\n\n## ")[0]
    return [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]


def test_the_page_begins_with_what_was_studied_and_by_what(page, tmp_path):
    lines = page()[0].splitlines()[:7]
    with atlas.open(tmp_path / "study.duckdb") as opened:
        name = digest(opened)
    assert lines == [
        "# Do the paper's claims hold?",
        "",
        "- Model made, weights made; scorer amig, seed 0.",
        "- Facts of bundled in all languages, known to the model or not, 40 at most; 10 edits.",
        f"- Atlas study.duckdb, digest {name}; every table below is read from it.",
        "- Seconds by the clock: build 1,234, check 3.",
        "",
    ]


@pytest.mark.parametrize(("asked", "line"), [
    ({"languages": ("en", "fr"), "relations": ("P36", "P38"), "limit": 1000, "known": True},
     "- Facts of bundled, of P36, P38 in en, fr, that the model knows in every language, 1,000 at most; 10 edits."),
    ({"dataset": "mine.csv", "limit": 0, "edits": 0},
     "- Facts of mine.csv in all languages, known to the model or not, all of them; 0 edits."),
    ({"limit": 0, "edits": 1}, "- Facts of bundled in all languages, known to the model or not, all of them; 1 edit."),
    ({"seed": 7, "methods": ("kn",)}, "- Model made, weights made; scorer kn, seed 7."),
    ({"ask": True}, "- Templates: asked for after sentences that do not end in the object."),
    ({"examples": 3}, "- Templates: after 3 examples."),
    ({"ask": True, "examples": 3},
     "- Templates: asked for after sentences that do not end in the object, after 3 examples."),
])  # fmt: skip
def test_the_page_says_which_facts_and_prompts_were_asked_for(page, asked, line):
    assert line in page(**asked)[0].splitlines()


def test_a_claims_row_has_its_numbers_and_what_they_compare(page):
    text, found = page()
    head, _, *rows = _table(text, "Claims")
    (row,) = (row for row in rows if row[0] == found.claim.says)
    assert head == ["claim", "verdict", "facts", "own", "control", "difference", "smallest that counts", "compared"]
    assert row[1:3] == [found.verdict, str(FEWEST)]
    assert found.why == ""
    assert [float(cell) for cell in (*row[3:5], row[6])] == [0.5, 1.0, 0.01]
    difference, low, high = map(float, re.fullmatch(r"(\S+) \[(\S+), (\S+)\]", row[5]).groups())
    assert (difference, low, high) == (-0.5, pytest.approx(found.low, rel=5e-3), pytest.approx(found.high, rel=5e-3))
    assert row[7] == "AUROC of DKN − AUROC of the probability (AUROC)"
    assert f"## Claims\n\n{RULE}\n\n| claim" in text


def test_a_claim_of_one_fact_has_no_interval_and_one_of_nothing_no_difference(page):
    text, found = page(1)
    rows = {row[0]: row for row in _table(text, "Claims")}
    row = rows[found.claim.says]
    assert (row[1], float(row[5])) == (f"cannot be said: fewer than {FEWEST} facts", -0.5)
    row = rows["Localisation: cutting the neurons found costs the answer"]
    assert row[1:6] == ["cannot be said: nothing was measured on both sides", "0", "–", "–", "–"]


def test_the_page_says_what_the_study_went_without(page):
    text, _ = page(failed="no wrong object", left=("edit random",))
    cuts = [["check: not done. no wrong object"], ["build: 3 left out: no object"], ["edit random: still to be done"]]
    assert _table(text, "What the study went without")[2:] == cuts


def test_the_tables_come_in_the_order_of_the_experiments(page):
    titles = re.findall("^## (.*)", page()[0], re.MULTILINE)
    assert titles == [
        "Claims", "What the study went without", "Facts", "Localisation", "Across languages", "LIKN",
        "Pairs of languages", "DKN", "Fact checking", "Edits",
    ]  # fmt: skip


def test_the_table_of_fact_checking_is_of_all_claims_the_best_evidence_first(page):
    text, _ = page()
    head, _, *rows = _table(text, "Fact checking")
    found = [dict(zip(head, row, strict=True)) for row in rows]
    assert [(row["evidence"], float(row["auroc"]), row["unusable"]) for row in found] == [
        ("probability", 1.0, "0"), ("dkn", 0.5, "0"),
    ]  # fmt: skip
    assert {row["claims"] for row in found} == {str(FEWEST * len(LANGUAGES) * 2)}
