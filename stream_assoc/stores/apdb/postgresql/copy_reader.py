"""Rows of PostgreSQL's binary COPY format to columns.

A DIASource has a hundred columns. As Python objects they take three times as
long as the server needs to send them; a numba loop takes a tenth of it.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from stream_assoc.core.model.types import BoolArray, IntArray
from stream_assoc.stores.apdb.postgresql.copy_binary import ARROW_TYPES, DTYPES, HEADER, CopyColumn, width_of

_FORM: Final = HEADER[:15]
"""Signature and flags. What follows, the length of an extension, is zero in every version of PostgreSQL."""


def decode(data: bytes, columns: Sequence[CopyColumn]) -> pa.RecordBatch:
    """Decode what ``COPY ... TO STDOUT (FORMAT BINARY)`` gives.

    Parameters
    ----------
    data : `bytes`
        All of it.
    columns : sequence of `CopyColumn`
        The columns that were asked for, in their order.

    Returns
    -------
    rows : `pyarrow.RecordBatch`
        NULL as null, NaN as NaN.

    Raises
    ------
    ApdbSchemaError
        If the database uses a type that no APDB of a known version has.
    ValueError
        If the bytes are no binary COPY of so many columns.
    """
    if not data.startswith(_FORM):
        raise ValueError(f"binary COPY begins with {data[: len(_FORM)]!r}")
    widths = np.array([width_of(column) for column in columns], np.int64)
    received = np.frombuffer(data, np.uint8)
    n_rows = _count_rows(received, len(HEADER), len(columns))
    if n_rows < 0:
        raise ValueError(f"binary COPY has rows of another number of columns than {len(columns)}, or is cut short")
    bases = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.maximum(widths, 0) * n_rows)])
    fixed = np.zeros(bases[-1], np.uint8)
    valid = np.zeros((len(columns), n_rows), np.bool_)
    places = np.zeros((int((widths < 0).sum()), n_rows), np.int64)
    lengths = np.zeros_like(places)
    _read_rows(received, len(HEADER), widths, bases, fixed, valid, places, lengths)
    arrays, n_texts = [], 0
    for k, column in enumerate(columns):
        kind = ARROW_TYPES[column.type_name]
        if widths[k] < 0:
            arrays.append(_text(received, places[n_texts], lengths[n_texts], valid[k], kind))
            n_texts += 1
        else:
            values = fixed[bases[k] : bases[k + 1]].view(DTYPES[column.type_name])
            arrays.append(_numbers(values, valid[k], kind))
    return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])


def _numbers(values: npt.NDArray[Any], valid: BoolArray, kind: pa.DataType) -> pa.Array:
    return pa.array(values, kind) if valid.all() else pa.array(values, kind, mask=~valid)


def _text(
    received: npt.NDArray[np.uint8], places: IntArray, lengths: IntArray, valid: BoolArray, kind: pa.DataType
) -> pa.Array:
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    gathered = np.empty(offsets[-1], np.uint8)
    _gather(received, places, offsets, gathered)
    mask = None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    buffers = [mask, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(gathered)]
    return pa.Array.from_buffers(kind, len(places), buffers)


@njit(cache=True, error_model="numpy")
def _length(data, p):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return the signed length that is written at a place in 32 bits."""
    length = (np.int64(data[p]) << 24) | (np.int64(data[p + 1]) << 16) | (np.int64(data[p + 2]) << 8) | data[p + 3]
    return length - (1 << 32) if length >= 1 << 31 else length


@njit(cache=True, error_model="numpy")
def _count_rows(data, p, n_columns):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return how many rows there are, -1 where the bytes cannot be such rows."""
    n_rows = 0
    while p + 2 <= len(data):
        n_fields = (np.int64(data[p]) << 8) | data[p + 1]
        p += 2
        if n_fields == 65535:
            return n_rows
        if n_fields != n_columns:
            return -1
        for _ in range(n_columns):
            if p + 4 > len(data):
                return -1
            p += 4 + max(0, _length(data, p))
        n_rows += 1
    return -1


@njit(cache=True, error_model="numpy")
def _read_rows(data, p, widths, bases, fixed, valid, places, lengths):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, PLR0913, PLR0917
    n_columns, n_rows = valid.shape
    for i in range(n_rows):
        p += 2
        t = 0
        for k in range(n_columns):
            length = _length(data, p)
            p += 4
            if widths[k] < 0:
                places[t, i] = p
                lengths[t, i] = max(0, length)
                t += 1
            elif length >= 0:
                end = bases[k] + (i + 1) * widths[k] - 1
                for b in range(widths[k]):
                    fixed[end - b] = data[p + b]
            valid[k, i] = length >= 0
            p += max(0, length)


@njit(cache=True, error_model="numpy")
def _gather(data, places, offsets, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for i in range(len(places)):
        for b in range(offsets[i + 1] - offsets[i]):
            out[offsets[i] + b] = data[places[i] + b]
