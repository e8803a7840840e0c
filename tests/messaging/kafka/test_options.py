"""What librdkafka is told, and what is kept of what it says."""

import pytest

from stream_assoc.messaging.kafka.client import LOGGER, consumer_options, producer_options

LIBRARY_FORMAT = "%s [%s] %s"


def test_what_exactly_once_stands_on_cannot_be_changed() -> None:
    user: dict[str, str | bool | int | float] = {
        "enable.auto.commit": True,
        "isolation.level": "read_uncommitted",
        "partition.assignment.strategy": "range",
    }

    options = consumer_options(user, "g", None, 10**6)

    assert options["enable.auto.commit"] is False
    assert options["isolation.level"] == "read_committed"
    assert options["partition.assignment.strategy"] == "cooperative-sticky"
    assert producer_options({"enable.idempotence": False}, 10**6)["enable.idempotence"] is True


def test_the_rest_is_the_users() -> None:
    assert consumer_options({"session.timeout.ms": 9000, "client.id": "me"}, "g", "i", 10**6).items() >= {
        ("session.timeout.ms", 9000),
        ("client.id", "me"),
        ("group.instance.id", "i"),
    }


def test_the_newer_group_protocol_takes_no_strategy() -> None:
    options = consumer_options({"group.protocol": "consumer"}, "g", None, 10**6)

    assert "partition.assignment.strategy" not in options


def test_attempts_to_connect_are_logged_once_a_minute_and_client(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        LOGGER.error(LIBRARY_FORMAT, "FAIL", "one", "refused")
        LOGGER.error(LIBRARY_FORMAT, "FAIL", "two", "refused")
        LOGGER.error(LIBRARY_FORMAT, "SESSTMOUT", "one", "timed out")

    assert [record.getMessage() for record in caplog.records] == [
        "FAIL [one] refused",
        "FAIL [two] refused",
        *["SESSTMOUT [one] timed out"] * 3,
    ]
