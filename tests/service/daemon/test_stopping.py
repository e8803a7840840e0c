"""Which signals ask a daemon to stop."""

import signal
from collections.abc import Iterator

import pytest

from stream_assoc.service.daemon.stopping import StopRequest

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@pytest.fixture(autouse=True)
def handlers_as_they_were() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_each_of_them_asks_and_is_named(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_DFL)
    stop = StopRequest(1.0)
    stop.on_signals()
    signal.raise_signal(number)
    assert (stop.is_set(), stop.asked_by) == (True, number.name)


def test_under_nohup_a_closed_terminal_ends_nothing() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stop = StopRequest(1.0)
    stop.on_signals()
    signal.raise_signal(signal.SIGHUP)
    assert not stop.is_set()


def test_a_program_in_the_background_heeds_what_its_shell_ignores() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop = StopRequest(1.0)
    stop.on_signals()
    signal.raise_signal(signal.SIGINT)
    assert stop.is_set()
