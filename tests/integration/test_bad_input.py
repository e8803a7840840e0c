"""Whatever a producer sends: a dead letter with the reason or a counted drop, and every good batch counts."""

import copy
import dataclasses
import io
from collections.abc import Callable, Iterator
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from stream_assoc.core.model.batch import Batch, BatchId
from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.messaging.avro.batch_encoder import BatchEncoder
from stream_assoc.messaging.avro.dead_letters import read_dead_letter
from stream_assoc.messaging.avro.schemas import BATCH, BATCH_SCHEMA_ID, load_schema
from stream_assoc.messaging.avro.wire import header
from tests.contents import LEDGER, columns
from tests.integration.deployment import Deployment
from tests.pipeline.skies import batch, night, square
from tests.schema_registry import RegistryHandler, schema_registry

pytestmark = pytest.mark.integration

MAX_SOURCES = 100
MAX_BYTES = 60_000
CURRENT_ID = 97
ADDED_COLUMN_ID = 98
MISSING_COLUMN_ID = 99


def good() -> tuple[Batch, ...]:
    """Return four visits of two detectors that see the same sky."""
    return night()[:8]


def schema_without(*names: str) -> dict[str, Any]:
    schema = copy.deepcopy(load_schema(BATCH))
    sources = next(field for field in schema["fields"] if field["name"] == "diaSources")["type"]["items"]
    sources["fields"] = [field for field in sources["fields"] if field["name"] not in names]
    return schema


WRITERS = {
    CURRENT_ID: load_schema(BATCH),
    ADDED_COLUMN_ID: schema_without("glint_trail", "apFlux"),
    MISSING_COLUMN_ID: schema_without("dec", "x"),
}


@pytest.fixture(scope="module")
def registry_url() -> Iterator[str]:
    with schema_registry(WRITERS) as registry:
        yield registry.url


def encoded(one: Batch) -> bytes:
    return BatchEncoder().encode(one)


def written_by(schema_id: int, one: Batch) -> bytes:
    """Return the batch as a producer of another version writes it."""
    datum = encoded(one)[len(header(BATCH_SCHEMA_ID)) :]
    record = fastavro.schemaless_reader(io.BytesIO(datum), fastavro.parse_schema(load_schema(BATCH)))
    target = io.BytesIO()
    fastavro.schemaless_writer(target, fastavro.parse_schema(WRITERS[schema_id]), record)
    return header(schema_id) + target.getvalue()


def with_strange_text(visit: int) -> Batch:
    """Return a batch that Avro and Arrow accept, and PostgreSQL, whose text knows no NUL, does not."""
    one = batch(visit, [150.0], [2.0])
    field = one.diaSources.schema.field("reliabilityVersion")
    index = one.diaSources.schema.get_field_index(field.name)
    return dataclasses.replace(one, diaSources=one.diaSources.set_column(index, field, pa.array(["1\x00"])))


def crowd(visit: int) -> Batch:
    n = MAX_SOURCES + 1
    return batch(visit, np.linspace(150.0, 150.1, n).tolist(), [2.0] * n)


def bad() -> dict[str, bytes | None]:
    """Return a message for each reason to be set aside."""
    taken, other = night()[0], night()[9]
    return {
        "empty": None,
        "undecodable": b"{'visit': 1}",
        "unknown_schema": header(4242) + encoded(other)[5:],
        "missing_columns": written_by(MISSING_COLUMN_ID, other),
        "unknown_band": encoded(dataclasses.replace(other, band="w")),
        "duplicate_ids": encoded(batch(101, [150.0, 150.01], [2.0, 2.0], ids=[5, 5])),
        "invalid_id": encoded(batch(102, [150.0], [2.0], ids=[0])),
        "invalid_time": encoded(dataclasses.replace(other, midpointMjdTai=float("nan"))),
        "invalid_exposure_time": encoded(dataclasses.replace(other, exposureTime=-30.0)),
        "invalid_detector": encoded(dataclasses.replace(other, id=BatchId(108, -1))),
        "invalid_visit": encoded(dataclasses.replace(other, id=BatchId(-1, 0))),
        "invalid_footprint": encoded(batch(103, [150.0], [2.0], footprint=square(150.0, 2.0)[:2])),
        "too_many_sources": encoded(crowd(104)),
        "too_large": header(BATCH_SCHEMA_ID) + bytes(MAX_BYTES),
        "conflicting_batch": encoded(dataclasses.replace(other, id=taken.id)),
        "duplicate_source": encoded(batch(105, [150.0], [2.0], ids=[int(taken.diaSourceId[0])])),
        "quarantine": encoded(batch(106, np.linspace(10.0, 10.1, 80).tolist(), [2.0] * 80)),
        "refused_by_apdb": encoded(with_strange_text(107)),
    }


NO_POSITIONS = batch(
    201,
    [150.0, np.nan, 150.01, np.inf, 150.02, 150.03],
    [2.0, 2.0, np.nan, 2.0, 90.5, -1e9],
    footprint=square(150.0, 2.0),
)
EMPTY = batch(202, [], [], footprint=square(150.0, 2.0))
OLD_WRITER = batch(203, [151.0], [2.0])


def test_every_bad_message_is_set_aside_and_every_good_batch_counts(
    deployed: Callable[..., Deployment], registry_url: str
) -> None:
    deployment = deployed(
        kafka={"partitions": 1, "schema_registry_url": registry_url},
        batch={"max_sources": MAX_SOURCES, "max_bytes": MAX_BYTES},
        new_objects={"max_new_dia_objects": 70},
    )
    accepted = [*map(encoded, [*good(), NO_POSITIONS, EMPTY]), written_by(ADDED_COLUMN_ID, OLD_WRITER)]
    rejected = bad()
    messages = interleaved(accepted, list(rejected.items()))
    topic = deployment.settings.kafka.input_topic
    deployment.send_raw([OutputMessage(topic, b"key", value, headers) for value, headers in messages])
    deployment.process_everything()

    letters = [read_dead_letter(letter) for letter in deployment.dead_letters()]
    assert {letter.record.reason: letter.original.value for letter in letters} == rejected
    assert len(letters) == len(rejected)
    for letter in letters:
        offset = letter.original.position.offset
        assert (messages[offset][0], messages[offset][1]) == (letter.original.value, letter.original.headers)
        assert letter.original.key == b"key"
        assert letter.record.message

    by_visit = {(one.visit, one.detector): one for one in deployment.metrics()}
    expected = [*(one.id for one in good()), NO_POSITIONS.id, EMPTY.id, OLD_WRITER.id]
    assert sorted(by_visit) == sorted(expected)
    assert by_visit[NO_POSITIONS.id].numDroppedDiaSources == 5
    assert by_visit[EMPTY.id].numDiaSources == 0
    url = deployment.settings.apdb.url.get_secret_value()
    assert sorted(columns(url, LEDGER, "visit", "detector")) == sorted(expected)
    sent = sum(one.numDiaSources for one in by_visit.values())
    left_out = sum(one.numMarginalDiaSources + one.numDroppedDiaSources for one in by_visit.values())
    assert sent == sum(map(len, [*good(), NO_POSITIONS, EMPTY, OLD_WRITER]))
    assert len(columns(url, "DiaSource", "diaSourceId")) == sent - left_out


def interleaved(
    accepted: list[bytes], rejected: list[tuple[str, bytes | None]]
) -> list[tuple[bytes | None, tuple[tuple[str, bytes], ...]]]:
    """Return both by turns, a good one first; a bad one carries a header that says what it is."""
    messages: list[tuple[bytes | None, tuple[tuple[str, bytes], ...]]] = []
    for index in range(max(len(accepted), len(rejected))):
        messages += [(value, ()) for value in accepted[index : index + 1]]
        messages += [(value, (("is", name.encode()),)) for name, value in rejected[index : index + 1]]
    return messages


def test_a_daemon_that_cannot_reach_the_registry_waits_for_it(
    deployed: Callable[..., Deployment], registry_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = deployed(
        kafka={"partitions": 1, "schema_registry_url": registry_url}, daemon={"retry_initial_seconds": 0.01}
    )
    answers: list[str] = []
    original = RegistryHandler.do_GET

    def stumble(handler: RegistryHandler) -> None:
        answers.append(handler.path)
        if len(answers) <= 2:
            handler._answer(503, {"error_code": 50302, "message": "not now"})
        else:
            original(handler)

    with monkeypatch.context() as patch:
        patch.setattr(RegistryHandler, "do_GET", stumble)
        deployment.encode = BatchEncoder(CURRENT_ID).encode
        deployment.send(good()[:2])
        deployment.process_everything()
    assert len(answers) > 2
    assert [one.visit for one in deployment.metrics()] == [one.id.visit for one in good()[:2]]
    assert deployment.dead_letters() == []


def test_a_message_above_every_limit_blocks_no_partition(deployed_on_sqlite: Callable[..., Deployment]) -> None:
    """On a topic that takes it: it becomes a dead letter that says what it has no room for."""
    deployment = deployed_on_sqlite(kafka={"partitions": 1, "max_message_bytes": 2**20})
    kafka = deployment.settings.kafka
    name, value = "max.message.bytes", str(16 * 2**20)
    allowed = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    topic = ConfigResource(ResourceType.TOPIC, kafka.input_topic, incremental_configs=[allowed])
    admin = AdminClient(kafka.client_options())
    admin.incremental_alter_configs([topic])[topic].result(30)
    incompressible = np.random.default_rng(1).bytes(4 * 2**20)
    deployment.send_raw([OutputMessage(kafka.input_topic, None, incompressible)])
    deployment.send(good()[:1])

    deployment.process_everything()

    (letter,) = map(read_dead_letter, deployment.dead_letters())
    assert (letter.record.reason, letter.left_out, letter.original.value) == ("too_large", ("value",), None)
    assert "kafka.max_message_bytes" in letter.record.message
    assert len(deployment.metrics()) == 1
