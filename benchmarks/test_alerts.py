"""Alerts written from columns, beside fastavro's record by record."""

import functools
import io
from collections.abc import Callable
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa

from benchmarks.side_by_side import Figure, in_turns
from stream_assoc.core.model.alerts import AlertRows, Stamps
from stream_assoc.core.model.batch import Observation
from stream_assoc.messaging.avro.alerts.encoder import AlertEncoder
from stream_assoc.messaging.avro.alerts.schemas import LATEST, alert_schema
from tests.messaging.avro.alerts.rows import random_alerts, records_of

Record = Callable[[Figure], None]

N_ALERTS = 500
OBSERVATION = Observation("science", None)
STAMP_BYTES = 23_040
"""Of a FITS file with a 30 x 30 image, its variance and a PSF, in blocks of 2880."""


@functools.cache
def alerts(history: int) -> AlertRows:
    """Return alerts with so many earlier sources, and so many forced ones."""
    return random_alerts([history] * N_ALERTS, [history] * N_ALERTS, 3)


@functools.cache
def stamps() -> Stamps:
    """Return three cutouts for each alert."""
    files = np.random.default_rng(4).bytes(N_ALERTS * STAMP_BYTES)
    offsets = pa.py_buffer(np.arange(N_ALERTS + 1, dtype=np.int64) * STAMP_BYTES)
    column = pa.Array.from_buffers(pa.large_binary(), N_ALERTS, [None, offsets, pa.py_buffer(files)])
    return Stamps(column, column, column)


def written_plainly(schema: Any, records: list[dict[str, Any]]) -> list[bytes]:
    messages = []
    for record in records:
        target = io.BytesIO()
        fastavro.schemaless_writer(target, schema, record)
        messages.append(target.getvalue())
    return messages


def test_alerts(record: Record) -> None:
    encoder, schema = AlertEncoder(), fastavro.parse_schema(alert_schema())
    rows = alerts(20)
    records = records_of(LATEST, rows, None, OBSERVATION)
    encoded = encoder.encode(rows, None, OBSERVATION)
    assert [value[5:] for value in encoded.to_pylist()] == written_plainly(schema, records)
    bytes_of_all = np.frombuffer(encoded.buffers()[2], np.uint8)
    timed = in_turns(
        5,
        ours=lambda: encoder.encode(rows, None, OBSERVATION),
        with_stamps=lambda: encoder.encode(rows, stamps(), OBSERVATION),
        long=lambda: encoder.encode(alerts(200), None, OBSERVATION),
        fastavro=lambda: written_plainly(schema, records),
        copy=bytes_of_all.copy,
    )
    each = {name: seconds / N_ALERTS for name, seconds in timed.seconds.items()}
    record(
        Figure(
            "alerts written by fastavro / by us, at 20 sources of history",
            timed.ratio("fastavro", "ours"),
            bar=20.0,
            at_least=True,
            details={name: each[name] for name in ("fastavro", "ours")},
        )
    )
    record(Figure("an alert at 200 sources of history / at 20", timed.ratio("long", "ours"), bar=12.0))
    record(Figure("an alert with three cutouts / without", timed.ratio("with_stamps", "ours")))
    record(Figure("writing an alert / copying its bytes", timed.ratio("ours", "copy")))
