"""What the command line tells of a job that nobody watches."""

import pytest

from atlas.cli.output import progress
from atlas.cli.output.progress import TerminalProgress


@pytest.fixture
def passed(monkeypatch):
    """Seconds that have passed, as the test sets them."""
    seconds = [0.0]
    monkeypatch.setattr(progress, "monotonic", lambda: seconds[0])
    return seconds


def test_a_step_is_told_where_half_a_minute_told_of_none(passed, capsys):
    shown = TerminalProgress()
    for at in (10, 31, 40, 60, 61, 92):
        passed[0] = at
        shown.step(f"asking at {at}")
    assert capsys.readouterr().err.splitlines() == [f"asking at {at} ..." for at in (31, 61, 92)]


def test_a_warning_is_given_once(capsys):
    shown = TerminalProgress()
    for text in ("one", "two", "one"):
        shown.warn(text)
    assert capsys.readouterr().err.splitlines() == ["warning: one", "warning: two"]


def test_batches_of_more_than_half_a_minute_have_a_rate_and_a_time_left(passed):
    shown = TerminalProgress()
    shown._bar.get_time = lambda: passed[0]
    shown.start(45, 5, "prompts")
    told = []
    for at in (53, 106):
        passed[0] = at
        shown.advance(8)
        task = shown._bar.tasks[0]
        told.append((str(progress._RateColumn().render(task)), task.time_remaining))
    shown.finish()
    assert told == [("0.15/s", 212), ("0.15/s", 159)]
