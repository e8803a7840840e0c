"""Logs are one stream in one form, whoever wrote the record."""

import io
import json
import logging
from typing import Literal, Never

import pytest
import structlog

from stream_assoc.logs import REPEATS, WINDOW_SECONDS, RepeatLimit, configure_logging, log_beside_output


@pytest.fixture(autouse=True)
def logging_as_before():
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_json_is_one_object_a_line_from_us_and_from_libraries() -> None:
    output = io.StringIO()
    configure_logging("json", "info", output)
    structlog.get_logger("ours").info("batch stored", visit=7)
    logging.getLogger("theirs").warning("slow %s", "query")
    ours, theirs = map(json.loads, output.getvalue().splitlines())
    assert (ours["event"], ours["visit"], ours["level"], ours["logger"]) == ("batch stored", 7, "info", "ours")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("slow query", "warning", "theirs")
    assert ours["timestamp"].endswith("Z")
    assert list(ours) == ["timestamp", "level", "event", "visit", "logger"]


def test_lower_levels_are_not_written() -> None:
    output = io.StringIO()
    configure_logging("console", "warning", output)
    structlog.get_logger("ours").info("batch stored")
    assert output.getvalue() == ""


@pytest.mark.parametrize("style", ["json", "console"])
def test_traceback_does_not_show_local_variables(style: Literal["json", "console"]) -> None:
    output = io.StringIO()
    configure_logging(style, "info", output)
    try:
        _connect("".join(["hun", "ter2"]))
    except ValueError:
        structlog.get_logger("ours").exception("failed")
    assert "ValueError" in output.getvalue()
    assert "hunter2" not in output.getvalue()


def _connect(password) -> Never:
    raise ValueError(len(password))


def _record(text: str, created: float, level: int = logging.WARNING) -> logging.LogRecord:
    record = logging.LogRecord("theirs", level, "", 0, text, None, None)
    record.created = created
    return record


def test_what_repeats_is_written_a_few_times_and_then_counted() -> None:
    limit = RepeatLimit()
    records = [_record(f"accept failed on port {port}", 100.0) for port in range(10 * REPEATS)]
    assert [limit.admits(record) for record in records] == [True] * REPEATS + [False] * 9 * REPEATS
    assert limit.admits(_record("another", 100.0))
    assert list(limit.left_out(100.0 + WINDOW_SECONDS / 2)) == []
    (summary,) = limit.left_out(100.0 + WINDOW_SECONDS)
    assert (summary.getMessage(), summary.levelno, summary.name) == ("left out", logging.WARNING, "theirs")
    assert summary.__dict__["lines"] == 9 * REPEATS
    assert summary.__dict__["of"].startswith("accept failed")
    # A new minute begins anew.
    assert limit.admits(_record("accept failed on port 1", 100.0 + WINDOW_SECONDS))


def test_texts_that_never_agree_are_one_kind() -> None:
    limit = RepeatLimit()
    letters = ["".join(chr(97 + (k >> shift) % 16) for shift in (0, 4, 8)) for k in range(4096)]
    assert sum(limit.admits(_record(text, 1.0)) for text in letters) == 1000 + REPEATS


def test_news_is_never_left_out() -> None:
    limit = RepeatLimit()
    assert all(limit.admits(_record("processed", 1.0, logging.INFO)) for _ in range(1000))


def test_left_out_lines_are_told_in_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    output = io.StringIO()
    configure_logging("json", "info", output)
    monkeypatch.setattr("time.time", lambda: 1000.0)
    monkeypatch.setattr("time.time_ns", lambda: 1000 * 10**9)
    for offset in range(REPEATS + 5):
        structlog.get_logger("ours").error("no file", offset=offset)
    monkeypatch.setattr("time.time", lambda: 1000.0 + WINDOW_SECONDS)
    monkeypatch.setattr("time.time_ns", lambda: int(1000 + WINDOW_SECONDS) * 10**9)
    structlog.get_logger("ours").info("recovered")
    lines = [json.loads(line) for line in output.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["no file"] * REPEATS + ["left out", "recovered"]
    assert (lines[-2]["of"], lines[-2]["lines"], lines[-2]["level"]) == ("no file", 5, "error")


def test_a_library_that_fails_for_ever_does_not_fill_the_disk() -> None:
    output = io.StringIO()
    configure_logging("console", "info", output)
    for _ in range(10_000):
        logging.getLogger("asyncio").error("socket.accept() out of system resource", exc_info=OSError(24, "too many"))
    assert len(output.getvalue()) < 100_000


def test_a_command_logs_beside_its_output(capsys: pytest.CaptureFixture[str]) -> None:
    log_beside_output()
    structlog.get_logger("ours").warning("apdb", advice="raise it")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "raise it" in captured.err
