"""Stores are asked for signs of life, each for itself."""

import threading

from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.service.daemon.health import Health, probing
from stream_assoc.service.instruments import Instruments

PATIENCE_SECONDS = 60.0


class Store:
    """Answers, or raises what it is told to; counts the questions."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self._n_asked = 0
        self._is_asked = threading.Condition()

    def ping(self) -> None:
        with self._is_asked:
            self._n_asked += 1
            self._is_asked.notify_all()
        if self.error is not None:
            raise self.error

    def is_asked(self, times: int) -> bool:
        """Wait until it is asked so many times from now on: earlier questions tell nothing of what is true now."""
        with self._is_asked:
            enough = self._n_asked + times
            return self._is_asked.wait_for(lambda: self._n_asked >= enough, PATIENCE_SECONDS)


def test_what_goes_and_comes_back_is_noticed_without_any_work() -> None:
    store, health = Store(), Health(Instruments())
    with probing(health, {"apdb": store.ping}, 0.001):
        # Two questions: the answer to the first is known when the second is asked.
        assert store.is_asked(2)
        assert health.is_up("apdb")
        store.error = ApdbUnavailableError("away")
        assert store.is_asked(3)
        assert not health.is_up("apdb")
        store.error = None
        assert store.is_asked(3)
        assert health.is_up("apdb")


def test_a_store_that_does_not_answer_holds_up_neither_the_other_nor_the_end() -> None:
    other, health, stuck = Store(), Health(Instruments()), threading.Event()

    def hang() -> None:
        stuck.wait(PATIENCE_SECONDS)

    with probing(health, {"apdb": hang, "cache": other.ping}, 0.001):
        assert other.is_asked(5)
    stuck.set()


def test_nobody_is_asked_after_the_end() -> None:
    store = Store()
    with probing(Health(Instruments()), {"asked": store.ping}, 0.001):
        assert store.is_asked(1)
    names = {thread.name for thread in threading.enumerate()}
    assert "probe-asked" not in names
