"""A batch of minutes is broken off when it has had its time; what was computed before it is loaded."""

import os
import signal

import pytest
from tiny import PROMPTS, make_model

from atlas.attribution import METHODS, Settings, attribute
from atlas.building.plan import make_plan
from atlas.engine.answers import Case, measure
from atlas.engine.batches import BrokenOffError, pause, pausing
from atlas.running import stopping
from atlas.running.progress import Progress
from atlas.running.stopping import Stop, orderly_stop
from atlas.running.work import work


def refuse():
    raise BrokenOffError


@pytest.mark.parametrize("method", METHODS)
def test_every_scorer_pauses(method):
    with pytest.raises(BrokenOffError), pausing(refuse):
        attribute(make_model("gpt2"), PROMPTS[:1], Settings(method=method))


@pytest.mark.quick(2)
@pytest.mark.parametrize("method", ["amig", "kn", "joint", "greedy"])
def test_a_long_scorer_pauses_between_its_parts(method):
    """With memory for one copy at a time there are many parts in one prompt."""
    seen = []
    with pausing(lambda: seen.append(None)):
        attribute(make_model("gpt2"), PROMPTS[:1], Settings(method=method), budget=1)
    assert len(seen) > 5


def test_answers_pause():
    with pytest.raises(BrokenOffError), pausing(refuse):
        measure(make_model("gpt2"), [Case(PROMPTS[0])])


def test_without_anyone_asking_a_pause_is_nothing():
    pause()
    with pytest.raises(ZeroDivisionError), pausing(lambda: 1 / 0):
        pause()
    pause()


def test_a_signal_ends_the_batch_at_hand_once_its_time_is_over(facts, monkeypatch):
    """SIGTERM in the middle of the third batch, whose time is over at once; two batches are loaded, and no part."""
    monkeypatch.setattr(stopping, "GRACE", 0.0)
    batches, loaded, calls = list(make_plan(facts).batches()), [], []

    def compute(prompts):
        calls.append(prompts)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        pause()
        return [prompt.id for prompt in prompts]

    with orderly_stop(lambda: None) as stop:
        work(batches, compute, loaded.extend, Progress(), stop)
    assert loaded == [prompt.id for batch in batches[:2] for prompt in batch]
    assert len(calls) == 3


def test_a_batch_that_ends_in_time_is_loaded(facts, monkeypatch):
    monkeypatch.setattr(stopping, "GRACE", 1e9)
    batches, loaded, stop = list(make_plan(facts).batches()), [], Stop()

    def compute(prompts):
        stop.request()
        pause()
        return [prompt.id for prompt in prompts]

    work(batches, compute, loaded.extend, Progress(), stop)
    assert loaded == [prompt.id for prompt in batches[0]]
