"""Checking claims end to end, on a planted model that knows its facts."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import atlas
from atlas.attribution import Settings, attribute
from atlas.checking.answers import answer_rows
from atlas.checking.claims import Claim
from atlas.checking.evaluation import EVIDENCE
from atlas.checking.job import CheckOptions, Session, evaluate_claims, opened
from atlas.checking.judge import _Judge, check_claims
from atlas.checking.neurons import without_neurons
from atlas.checking.report import DIFFERENCE, evaluation_table
from atlas.errors import StoreError, UsageError
from atlas.facts import Fact, FactSet, Label
from atlas.knockouts.job import KnockoutOptions, knockout
from atlas.models import load_model
from atlas.running.progress import Progress
from atlas.running.scores import fill_run
from atlas.store.stored import stored_facts

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def evaluated(options):
    return evaluate_claims(options, conditions=["plain", "corrupted", "code-switched"])


def claim_of(row, **other):
    return replace(Claim(row["subject"], row["relation"], row["object"], row["language"]), **other)


def test_a_model_that_knows_its_facts_is_told_from_one_that_does_not(evaluated):
    rows = {(row["condition"], row["evidence"]): row for row in evaluation_table(evaluated[1], 0).to_pylist()}
    assert {evidence for _, evidence in rows} == set(EVIDENCE)
    assert rows["plain", "probability"]["auroc"] == 1
    assert rows["plain", "combined"]["auroc"] == 1
    assert rows["plain", "random"]["auroc"] < 0.9
    assert len({row["claims"] for (condition, _), row in rows.items() if condition == "plain"}) == 1


def test_the_view_and_the_table_agree(options, evaluated):
    identity, found, _ = evaluated
    with atlas.open(options.db) as opened:
        rows = opened.sql(
            "FROM fact_check_metrics WHERE evaluation = ? AND relation IS NULL AND language IS NULL "
            "AND source_language IS NULL",
            [identity],
        ).to_pylist()
    seen = {(row["condition"], row["evidence"]): row for row in rows}
    for row in evaluation_table(found, 0).to_pylist():
        other = seen[row["condition"], row["evidence"]]
        assert (other["claims"], other["unusable"]) == (row["claims"], row["unusable"])
        for name in ("precision", "recall", "f1", "accuracy", "auroc", DIFFERENCE):
            assert other[name] == (None if row[name] is None else pytest.approx(row[name])), name
        low, high = other[f"{DIFFERENCE}_low"], other[f"{DIFFERENCE}_high"]
        assert low <= other[DIFFERENCE] <= high
        # Poisson in place of multinomial draws: wider, with as few subjects as here.
        assert (low, high) == pytest.approx((row[f"{DIFFERENCE}_low"], row[f"{DIFFERENCE}_high"]), abs=0.2)


def test_subjects_are_on_one_side_of_the_split_and_thresholds_come_from_training(options, evaluated):
    with atlas.open(options.db) as opened:
        both = opened.sql(
            "SELECT fact.subject FROM claim JOIN fact USING (fact) WHERE split IS NOT NULL "
            "GROUP BY ALL HAVING count(DISTINCT split) > 1"
        )
        rows = opened.sql(
            "SELECT split, relation, language, evidence, count(DISTINCT threshold) AS n "
            "FROM verdict JOIN claim USING (claim) "
            "WHERE evaluation = ? AND source_language = language AND threshold IS NOT NULL GROUP BY ALL",
            [evaluated[0]],
        ).to_pylist()
    assert len(both) == 0
    assert {row["split"] for row in rows} == {"train", "test"}
    assert all(row["n"] == 1 for row in rows)


def test_facts_of_relations_without_neurons_are_counted_by_language(options, facts):
    with atlas.open(options.db) as opened:
        run = opened.one("SELECT run FROM run WHERE method = 'amig'")
        known = {row["relation"] for row in facts}
        own = sum(row["relation"] == "R0" for row in facts)
        why = "no training fact of their relation (R0) has neurons"
        assert without_neurons(opened, run, known, ()) == {}
        assert without_neurons(opened, run, known - {"R0"}, ()) == {why: own}
        assert without_neurons(opened, run, known - {"R0"}, ["de"]) == {why: own // 2}


def test_evaluating_again_adds_nothing(options, evaluated):
    with atlas.open(options.db) as opened:
        before = opened.sql("SELECT count(*) AS n FROM verdict").to_pylist()
    again, _, _ = evaluate_claims(options, conditions=["plain", "corrupted", "plain", "code-switched"])
    with atlas.open(options.db) as opened:
        assert opened.sql("SELECT count(*) AS n FROM verdict").to_pylist() == before
    assert again == evaluated[0]


def test_neurons_of_one_language_judge_claims_in_another(options, evaluated):
    with atlas.open(options.db) as opened:
        rows = opened.sql(
            "SELECT evidence, source_language, language, auroc FROM fact_check_metrics WHERE evaluation = ? "
            "AND source_language IS NOT NULL AND relation IS NULL AND language IS NOT NULL AND condition = 'plain'",
            [evaluated[0]],
        ).to_pylist()
    assert {(row["evidence"], row["source_language"], row["language"]) for row in rows} == {
        (evidence, *pair) for evidence in ("dkn", "dkn-or-kn") for pair in (("en", "de"), ("de", "en"))
    }


def test_a_claim_is_judged_by_attribution_at_the_subject(options, facts, tmp_path):
    """By neurons of a run there, scored there; the same neurons at the query have other scores."""
    there = replace(options, db=tmp_path / "subject.duckdb", source="kn", at="subject")
    shutil.copy(options.db, there.db)
    model, own = load_model(options.model, device="cpu"), Settings(method="kn", at="subject")
    row = next(row for row in facts if row["split"] == "train")
    with atlas.open(there.db, "a") as writer:
        prompts = [prompt for prompt in stored_facts(writer).prompts() if prompt.fact.relation == row["relation"]]
        run = fill_run(writer, model, [prompts], own)
        members = "SELECT layer, neuron FROM relation_kn_all WHERE definition = 'default' AND run = ? AND language = ?"
        neurons = writer.sql(members, [run, row["language"]])
    (answer,) = check_claims(there, [claim_of(row)], "kn")
    asked = [p for p in prompts if (p.fact.id, p.language, p.text) == (row["fact"], row["language"], answer.texts[0])]
    places = tuple(column.to_pylist() for column in neurons.columns)
    at_subject, at_query = (attribute(model, asked, Settings(method="kn", at=at))[0] for at in ("subject", "query"))
    assert answer.score == pytest.approx(float(at_subject.scores[places].mean()), rel=1e-5)
    assert answer.score != pytest.approx(float(at_query.scores[places].mean()), rel=1e-2)


def test_true_and_wrong_claims_are_judged(options, facts):
    row = next(row for row in facts if row["split"] == "train")
    other = next(r["object"] for r in facts if r["language"] == row["language"] and r["object"] != row["object"])
    true, wrong = check_claims(options, [claim_of(row), claim_of(row, object=other)], "dkn-or-kn")
    assert (true.status, wrong.status) == ("ok", "ok")
    assert true.score > wrong.score
    assert true.probability > 0.5 > wrong.probability
    assert true.texts == wrong.texts
    assert len(true.neurons) >= 1
    assert true.threshold == wrong.threshold
    unseen = claim_of(row, subject=f"\u200f{row['subject']}\u200b", object=f" {row['object']}\u00ad")
    again = check_claims(options, [unseen], "dkn-or-kn")[0]
    assert (again.claim, again.notes, again.threshold) == (true.claim, true.notes, true.threshold), "read as facts are"


def learn_training_facts(db):
    """Let training subjects of R1 have facts of R0 as well, which the model does not know."""
    with atlas.open(db, "a") as writer:
        known = stored_facts(writer).facts
        train = set(writer.sql("SELECT fact FROM fact_split WHERE split = 'train'")["fact"].to_pylist())
        givers = [fact for fact in known if fact.relation == "R0" and fact.id not in train]
        subjects = [fact for fact in known if fact.relation == "R1" and fact.id in train]
        made = [
            Fact("R0", own.subject, giver.object, {
                code: Label(label.subject, giver.labels[code].object) for code, label in own.labels.items()
            })
            for own, giver in zip(subjects, givers, strict=False)
        ]  # fmt: skip
        assert writer.add_facts(FactSet("more", made, ()))["fact"] == len(made) > 1


def test_verdicts_in_another_number_type_are_others(options, monkeypatch):
    with opened(replace(options, dtype="float64"), None) as session:
        assert session.number_type == ["float64"]
        judge, asked = _Judge(session, "kn"), ("asked", "R0", "en")
        before = judge._identity(*asked)
        monkeypatch.setattr(Session, "number_type", [])
        assert judge._identity(*asked) != before


def test_a_threshold_is_that_of_the_training_facts_whenever_they_came(options, facts, tmp_path):
    """Facts that come between two checks count as if they had come before both, and both verdicts are kept."""
    early, late = (replace(options, db=tmp_path / f"{name}.duckdb") for name in ("early", "late"))
    for one in (early, late):
        shutil.copy(options.db, one.db)
    claim = claim_of(next(row for row in facts if row["relation"] == "R0"))
    before = check_claims(late, [claim], "kn")[0]
    for one in (early, late):
        learn_training_facts(one.db)
    (first,), (second,) = (check_claims(one, [claim], "kn") for one in (early, late))
    assert second == first
    assert second.threshold != before.threshold
    with atlas.open(late.db) as opened:
        rows = opened.sql("SELECT threshold FROM verdict JOIN claim USING (claim) WHERE condition = 'asked'")
    assert {before.threshold, second.threshold} <= set(rows["threshold"].to_pylist())
    assert check_claims(late, [claim], "kn") == [second]


class Steps(Progress):
    """What a job says that it does."""

    def __init__(self):
        self.said = []

    def step(self, text):
        self.said.append(text)


def test_a_threshold_is_tuned_once_and_claims_that_were_not_put_are_not_stored(options, facts, tmp_path):
    own = replace(options, db=tmp_path / "own.duckdb")
    shutil.copy(options.db, own.db)
    with atlas.open(own.db, "a") as writer:
        for table in ("verdict", "claim"):
            writer.sql(f"DELETE FROM {table}")
    good = claim_of(next(row for row in facts if row["relation"] == "R0"))
    bad, found = [replace(good, relation="P0"), replace(good, problem="the object is empty")], []
    for tuned in (True, False):
        steps = Steps()
        answer, *others = check_claims(own, [good, *bad], "kn", progress=steps)
        assert [text for text in steps.said if "tuning" in text] == [
            f"tuning the threshold of R0 in {good.language} on training facts"
        ] * tuned
        assert [bool(other.texts) for other in others] == [False, False]
        found.append(answer)
    assert check_claims(own, [good], "kn", strict=True) == [found[0]] == [found[1]]
    with pytest.raises(UsageError, match=r"^The claim is unusable"):
        check_claims(own, [good, bad[1]], "kn", strict=True)
    with atlas.open(own.db) as opened:
        rows = opened.sql("FROM verdict JOIN claim USING (claim)").to_pylist()
        assert opened.one("SELECT count(*) FROM claim WHERE condition = 'asked'") == 1
    assert {row["threshold"] for row in rows} == {answer.threshold}
    assert {(row["condition"], row["split"]) for row in rows} == {("asked", None), ("plain", "train")}
    assert {(row["relation"], row["language"]) for row in rows} == {("R0", good.language)}, "of these alone it is tuned"


def test_unknown_names_are_text_and_the_language_is_told(options, facts):
    row = facts[0]
    (answer,) = check_claims(options, [claim_of(row, subject="en0", language=None, object=row["object"])], "dkn-or-kn")
    assert answer.claim.language in {"en", "de"}
    assert any("language" in note for note in answer.notes)
    (unknown,) = check_claims(options, [claim_of(row, subject=row["object"])], "dkn-or-kn")
    assert any("does not know the subject" in note for note in unknown.notes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"relation": "P0"}, "There is no relation 'P0'"),
        ({"language": "xx"}, "There is no language 'xx'"),
        ({"object": "☃"}, "cannot spell"),
        ({"problem": "the object is empty"}, "unusable"),
    ],
)
def test_what_cannot_be_judged_says_why(options, facts, change, words):
    bad = claim_of(facts[0], **change)
    good, answer = check_claims(options, [claim_of(facts[0]), bad], "dkn-or-kn")
    assert good.status == "ok"
    assert answer.supported is None
    assert words in answer.status
    assert answer_rows([good, answer]).column("verdict").to_pylist()[1] is None
    with pytest.raises(UsageError, match=words):
        check_claims(options, [bad], "dkn-or-kn", strict=True)
    assert not list(options.db.parent.glob("*.check-*"))


def test_a_command_to_be_pasted_quotes_names_with_spaces():
    session = SimpleNamespace(options=CheckOptions("my model", db=Path("my atlas")), neurons={})
    with pytest.raises(UsageError, match="knockout --model 'my model' --relations 'born in' --db 'my atlas'`"):
        _Judge(session, "dkn")._check_neurons("born in", "en")


def test_wrong_options_are_usage_errors(options, facts):
    with pytest.raises(UsageError, match="--evidence cannot be 'astrology'"):
        check_claims(options, [claim_of(facts[0])], "astrology")
    with pytest.raises(UsageError, match="--conditions cannot be 'upside-down'"):
        evaluate_claims(options, conditions=["upside-down"])
    with pytest.raises(UsageError, match="There is no relation 'P0'"):
        evaluate_claims(options, relations=["P0"])
    with pytest.raises(UsageError, match="There is no language 'xx'"):
        evaluate_claims(options, languages=["xx"])
    with pytest.raises(UsageError, match="true or no wrong"):
        evaluate_claims(options, limit=1)
    with pytest.raises(UsageError, match=r"test part .* in a language: no held-out template"):
        evaluate_claims(options, conditions=["held-out"])
    with pytest.raises(UsageError, match=r"atlas build .* --method greedy"):
        evaluate_claims(replace(options, source="greedy"))
    with pytest.raises(UsageError, match=r"atlas knockout .* --from union"):
        evaluate_claims(replace(options, source="union"))
    with pytest.raises(UsageError, match="There is no scorer 'astrology'"):
        evaluate_claims(replace(options, source="astrology"))


def test_an_atlas_that_is_not_there_is_an_error_and_not_made(options, tmp_path):
    missing = replace(options, db=tmp_path / "typo.duckdb")
    with pytest.raises(StoreError, match="no atlas"):
        check_claims(missing, [Claim("a", "P1", "b")])
    with pytest.raises(StoreError, match="no atlas"):
        knockout(KnockoutOptions(model=options.model, db=missing.db))
    assert not missing.db.exists()
