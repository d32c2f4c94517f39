"""The end of a build adds up."""

from collections import Counter
from pathlib import Path

from atlas.building.summary import REASONS, Summary
from atlas.schema import PROBE_STATUSES, USABLE_STATUSES


def _summary(**statuses):
    return Summary(Path("a.duckdb"), 1, "demo", "amig", 100, 40, 7, Counter(statuses), (), 1.0)


def test_attributed_skipped_and_left_make_up_the_total():
    summary = _summary(ok=20, not_converged=5, nan=3, not_final=2)
    assert summary.attributed == 25
    assert sum(summary.skipped.values()) == 5
    assert summary.before + summary.attributed + 5 + summary.left == summary.total
    assert summary.interrupted


def test_a_whole_build_is_not_interrupted():
    assert not _summary(ok=60).interrupted


def test_every_status_that_is_not_usable_has_a_reason_in_words():
    assert set(REASONS) == set(PROBE_STATUSES) - set(USABLE_STATUSES)
