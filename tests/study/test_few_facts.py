"""What a study says of fact checking, by an atlas that holds claims of few facts."""

import pyarrow as pa
import pytest

import atlas
from atlas import schema
from atlas.facts import Fact, FactSet, Label
from atlas.ids import stable_id
from atlas.study.claims import CANNOT_BE_SAID, FEWEST, GATHERED
from atlas.study.job import Study, StudyOptions

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
