"""librdkafka's mock cluster: Kafka's protocol inside this process, good for a demo."""

from types import TracebackType
from typing import Final, Self

from confluent_kafka import KafkaException, Producer

from stream_assoc.tools.embedded.exceptions import EmbeddedServiceError

START_TIMEOUT_SECONDS: Final = 10.0

CONSUMER_SETTINGS: Final[dict[str, str | int]] = {
    # The mock answers a fetch when it has waited this long, even if a message came before.
    "fetch.wait.max.ms": 10,
    "fetch.queue.backoff.ms": 5,
}


class MockKafka:
    """A cluster that lives in this process; nothing needs to be installed.

    Its limits make it unfit for any guarantee. It keeps 5 MiB a partition and
    drops older messages silently, so that one above about 2.5 MB may never be
    readable. Aborted transactions stay visible. Topics appear when named. A
    demo that relies on it has to check its own totals at the end.

    Parameters
    ----------
    brokers : `int`
        Number of brokers.

    Raises
    ------
    EmbeddedServiceError
        If librdkafka does not bring the cluster up.
    """

    def __init__(self, brokers: int = 1) -> None:
        self._brokers = brokers
        self._owner: Producer | None = None
        self._bootstrap_servers = ""

    @property
    def bootstrap_servers(self) -> str:
        """Where clients connect."""
        return self._bootstrap_servers

    @property
    def consumer_settings(self) -> dict[str, str | int]:
        """What a consumer must set to read from the mock without long waits."""
        return dict(CONSUMER_SETTINGS)

    def make_topics(self, *topics: str) -> None:
        """Let these topics appear; the mock knows no other way of creating one than naming it."""
        if self._owner is None:
            raise EmbeddedServiceError("the mock Kafka cluster is not running: use it in a with statement")
        for topic in topics:
            self._owner.list_topics(topic, timeout=START_TIMEOUT_SECONDS)

    def __enter__(self) -> Self:
        # The cluster belongs to this client and ends with it. librdkafka logs a warning about
        # the use of test.mock.num.brokers: expected here, so nothing below an error is shown.
        self._owner = Producer({"test.mock.num.brokers": self._brokers, "log_level": 3})
        try:
            brokers = self._owner.list_topics(timeout=START_TIMEOUT_SECONDS).brokers.values()
        except KafkaException as error:
            raise EmbeddedServiceError(f"the mock Kafka cluster does not answer: {error}") from error
        self._bootstrap_servers = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # The cluster ends with its owner.
        self._owner = None
