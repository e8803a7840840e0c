"""Whether a topic keeps its messages until they are read, from its configuration.

Kafka deletes by the times that messages carry. With ``CreateTime``, Kafka's
default, that is whatever the producer gave: a night of last year that is
copied into a topic with its old times is older than any retention, and gone at
the broker's next check, every five minutes. With ``LogAppendTime`` it is when
the broker wrote the message.
"""

from collections.abc import Mapping
from typing import Final

APPEND_TIME: Final = {"message.timestamp.type": "LogAppendTime"}
"""Lets messages age from when they are written, whatever time they tell of."""

KEEPS_UNREAD: Final = {"cleanup.policy": "delete", **APPEND_TIME}
"""No newer message takes the place of an older one of its key, read or not."""

KEEPS_LATEST: Final = {"cleanup.policy": "compact", **APPEND_TIME}
"""The newest message of each key stays for ever."""

LEAST_RETENTION_MS: Final = 24 * 3600 * 1000
"""A daemon that is down over a night must find what came meanwhile."""

_FOR_EVER: Final = -1
_ANY_AGE: Final = 2**63 - 1


def losses(topic: str, config: Mapping[str, str | None], *, compacted: bool) -> list[str]:
    """Return, one line each, how a topic would lose messages that should be kept.

    Parameters
    ----------
    topic : `str`
        Its name.
    config : `~collections.abc.Mapping` [`str`, `str` or `None`]
        Kafka's configuration of the topic, defaults included.
    compacted : `bool`
        Whether it is meant to keep the newest message of each key, and no other.
    """
    policies = str(config["cleanup.policy"]).split(",")
    lines = []
    if "compact" in policies and not compacted:
        lines.append(f"{topic}: keeps only the newest message of a key, read or not; set cleanup.policy=delete")
    if compacted and "delete" in policies:
        lines.append(f"{topic}: deletes objects that have not changed for some time; set cleanup.policy=compact")
    elif "delete" in policies:
        lines += [f"{topic}: {what}" for what in _deletions(config)]
    if _takes_times_of_producers(config) and _number(config, "message.timestamp.before.max.ms") < _ANY_AGE:
        lines.append(f"{topic}: refuses messages with the times of an old night; {_REMEDY}")
    return lines


_REMEDY: Final = "set message.timestamp.type=LogAppendTime"


def _deletions(config: Mapping[str, str | None]) -> list[str]:
    lines = []
    retention_ms, retention_bytes = _number(config, "retention.ms"), _number(config, "retention.bytes")
    if retention_ms != _FOR_EVER and _takes_times_of_producers(config):
        lines.append(f"deletes a replayed night at once, by the times that its messages carry; {_REMEDY}")
    if _FOR_EVER < retention_ms < LEAST_RETENTION_MS:
        lines.append(
            f"keeps messages for {retention_ms / 3_600_000:.2g} h, read or not; "
            f"set retention.ms to {LEAST_RETENTION_MS} or more"
        )
    if retention_bytes != _FOR_EVER:
        lines.append(f"keeps the newest {retention_bytes} bytes of a partition, read or not; set retention.bytes=-1")
    return lines


def _takes_times_of_producers(config: Mapping[str, str | None]) -> bool:
    return config["message.timestamp.type"] != APPEND_TIME["message.timestamp.type"]


def _number(config: Mapping[str, str | None], name: str) -> int:
    # Brokers before 3.6 have no limits of a message's age of that name, and so none.
    value = config.get(name)
    return _ANY_AGE if value is None else int(value)
