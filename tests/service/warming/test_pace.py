"""The share of the time that warming takes, and whom it waits for."""

from stream_assoc.service.warming.pace import Pace


class Time:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def read(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


def test_it_rests_for_its_share() -> None:
    for share, rest in ((0.5, 2.0), (0.25, 6.0), (1.0, 0.0)):
        time = Time()
        Pace(share, time.wait, monotonic=time.read).rest(2.0)
        assert time.now == rest


def test_it_waits_for_the_batch_in_hand() -> None:
    time = Time()
    Pace(0.5, time.wait, lambda: time.now < 5.0, time.read).rest(1.0)
    assert 5.0 <= time.now < 5.1


def test_it_does_not_wait_for_ever() -> None:
    time = Time()
    Pace(1.0, time.wait, lambda: True, time.read).rest(1.0)
    assert 9.0 <= time.now < 9.1
