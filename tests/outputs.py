"""Messages of the output topics, for tests that subscribe to them."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
from confluent_kafka import Producer

from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.core.model.schema import apdb_table
from stream_assoc.messaging.avro.codec import RecordCodec
from stream_assoc.messaging.avro.output_decoder import object_schema
from stream_assoc.messaging.avro.output_encoder import AvroOutputEncoder
from stream_assoc.messaging.avro.schemas import METRICS, METRICS_SCHEMA_ID, load_schema
from stream_assoc.messaging.avro.wire import header


def metrics_of(visit: int, **changes: object) -> AssociationMetrics:
    """Return the metrics of a batch without sources, with some fields changed."""
    fields: dict[str, Any] = {
        "visit": visit,
        "detector": 1,
        "band": "r",
        "midpointMjdTai": 60000.0,
        "timeProcessedMjdTai": 60000.1,
        "numDiaSources": 0,
        "numAssociatedDiaSources": 0,
        "numNewDiaObjects": 0,
        "numUpdatedDiaObjects": 0,
        "numUnassociatedDiaObjects": 0,
        "fracUpdatedDiaObjects": None,
        "totalUnassociatedDiaObjects": 0,
        "numTotalSolarSystemObjects": 0,
        "numAssociatedSsObjects": 0,
        "numMarginalDiaSources": 0,
        "numDroppedDiaSources": 0,
        "numAmbiguousDiaSources": 0,
        "medianMargin": None,
        "medianRaOffset": None,
        "medianDecOffset": None,
        "rmsSeparation": None,
        "stageSeconds": {},
        "inputTopic": None,
        "inputPartition": None,
        "inputOffset": None,
    }
    return AssociationMetrics(**(fields | changes))


def metrics_value(metrics: AssociationMetrics) -> bytes:
    """Return the value of the message that publishes these metrics."""
    return header(METRICS_SCHEMA_ID) + RecordCodec(load_schema(METRICS)).write(asdict(metrics))


def objects_of(
    ids: Sequence[int], further: pa.Table | None = None, **columns: Sequence[float | None]
) -> list[OutputMessage]:
    """Return the messages of objects with these columns; all others are 0, or null where they may be."""
    rows = {
        field.name: pa.array(columns.get(field.name, [None if field.nullable else 0] * len(ids)), field.type)
        for field in list(object_schema())[:-2]
    }
    rows["diaObjectId"] = pa.array(ids, pa.int64())
    return AvroOutputEncoder().encode_objects(pa.table(rows), further)


def forced_sources_of(ids: Sequence[int], **columns: Sequence[float | None]) -> list[OutputMessage]:
    """Return the messages of forced sources with these columns; all others are 0, or null where they may be."""
    schema = apdb_table("DiaForcedSource").arrow_schema()
    rows = {
        field.name: pa.array(columns.get(field.name, [None if field.nullable else 0] * len(ids)), field.type)
        if field.name in columns or field.nullable or not pa.types.is_string(field.type)
        else pa.array(["r"] * len(ids))
        for field in schema
    }
    rows["diaObjectId"] = pa.array(ids, pa.int64())
    return AvroOutputEncoder().encode_forced_sources(pa.table(rows, schema=schema))


def ended(diaObjectId: int) -> OutputMessage:
    """Return the message that tells of the end of an object."""
    (message,) = AvroOutputEncoder().encode_closed(np.array([diaObjectId]), 61_000.25)
    return message


def publish(
    bootstrap: str, topic: str, messages: Sequence[OutputMessage | bytes], *, commit: bool = True, time_ms: int = 0
) -> None:
    """Publish messages to a topic in one transaction, or abort it; return when readers see that it has ended."""
    options = {"bootstrap.servers": bootstrap, "transactional.id": uuid4().hex}
    producer = Producer(options)
    producer.init_transactions(30)
    producer.begin_transaction()
    for message in messages:
        one = message if isinstance(message, OutputMessage) else OutputMessage(topic, None, message)
        producer.produce(topic, one.value, one.key, headers=list(one.headers), timestamp=time_ms)
    producer.flush(30)
    if commit:
        producer.commit_transaction(30)
    else:
        producer.abort_transaction(30)
    # Kafka answers before the end of a transaction is in its partitions. Who takes its name over waits for that.
    Producer(options).init_transactions(30)
