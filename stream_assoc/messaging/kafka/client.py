"""Options of librdkafka that every client of ours starts from, and why."""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from typing import Any, Final, TypeVar

from confluent_kafka import Message

from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import InputMessage
from stream_assoc.exceptions import reason_of
from stream_assoc.messaging.kafka.errors import CallOverdueError, KafkaUnavailableError
from stream_assoc.settings.kafka_connection import KafkaConnectionSettings

Options = Mapping[str, str | bool | int | float]
"""librdkafka's options by their own names, as the user gives them."""

DEFAULT_MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
"""Room for a detector of the galactic plane: 60,000 sources of 1 kB."""

FRAMING_BYTES: Final = 1024 * 1024
"""What a request or a response may need beside the largest message: its batch's headers and its neighbours."""

LARGEST_RESPONSE_BYTES: Final = 2**31 - 1
"""As much as librdkafka receives at once; what a topic takes, its own max.message.bytes bounds."""

LOGGER: Final = logging.getLogger("stream_assoc.kafka")
"""Where librdkafka's own log lines go; without it they would go to standard error as they are."""

REPEAT_SECONDS: Final = 60.0
"""How often a client that cannot connect says so."""

TRANSACTIONAL_DEFAULTS: Final = {
    # A request on a connection that died in silence is repeated after that time. With the default
    # of a minute, the broker would have aborted the transaction by then.
    "socket.timeout.ms": 20_000,
    # The broker refuses a transaction while it still writes the markers of the one before; with
    # the default of 100 ms, a transaction of one message takes 107 ms instead of 36 ms.
    "retry.backoff.ms": 20,
}
"""Of the transactional producer; the user's options win."""


class _SparingFilter(logging.Filter):
    """Lets one line of failed connections through a minute and client, where librdkafka logs each attempt."""

    def __init__(self) -> None:
        super().__init__()
        self._last_seconds: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the record is worth keeping; librdkafka's arguments are facility, client and text."""
        if not isinstance(record.args, tuple) or len(record.args) != 3 or record.args[0] != "FAIL":
            return True
        client = str(record.args[1])
        if record.created - self._last_seconds.get(client, 0.0) < REPEAT_SECONDS:
            return False
        self._last_seconds[client] = record.created
        return True


LOGGER.addFilter(_SparingFilter())


def common_options(user: Options) -> dict[str, Any]:
    """Return what every client is made with; the user's options come last and win."""
    return {
        "client.id": "stream-assoc",
        "logger": LOGGER,
        # A broker that closes an idle connection is no event worth a log line.
        "log.connection.close": False,
        # Through a silent network a dead connection is noticed by the kernel, not after the request's timeout.
        "socket.keepalive.enable": True,
        # A cluster that is away is tried about once a second, instead of twenty times.
        "reconnect.backoff.ms": 1000,
        **user,
    }


def consumer_options(user: Options, group_id: str, group_instance_id: str | None, max_bytes: int) -> dict[str, Any]:
    """Return the options of a consumer whose offsets are committed by a transactional producer."""
    options = common_options(
        {
            # A group without offsets begins with the oldest message kept: a batch is never skipped unseen.
            "auto.offset.reset": "earliest",
            "fetch.max.bytes": max_bytes,
            "max.partition.fetch.bytes": max_bytes,
            # The broker gives a message that is larger than asked for alone, rather than not at all. One that
            # could not be received would be fetched again and again, and nothing behind it ever read.
            "receive.message.max.bytes": LARGEST_RESPONSE_BYTES,
            **user,
        }
    )
    options |= {
        "group.id": group_id,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "isolation.level": "read_committed",
        "enable.partition.eof": False,
    }
    if group_instance_id is not None:
        options["group.instance.id"] = group_instance_id
    # The newer protocol's broker assigns by itself, incrementally too.
    if options.get("group.protocol") != "consumer":
        options["partition.assignment.strategy"] = "cooperative-sticky"
    return options


def producer_options(user: Options, max_bytes: int) -> dict[str, Any]:
    """Return the options of an idempotent producer."""
    return common_options(
        {
            "message.max.bytes": max_bytes + FRAMING_BYTES,
            # The cheapest to compress; objects of one batch share much.
            "compression.type": "lz4",
            **user,
        }
    ) | {"enable.idempotence": True}


def transactional_options(user: Options, transactional_id: str, max_bytes: int) -> dict[str, Any]:
    """Return the options of the producer that commits the offsets of its inputs."""
    return {
        **producer_options({**TRANSACTIONAL_DEFAULTS, **user}, max_bytes),
        "transactional.id": transactional_id,
        # A call back to Python for each of 10,000 messages costs more than sending them.
        "delivery.report.only.error": True,
    }


def input_message(message: Message) -> InputMessage:
    """Return a message of the client library as the rest of the package sees it."""
    _, timestamp_ms = message.timestamp()
    headers = tuple((name, _bytes(value) or b"") for name, value in message.headers() or ())
    return InputMessage(position_of(message), timestamp_ms, _bytes(message.key()), _bytes(message.value()), headers)


def position_of(message: Message) -> InputPosition:
    """Return the place of a message."""
    # The stubs allow for messages without a place; those carry an error, and never come here.
    return InputPosition(str(message.topic()), int(message.partition() or 0), int(message.offset() or 0))


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


Result = TypeVar("Result")


def within(seconds: float, call: Callable[[], Result]) -> Result:
    """Return what the call returns, or give it up after so many seconds.

    Parameters
    ----------
    seconds : `float`
        How long to wait for it.
    call : callable
        Made in a thread of its own. When it is given up it stays there until
        it returns by itself, so what it uses can be used for nothing else. It
        does not keep the process from exiting.

    Raises
    ------
    CallOverdueError
        If it has not returned by then.

    Examples
    --------
    >>> within(10.0, lambda: 6 * 7)
    42
    """
    outcome: Future[Result] = Future()

    def run() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:  # noqa: BLE001 - raised again by result()
            outcome.set_exception(error)

    threading.Thread(target=run, name="kafka-call", daemon=True).start()
    wait([outcome], seconds)
    if not outcome.done():
        raise CallOverdueError(f"no return within {seconds:g} s")
    return outcome.result()


SLOW_SECONDS: Final = 0.7
"""A broker that is there answers sooner."""

KAFKA_HINT: Final = "check kafka.bootstrap_servers, kafka.security_protocol and the brokers"


@contextlib.contextmanager
def told_when_slow(tell: Callable[[], object]) -> Iterator[None]:
    """Call this once, from another thread, if the block takes longer than `SLOW_SECONDS`."""
    timer = threading.Timer(SLOW_SECONDS, tell)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextlib.contextmanager
def kafka_named(kafka: KafkaConnectionSettings, tell: Callable[[str], object]) -> Iterator[None]:
    """Tell which brokers are waited for if the block takes long, and name them if they do not answer.

    Raises
    ------
    KafkaUnavailableError
        As the block, with the address.
    """
    where = f"Kafka at {kafka.bootstrap_servers}"
    try:
        with told_when_slow(lambda: tell(f"Waiting for {where} ({KAFKA_HINT})")):
            yield
    except KafkaUnavailableError as error:
        raise KafkaUnavailableError(f"{where}: {reason_of(error)}") from error
