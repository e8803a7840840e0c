"""Calls that do not return are given up, and do not hold the process up."""

import subprocess
import sys
from threading import Event

import pytest

from stream_assoc.messaging.kafka.client import within
from stream_assoc.messaging.kafka.errors import CallOverdueError

NEVER_RETURNS = """
import socket
from confluent_kafka import Producer
from stream_assoc.messaging.kafka.client import within
from stream_assoc.messaging.kafka.errors import CallOverdueError

silent = socket.create_server(("127.0.0.1", 0))
servers = f"127.0.0.1:{silent.getsockname()[1]}"
producer = Producer({"bootstrap.servers": servers, "transactional.id": "any", "log_level": 0})
try:
    within(0.1, lambda: producer.init_transactions(3600.0))
except CallOverdueError:
    print("given up")
"""

EXIT_SECONDS = 60.0


def test_a_result_and_an_error_come_through() -> None:
    assert within(60.0, lambda: 6 * 7) == 42
    nothing: dict[str, int] = {}
    with pytest.raises(KeyError, match="absent"):
        within(60.0, lambda: nothing["absent"])


def test_a_call_that_stays_away_is_given_up() -> None:
    go_on = Event()
    with pytest.raises(CallOverdueError, match=r"0\.01 s"):
        within(0.01, go_on.wait)
    go_on.set()


def test_a_process_exits_although_the_library_does_not_return() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", NEVER_RETURNS], capture_output=True, text=True, timeout=EXIT_SECONDS, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "given up\n", "")
