"""What commands say while they work."""

import io

from rich.console import Console

from stream_assoc.apps.cli.progress import LINE_SECONDS, Progress


class Clock:
    """Goes on by some seconds at each look."""

    def __init__(self, step: float) -> None:
        self.now = 0.0
        self.step = step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def told(step_seconds: float, n_items: int) -> list[str]:
    written = io.StringIO()
    progress = Progress(Console(file=written, width=40), Clock(step_seconds))
    assert list(progress.counting(range(n_items), "Reading")) == list(range(n_items))
    return written.getvalue().splitlines()


def test_what_is_done_is_said_at_once_and_what_is_quick_is_not_counted() -> None:
    assert told(0.0, 1000) == ["Reading"]


def test_what_takes_long_is_counted_now_and_then() -> None:
    assert told(LINE_SECONDS / 2, 6) == ["Reading", "Reading: 2", "Reading: 4", "Reading: 6"]


def test_a_count_tells_how_much_there_is_to_do() -> None:
    written = io.StringIO()
    with Progress(Console(file=written, width=20), Clock(LINE_SECONDS)).count("batches answered", 1234) as tell:
        tell(1000)
    assert written.getvalue().splitlines() == ["batches answered", "batches answered: 1,000 of 1,234"]


def test_a_terminal_shows_it_on_one_line_and_clears_it() -> None:
    written = io.StringIO()
    console = Console(file=written, width=40, force_terminal=True)
    with Progress(console).doing("Reading the APDB"):
        pass
    assert "Reading the APDB" in written.getvalue()
    assert written.getvalue().endswith("\x1b[2K")
