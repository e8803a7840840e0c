"""What other libraries say becomes a clause of our own sentences."""

import pytest

from stream_assoc.exceptions import reason_of


@pytest.mark.parametrize(
    ("error", "clause"),
    [
        (FileNotFoundError(2, "No such file or directory", "x.avro"), "No such file or directory"),
        (ValueError("first line\n  second line.\n"), "first line second line"),
        (ValueError("user is disabled.."), "user is disabled"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_a_reason_is_one_line_without_a_stop(error: Exception, clause: str) -> None:
    assert reason_of(error) == clause
