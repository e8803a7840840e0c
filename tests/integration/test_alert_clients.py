"""The programs of docs/subscribing.md read our alerts from a real Kafka, each as it stands on the page."""

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue

import pytest
from confluent_kafka import Producer

from stream_assoc.core.model.batch import Observation
from stream_assoc.messaging.avro.alerts.encoder import AlertEncoder
from stream_assoc.messaging.avro.alerts.schemas import LATEST, alert_schema, alert_schema_id
from tests.messaging.avro.alerts.rows import random_alerts, random_stamps
from tests.topics import new_topic

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "subscribing.md"
ENVIRONMENT = REPOSITORY / ".cache" / "clients"
CLIENTS = (
    "confluent-kafka",
    "confluent-kafka with a registry",
    "aiokafka",
    "kafka-python",
    "fink-client",
    "hop-client",
    "pittgoogle-client",
)
N_ALERTS = 6
ROWS = random_alerts([0, 3, 20, 1, 0, 2], [2, 0, 20, 1, 0, 5], 11)
SECONDS = 60


@dataclass(frozen=True, slots=True)
class Published:
    """Alerts on a topic, between those of an aborted transaction, and a registry that knows their schema."""

    bootstrap: str
    topic: str
    registry: str
    sizes: tuple[int, ...]


class _Registry(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        is_known = self.path.split("?")[0] == f"/schemas/ids/{alert_schema_id()}"
        content = json.dumps(
            {"schema": json.dumps(alert_schema(LATEST))} if is_known else {"error_code": 40403}
        ).encode()
        self.send_response(200 if is_known else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments) -> None:
        pass


@pytest.fixture(scope="module")
def published(kafka_bootstrap: str) -> Iterator[Published]:
    values = AlertEncoder().encode(ROWS, random_stamps(N_ALERTS, 11), Observation("science", None)).to_pylist()
    topic = new_topic(kafka_bootstrap, 2)
    producer = Producer({"bootstrap.servers": kafka_bootstrap, "transactional.id": topic, "compression.type": "gzip"})
    producer.init_transactions(30)
    for is_aborted in (True, False):
        producer.begin_transaction()
        for number, value in enumerate(values):
            headers: list[tuple[str, str | bytes]] = [("producer_timestamp", b"1795860000000")]
            producer.produce(topic, b"aborted" if is_aborted else value, partition=number % 2, headers=headers)
        producer.flush(30)
        producer.abort_transaction(30) if is_aborted else producer.commit_transaction(30)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Registry)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Published(kafka_bootstrap, topic, f"http://127.0.0.1:{server.server_port}", tuple(map(len, values)))
    server.shutdown()
    server.server_close()
    thread.join()


def program(name: str, published: Published) -> str:
    """Return what stands on the page under a name, with the servers and the topic of the test."""
    found = re.search(
        rf"^```(?:python|bash)\n# {re.escape(name)}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    assert found, f"docs/subscribing.md has no program of {name}"
    text = (
        found[1].replace("localhost:9092", published.bootstrap).replace("http://localhost:8081", published.registry)
    )
    text = text.replace('"alerts"', f'"{published.topic}"').replace("/alerts", f"/{published.topic}")
    return text.replace("-t alerts", f"-t {published.topic}").replace(
        "my-broker", published.topic + name.replace(" ", "-")
    )


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_decodes_every_alert_and_none_of_an_aborted_transaction(
    published: Published, tmp_path: Path, client: str
) -> None:
    if not (ENVIRONMENT / ".installed").is_file():
        pytest.skip(f"{ENVIRONMENT} is not installed: `make test` does it")
    (tmp_path / "alerts.py").write_text(program("alerts.py", published))
    (tmp_path / "client.py").write_text(program(client, published))
    lines = _lines([str(ENVIRONMENT / "bin" / "python"), "client.py"], tmp_path)
    expected = zip(ROWS.sources["diaSourceId"].to_pylist(), ROWS.sources["ra"].to_pylist(), strict=True)
    assert sorted(lines) == sorted(f"{identifier} {ra}" for identifier, ra in expected)


def test_kcat_shows_them(published: Published) -> None:
    if shutil.which("kcat") is None:
        pytest.skip("kcat is not installed")
    done = subprocess.run(
        ["bash", "-c", program("kcat", published)], capture_output=True, text=True, timeout=SECONDS, check=True
    )
    rows = [line.split() for line in done.stdout.splitlines()]
    assert sorted(int(size) for _, _, size, _ in rows) == sorted(published.sizes)
    assert {header for *_, header in rows} == {"producer_timestamp=1795860000000"}


def _lines(command: list[str], folder: Path) -> list[str]:
    """Return what a program that never ends prints of all alerts, and then end it."""
    errors = folder / "errors.txt"
    with errors.open("w") as file:
        process = subprocess.Popen(
            command, cwd=folder, env={"HOME": str(folder)}, stdout=subprocess.PIPE, stderr=file, text=True
        )
    queue: Queue[str | None] = Queue()

    def read() -> None:
        assert process.stdout
        for line in process.stdout:
            queue.put(line.strip())
        queue.put(None)

    reader = threading.Thread(target=read)
    reader.start()
    found: list[str] = []
    try:
        while len(found) < N_ALERTS:
            line = queue.get(timeout=SECONDS)
            assert line is not None, f"it ended after {found}:\n{errors.read_text()}"
            if re.match(r"-?\d+ ", line):
                found.append(line)
    except Empty:
        pytest.fail(f"it printed {found} and then nothing:\n{errors.read_text()}")
    finally:
        process.kill()
        process.wait()
        reader.join()
        if process.stdout:
            process.stdout.close()
    return found
