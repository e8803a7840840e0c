"""Two Kafkas: one node of Apache Kafka, run from its jars by the installed Java, and librdkafka's mock cluster."""

import base64
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient

from stream_assoc.tools.embedded.process import EmbeddedServiceError, Place, ServerProcess

START_TIMEOUT_SECONDS: Final = 90.0

MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
"""The broker's limit of one record batch, that of the input topic."""

_LOOPBACK: Final = Place("127.0.0.1")

JVM_OPTIONS: Final = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""A small heap, and the collector and compiler that suit a short life on few cores."""

LOGGING: Final = """\
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d %p %c: %m%n
rootLogger.level=warn
rootLogger.appenderRef.console.ref=console
"""


def single_node_settings(port: int, controller_port: int, bind: str, advertised: str) -> dict[str, str]:
    """Return broker settings for one node that is its own KRaft controller.

    Replication factors are 1 because there is nowhere to replicate to. Topics
    are never created by accident. Groups form at once, and the internal topics
    have one partition, so that the first consumer and the first transaction
    need not wait for fifty.
    """
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{bind}:{controller_port}",
        "listeners": f"PLAINTEXT://{bind}:{port},CONTROLLER://{bind}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{advertised}:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "1",
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        "auto.create.topics.enable": "false",
        # Its messages may be of any night, and it does not live long: housekeeping deletes none of them.
        "log.retention.ms": "-1",
        "message.max.bytes": str(MAX_MESSAGE_BYTES),
        "replica.fetch.max.bytes": str(MAX_MESSAGE_BYTES),
    }


class EmbeddedKafka:
    """A real broker of one's own: transactions, groups and compaction as in production.

    It listens without authentication, on the loopback interface unless it has another place.

    Parameters
    ----------
    jars : `pathlib.Path`
        Folder of Kafka's jars: the ``libs`` of a Kafka download, or what Maven
        resolves for ``org.apache.kafka:kafka_2.13``.
    settings : `Mapping` [`str`, `str`], optional
        Broker settings over those of `single_node_settings`.
    proxied_ports : `tuple` [`int`, `int`], optional
        A second port to listen on, and that of the proxy through which clients
        reach it: who comes from there is told to come back that way.
    place : `Place`, optional
        Which host to run on.

    Raises
    ------
    EmbeddedServiceError
        If there is no ``java``, or the broker does not start.
    """

    def __init__(
        self,
        jars: Path,
        settings: Mapping[str, str] | None = None,
        proxied_ports: tuple[int, int] | None = None,
        place: Place = _LOOPBACK,
    ) -> None:
        self._jars = jars
        self._place = place
        self._proxied_ports = proxied_ports
        self._extra_settings = dict(settings or {})
        self._folder = tempfile.TemporaryDirectory(prefix="stream_assoc_kafka_")
        # In KRaft's words: a random UUID in URL-safe base64.
        self._cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        self._port, self._controller_port = free_ports(2)
        self._process: ServerProcess | None = None

    @property
    def bootstrap_servers(self) -> str:
        """Where clients connect."""
        return f"{self._place.address}:{self._port}"

    def __enter__(self) -> Self:
        self._format()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        self._folder.cleanup()

    def start(self) -> None:
        """Start the broker; again after `stop` or `kill`, on the same port with the same data."""
        self._process = ServerProcess(
            [*self._java(), "kafka.Kafka", str(self._settings_path)],
            Path(self._folder.name, "kafka.log"),
            place=self._place,
        )
        self._process.start(self._is_ready, START_TIMEOUT_SECONDS)

    def stop(self) -> None:
        """Stop the broker; its data stay until the context is left. Idempotent."""
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """End the broker with SIGKILL, as a crash would. Idempotent."""
        if self._process is not None:
            self._process.stop(stop_signal=signal.SIGKILL)

    @property
    def _settings_path(self) -> Path:
        return Path(self._folder.name, "server.properties")

    def _format(self) -> None:
        """Write the settings, and give the data folder the identity KRaft asks for."""
        folder = Path(self._folder.name)
        settings = single_node_settings(self._port, self._controller_port, self._place.address, self._place.address)
        if self._proxied_ports is not None:
            port, proxy_port = self._proxied_ports
            settings["listeners"] += f",PROXIED://127.0.0.1:{port}"
            settings["advertised.listeners"] += f",PROXIED://127.0.0.1:{proxy_port}"
            settings["listener.security.protocol.map"] += ",PROXIED:PLAINTEXT"
        settings |= {"log.dirs": str(folder / "data"), **self._extra_settings}
        self._settings_path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        (folder / "log4j2.properties").write_text(LOGGING)
        # In one word: a random id may begin with a dash.
        storage_tool = ["kafka.tools.StorageTool", "format", f"--cluster-id={self._cluster_id}", "--config"]
        result = subprocess.run(  # noqa: S603
            [*self._java(), *storage_tool, str(self._settings_path)],
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            raise EmbeddedServiceError(f"Kafka cannot format its storage:\n{result.stdout}{result.stderr}")

    def _java(self) -> list[str]:
        java = shutil.which("java")
        if java is None:
            raise EmbeddedServiceError("Apache Kafka needs Java 17 or later, and no `java` is on PATH")
        logging = f"-Dlog4j2.configurationFile={self._folder.name}/log4j2.properties"
        return [java, *JVM_OPTIONS, logging, "-cp", f"{self._jars}/*"]

    def _is_ready(self) -> bool:
        # Quiet, because nobody answers until the broker is up.
        client = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        try:
            return bool(client.list_topics(timeout=1.0).brokers)
        except KafkaException:
            return False


def free_ports(count: int) -> list[int]:
    """Return that many TCP ports of the loopback interface that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        return [free.getsockname()[1] for free in sockets]
    finally:
        for free in sockets:
            free.close()


MOCK_TIMEOUT_SECONDS: Final = 10.0

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
            self._owner.list_topics(topic, timeout=MOCK_TIMEOUT_SECONDS)

    def __enter__(self) -> Self:
        # The cluster belongs to this client and ends with it. librdkafka logs a warning about
        # the use of test.mock.num.brokers: expected here, so nothing below an error is shown.
        self._owner = Producer({"test.mock.num.brokers": self._brokers, "log_level": 3})
        try:
            brokers = self._owner.list_topics(timeout=MOCK_TIMEOUT_SECONDS).brokers.values()
        except KafkaException as error:
            raise EmbeddedServiceError(f"the mock Kafka cluster does not answer: {error}") from error
        self._bootstrap_servers = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # The cluster ends with its owner.
        self._owner = None
