"""The unrelated facts of an evaluation: every fact of a table has one in every language, or none has."""

import pytest
from evaluation.conftest import LANGUAGES
from tiny import make_model

import atlas
from atlas.evaluation.job import NO_UNRELATED, EvaluateOptions, evaluate
from atlas.facts import Fact, FactSet, Label, Template

pytestmark = pytest.mark.slow

P36 = (("France", "Paris"), ("Germany", "Berlin"), ("Japan", "capital"))
TEXTS = {"P36": "the capital of [X] is [Y]", "P38": "the currency of [X] is [Y]"}


@pytest.fixture
def evaluated(tmp_path, stored):
    """Evaluate P36 beside facts of P38, given with their languages; return what was found and the changes measured."""

    def run(*others, **options):
        groups = {"P36": [(subject, answer, LANGUAGES) for subject, answer in P36], "P38": others}
        facts = [
            Fact(relation, subject, answer, {code: Label(subject, answer) for code in codes})
            for relation, group in groups.items()
            for subject, answer, codes in group
        ]
        templates = [
            Template(relation, code, text if code == "en" else f"la {text}")
            for relation, text in TEXTS.items()
            for code in LANGUAGES
            if groups[relation]
        ]
        tiny = make_model("bert", "float32")
        folder = stored(tmp_path, tiny.model, tiny.tokenizer, FactSet("test", facts, templates))
        asked = EvaluateOptions(
            db=folder / "a.duckdb", methods=("kn",), method="kn", neurons=3, languages=LANGUAGES, relations=["P36"],
            **options,
        )  # fmt: skip
        found = evaluate(asked)
        with atlas.open(folder / "a.duckdb") as opened:
            rows = opened.sql(
                "SELECT fact.subject, e.measured, e.change, e.change_unrelated FROM intervention_effect AS e "
                "JOIN fact USING (fact) WHERE e.action <> 'inject' AND e.purpose = 'localisation'"
            ).to_pylist()
        return found, rows

    return run


@pytest.mark.parametrize("seed", range(3))
def test_an_unrelated_fact_is_asked_in_every_language(evaluated, seed):
    english = [(subject, "yen", ("en",)) for subject in ("York", "United", "lies", "city", "has")]
    found, rows = evaluated(*english, ("Japan", "currency", LANGUAGES), seed=seed)
    assert {(row["subject"], row["measured"]) for row in rows} == {(s, code) for s, _ in P36 for code in LANGUAGES}
    assert all(row["change_unrelated"] is not None for row in rows)
    assert not [why for _, why in found.left_out if why == NO_UNRELATED]


def test_a_fact_without_an_unrelated_one_is_left_out_of_both_means(evaluated):
    found, rows = evaluated(("Japan", "Paris", LANGUAGES), ("York", "Paris", LANGUAGES))
    assert {row["subject"] for row in rows} == {"Germany", "Japan"}
    assert all(row["change_unrelated"] is not None for row in rows)
    assert [fact.subject for fact in found.left_out["localisation", NO_UNRELATED]] == ["France"]
    for row in found.localisation.to_pylist():
        if row["action"] != "inject":
            assert row["success_rate"] == pytest.approx(row["change"] / row["change_unrelated"])


def test_a_language_in_which_no_fact_has_one_costs_no_fact(evaluated):
    found, rows = evaluated(("Japan", "yen", ("en",)), ("York", "lies", ("en",)))
    assert {row["subject"] for row in rows} == {subject for subject, _ in P36}
    assert {row["measured"] for row in rows if row["change_unrelated"] is None} == {"fr"}
    assert not [why for _, why in found.left_out if why == NO_UNRELATED]


def test_an_atlas_of_one_relation_says_nothing_of_unrelated_prompts(evaluated):
    found, rows = evaluated()
    assert {row["subject"] for row in rows} == {subject for subject, _ in P36}
    assert all(row["change_unrelated"] is None for row in rows)
    assert {row["success_rate"] for row in found.localisation.to_pylist()} == {None}
