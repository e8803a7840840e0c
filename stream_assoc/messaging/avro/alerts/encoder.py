"""The alerts of a batch: each row written once, by columns, and the bytes joined.

A datum of Avro is that of its fields, one behind the other. An array is the
number of its items, the items, and a zero. The history of one alert lies side
by side, so its items are a slice of what has been written for all.
"""

from typing import Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stream_assoc.core.model.alerts import AlertRows, Stamps
from stream_assoc.core.model.batch import Observation
from stream_assoc.core.model.types import IntArray
from stream_assoc.messaging.avro.alerts.columns import TableWriter
from stream_assoc.messaging.avro.alerts.schemas import LATEST, alert_schema, alert_schema_id, record_schemas
from stream_assoc.messaging.avro.row_writer import RowWriter
from stream_assoc.messaging.avro.wire import header

_BYTES: Final = pa.large_binary()
_NOTHING: Final = pa.scalar(b"", _BYTES)
_NULL: Final = pa.scalar(b"\x00", _BYTES)
_END: Final = pa.scalar(b"\x00", _BYTES)
"""Of an array."""

_VALUE: Final = b"\x02"
"""How a value begins where null is allowed."""

_IDENTIFIER: Final = {
    "type": "record",
    "name": "identifier",
    "fields": [{"name": "diaSourceId", "type": "long"}],
}

_HOW_MUCH: Final = RowWriter(
    {"type": "record", "name": "number", "fields": [{"name": "value", "type": ["null", "long"]}]}
)
"""Writes how much follows where null is allowed: the items of an array, the bytes of a text or a file."""

_Part: TypeAlias = pa.LargeBinaryArray | pa.Scalar


class AlertEncoder:
    """Writes alerts in Rubin's schema and the Confluent wire format.

    A field has the value of the column of its name. What is null or NaN is
    null where the schema allows it; so is an array without items. Of the
    solar system an alert holds nothing: ``ssSource`` and ``mpc_orbits`` are null.

    Parameters
    ----------
    version : `str`, optional
        Of the schema, one of `~stream_assoc.messaging.avro.alerts.schemas.VERSIONS`.
    schema_id : `int`, optional
        The id that a Schema Registry gave; by default Rubin's.

    Raises
    ------
    AvroSchemaError
        If there is no such version.
    """

    def __init__(self, version: str = LATEST, schema_id: int | None = None) -> None:
        schema = alert_schema(version)
        records = record_schemas(schema)
        self._names = [field["name"] for field in schema["fields"]]
        # Of every version the identifier is the first field.
        beginning = header(alert_schema_id(version) if schema_id is None else schema_id)
        self._identifiers = TableWriter("DiaSource", _IDENTIFIER, beginning)
        self._sources = TableWriter("DiaSource", records["diaSource"])
        self._forced_sources = TableWriter("DiaForcedSource", records["diaForcedSource"])
        self._objects = TableWriter("DiaObject", records["diaObject"], _VALUE)

    def encode(self, rows: AlertRows, stamps: Stamps | None, observation: Observation) -> pa.LargeBinaryArray:
        """Return one message for each alert, in order.

        Parameters
        ----------
        rows : `~stream_assoc.core.model.alerts.AlertRows`
        stamps : `~stream_assoc.core.model.alerts.Stamps` or `None`
            None for no cutouts at all.
        observation : `~stream_assoc.core.model.batch.Observation`

        Raises
        ------
        EncodeError
            If a column is missing, of another type, or null where a value is
            required.
        """
        identifiers = self._identifiers.write(rows.sources)
        known: dict[str, list[_Part]] = {
            "diaSourceId": [identifiers],
            "alertId": [identifiers],
            "observation_reason": [_text(observation.reason)],
            "target_name": [_text(observation.target)],
            "diaSource": [self._sources.write(rows.sources)],
            "prvDiaSources": _items(self._sources.write(rows.history), rows.history_offsets),
            "prvDiaForcedSources": _items(self._forced_sources.write(rows.forced), rows.forced_offsets),
            "diaObject": [_chosen(self._objects.write(rows.objects), rows.object_row)],
        }
        if stamps is not None:
            known |= {
                "cutoutDifference": _files(stamps.difference),
                "cutoutScience": _files(stamps.science),
                "cutoutTemplate": _files(stamps.template),
            }
        parts = [part for name in self._names for part in known.get(name, [_NULL])]
        return pc.binary_join_element_wise(*parts, _NOTHING, null_handling="replace", null_replacement="")


def _text(value: str | None) -> pa.Scalar:
    if value is None:
        return _NULL
    encoded = value.encode()
    (length,) = _how_much(pa.array([len(encoded)], pa.int64())).to_pylist()
    return pa.scalar(length + encoded, _BYTES)


def _how_much(numbers: pa.Int64Array) -> pa.LargeBinaryArray:
    return _HOW_MUCH.write(pa.record_batch({"value": numbers}))


def _items(data: pa.LargeBinaryArray, offsets: IntArray) -> list[_Part]:
    """Return an array for each alert, null for one without items."""
    lengths = np.diff(offsets)
    begins = np.frombuffer(data.buffers()[1], np.int64)
    buffers = [None, pa.py_buffer(begins[offsets]), data.buffers()[2]]
    items = pa.Array.from_buffers(_BYTES, len(lengths), buffers)
    end = pc.if_else(pa.array(lengths > 0), _END, _NOTHING)
    return [_how_much(pa.array(lengths, mask=lengths == 0)), items, end]


def _chosen(data: pa.LargeBinaryArray, row: IntArray) -> pa.LargeBinaryArray:
    """Return a record for each alert, null where it has none."""
    return pc.coalesce(data.take(pa.array(row, mask=row < 0)), _NULL)


def _files(files: pa.LargeBinaryArray) -> list[_Part]:
    return [_how_much(pc.binary_length(files)), files]
