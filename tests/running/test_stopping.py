"""The first signal asks, the second one ends."""

import os
import signal
import threading

import pytest

from atlas.running.stopping import orderly_stop


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
