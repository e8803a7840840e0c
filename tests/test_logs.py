"""Logs are one stream in one form, whoever wrote the record."""

import io
import json
import logging
from typing import Never

import pytest
import structlog

from stream_assoc.logs import configure_logging


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
def test_traceback_does_not_show_local_variables(style) -> None:
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
