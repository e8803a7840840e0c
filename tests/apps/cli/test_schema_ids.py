"""What commands write where a Schema Registry is set: ids that it gave, so that who reads through it can."""

import io
from collections.abc import Iterator
from pathlib import Path

import fastavro
import pytest

from stream_assoc.messaging.avro.batch_decoder import BatchDecoder
from stream_assoc.messaging.avro.next_visits import decode_next_visit
from stream_assoc.messaging.avro.registry import SchemaRegistry
from stream_assoc.messaging.avro.schemas import BATCH, BATCH_SCHEMA_ID, NEXT_VISIT, load_schema
from stream_assoc.messaging.avro.wire import HEADER_BYTES, OWN_IDS, split
from stream_assoc.messaging.exceptions import RegistryUnavailableError
from stream_assoc.messaging.kafka.topic_reader import Reading, TopicReader
from stream_assoc.settings.kafka import KafkaSettings
from stream_assoc.tools.replay.capture import read_capture
from tests.apps.cli.invoking import Invoke
from tests.chaos.releases import written_before
from tests.schema_registry import RegistryServer, schema_registry

SMALL = ("--visits", 2, "--detectors", 1, "--fields", 1)


@pytest.fixture
def registry() -> Iterator[RegistryServer]:
    with schema_registry() as server:
        yield server


@pytest.fixture
def ask(registry: RegistryServer) -> str:
    """The option that sets the registry."""
    return f"--set=kafka.schema_registry_url={registry.url}"


def simulated(invoke: Invoke, *arguments: object) -> list[bytes]:
    """Simulate a night; return the values of its messages."""
    assert invoke("simulate", "night", *SMALL, *arguments).exit_code == 0
    return [event.message.value or b"" for event in read_capture(Path("night/batches.avro"))]


def values_on(topic: str, kafka_bootstrap: str) -> list[bytes]:
    kafka = KafkaSettings(bootstrap_servers=kafka_bootstrap)
    values: list[bytes] = []
    with TopicReader(kafka, Reading(topic, "beginning", until_end=True)) as reader:
        while not reader.at_end:
            values += [message.value or b"" for message in reader.read(1.0)]
    return values


def test_a_daemon_with_a_registry_reads_its_own_simulation(
    invoke: Invoke, registry: RegistryServer, ask: str
) -> None:
    values = simulated(invoke, ask)
    assert {split(value)[0] for value in values} == {registry.subjects["dia-sources-value"]}
    decoder = BatchDecoder(SchemaRegistry(registry.url))
    assert len({decoder.decode(value).id for value in values}) == len(values)


def test_a_simulation_without_a_registry_is_read_beside_one(invoke: Invoke, registry: RegistryServer) -> None:
    values = simulated(invoke)
    assert {split(value)[0] for value in values} == {BATCH_SCHEMA_ID}
    decoder = BatchDecoder(SchemaRegistry(registry.url))
    assert len({decoder.decode(value).id for value in values}) == len(values)
    assert registry.asked == []


def test_a_simulation_of_the_first_releases_is_read_with_and_without_a_registry(
    invoke: Invoke, registry: RegistryServer
) -> None:
    before = [written_before(value) for value in simulated(invoke)]
    for decoder in (BatchDecoder(), BatchDecoder(SchemaRegistry(registry.url))):
        assert len({decoder.decode(value).id for value in before}) == len(before)


def test_a_simulation_waits_for_no_registry_that_is_away(invoke: Invoke) -> None:
    with pytest.raises(RegistryUnavailableError, match=r"kafka\.schema_registry_url"):
        invoke("simulate", "night", *SMALL, "--set=kafka.schema_registry_url=http://127.0.0.1:1")
    assert not Path("night").exists()


@pytest.mark.integration
def test_a_file_of_batches_is_replayed_under_the_id_of_the_registry(
    invoke: Invoke, registry: RegistryServer, ask: str, kafka_bootstrap: str, topic: str
) -> None:
    schema = fastavro.parse_schema(load_schema(BATCH))
    records = [fastavro.schemaless_reader(io.BytesIO(one[HEADER_BYTES:]), schema) for one in simulated(invoke)]
    with Path("batches.avro").open("wb") as file:
        fastavro.writer(file, schema, records)
    places = (f"--set=kafka.bootstrap_servers={kafka_bootstrap}", f"--set=kafka.input_topic={topic}")
    invoke("replay", "batches.avro", ask, *places)
    ids = [split(value)[0] for value in values_on(topic, kafka_bootstrap)]
    assert ids == [registry.subjects[f"{topic}-value"]] * len(records)


@pytest.mark.integration
def test_a_visit_is_announced_under_the_id_of_the_registry(
    invoke: Invoke, registry: RegistryServer, ask: str, kafka_bootstrap: str, topic: str
) -> None:
    places = (f"--set=kafka.bootstrap_servers={kafka_bootstrap}", f"--set=kafka.next_visits_topic={topic}")
    invoke("announce", "--ra", 10.0, "--dec", -5.0, ask, *places)
    (value,) = values_on(topic, kafka_bootstrap)
    assert split(value)[0] == registry.subjects[f"{topic}-value"] < OWN_IDS
    assert registry.schemas[registry.subjects[f"{topic}-value"]] == load_schema(NEXT_VISIT)
    assert decode_next_visit(value, SchemaRegistry(registry.url)).ra == 10.0
