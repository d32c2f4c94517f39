"""What answers are worth where the truth of the claims is known."""

import math

import pytest

from atlas.checking.answers import Answer, answer_rows, marks
from atlas.checking.claims import Claim


def _answer(number, truth, score, threshold=0.5, status="ok", relation="R0"):
    return Answer(Claim(f"s{number}", relation, "o", "en", truth), "kn", status, score=score, threshold=threshold)


def test_accuracy_and_auroc_are_those_of_claims_with_a_truth_and_a_verdict():
    answers = [
        _answer(0, True, 0.9),
        _answer(1, True, 0.4),
        _answer(2, False, 0.6),
        _answer(3, False, 0.1),
        _answer(4, False, 0.2),
        _answer(5, None, 0.9),
        _answer(6, True, None, status="no template"),
        _answer(7, True, 0.7, relation="R1"),
    ]
    known, numbers = marks(answer_rows(answers), seed=0)
    assert known == 6
    assert numbers["accuracy"].value == pytest.approx(4 / 6)
    # Pairs within a relation: 0.9 beats all three, 0.4 beats two of three.
    assert numbers["auroc"].value == pytest.approx(5 / 6)
    assert numbers["accuracy"].low <= numbers["accuracy"].value <= numbers["accuracy"].high


def test_without_a_truth_nothing_is_said_and_with_one_class_no_auroc():
    assert marks(answer_rows([_answer(0, None, 0.9)]), seed=0) == (0, {})
    known, numbers = marks(answer_rows([_answer(0, True, 0.9), _answer(1, True, 0.1)]), seed=0)
    assert known == 2
    assert math.isnan(numbers["auroc"].value)
