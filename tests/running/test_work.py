"""Work is loaded batch by batch, whatever stops it."""

from dataclasses import dataclass

import pytest

from atlas.building.plan import make_plan
from atlas.running import work as local
from atlas.running.progress import Progress
from atlas.running.stopping import Stop
from atlas.running.work import work


@dataclass
class Result:
    prompt: int


class Engine:
    """Counts its calls, and does `at[call]` before it answers."""

    def __init__(self, at=None):
        self.at = at or {}
        self.calls = 0
        self.loads = []

    def compute(self, prompts):
        self.calls += 1
        if self.calls in self.at:
            self.at[self.calls]()
        return [Result(prompt.id) for prompt in prompts]

    def load(self, results):
        self.loads.append([result.prompt for result in results])

    @property
    def loaded(self):
        return [prompt for load in self.loads for prompt in load]


@pytest.fixture
def batches(facts):
    return list(make_plan(facts).batches())


def _ids(batches):
    return [prompt.id for batch in batches for prompt in batch]


def _fail(error):
    def act():
        raise error

    return act


def test_everything_is_computed_in_order_and_loaded_once(batches):
    engine = Engine()
    work(batches, engine.compute, engine.load, Progress(), Stop())
    assert engine.loaded == _ids(batches)


def test_batches_are_never_torn_apart_by_a_load(batches, monkeypatch):
    monkeypatch.setattr(local, "LOAD_PROMPTS", 3)
    engine = Engine()
    work(batches, engine.compute, engine.load, Progress(), Stop())
    assert engine.loaded == _ids(batches)
    assert {len(load) for load in engine.loads} == {4}, "two batches of two prompts make the first load past three"


def test_results_do_not_wait_long(batches, monkeypatch):
    monkeypatch.setattr(local, "LOAD_SECONDS", 0.0)
    engine = Engine()
    work(batches, engine.compute, engine.load, Progress(), Stop())
    assert len(engine.loads) == len(batches)


def test_a_stop_ends_after_the_batch_at_hand_and_keeps_it(batches):
    stop = Stop()
    engine = Engine({3: lambda: setattr(stop, "requested", True)})
    work(batches, engine.compute, engine.load, Progress(), stop)
    assert engine.loaded == _ids(batches[:3])


def test_an_error_keeps_what_was_computed_and_says_where(batches):
    engine = Engine({3: _fail(ValueError("boom"))})
    with pytest.raises(ValueError, match="boom") as caught:
        work(batches, engine.compute, engine.load, Progress(), Stop())
    assert engine.loaded == _ids(batches[:2])
    assert caught.value.__notes__ == ["while computing 2 prompts, the first of them <s0, P36, o0> in zh"]


def test_a_second_interrupt_keeps_what_was_computed(batches):
    engine = Engine({2: _fail(KeyboardInterrupt())})
    with pytest.raises(KeyboardInterrupt):
        work(batches, engine.compute, engine.load, Progress(), Stop())
    assert engine.loaded == _ids(batches[:1])


def test_progress_counts_prompts(batches):
    seen = []

    class Counter(Progress):
        def advance(self, prompts):
            seen.append(prompts)

    engine = Engine()
    work(batches, engine.compute, engine.load, Counter(), Stop())
    assert sum(seen) == len(_ids(batches))


def test_a_load_that_fails_is_not_tried_again(batches, monkeypatch):
    monkeypatch.setattr(local, "LOAD_PROMPTS", 1)
    tried = []

    def load(results):
        tried.append(len(results))
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        work(batches, Engine().compute, load, Progress(), Stop())
    assert tried == [2]
