"""The first signal asks, the second one ends."""

import os
import signal
import threading

import pytest

from atlas.running.stopping import is_orderly, orderly_stop


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_sets_the_stop_and_the_second_raises(number):
    heard = []
    with orderly_stop(lambda: heard.append("stopping")) as stop:
        assert not stop.requested
        os.kill(os.getpid(), number)
        assert stop.requested
        assert heard == ["stopping"]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)


def test_handlers_are_put_back():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(ValueError, match="boom"), orderly_stop(lambda: None):
        raise ValueError("boom")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_outside_the_main_thread_nothing_is_touched():
    stops = []

    def run():
        with orderly_stop(lambda: None) as stop:
            stops.append(stop.requested)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert stops == [False]


def test_what_a_stopped_job_tells_is_left_alone():
    """Its queries after the stop say what was done; a second signal, or the next job, ends that."""
    with orderly_stop(lambda: None):
        os.kill(os.getpid(), signal.SIGTERM)
    assert is_orderly()
    with orderly_stop(lambda: None):
        pass
    assert not is_orderly()
    with orderly_stop(lambda: None):
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
    assert not is_orderly()
