"""What Rubin sent in its own alerts comes out of ours."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from lsst.alert.packet import Schema

from stream_assoc.core.model.alerts import AlertRows
from stream_assoc.core.model.arrays import offsets_of
from stream_assoc.core.model.batch import Observation
from stream_assoc.core.model.schema import apdb_table
from stream_assoc.core.model.types import IntArray
from stream_assoc.messaging.avro.alerts.decoder import decode_alert
from stream_assoc.messaging.avro.alerts.encoder import AlertEncoder

pytestmark = pytest.mark.real_data

COUNTS = {"trailNdata", "u_psfFluxNdata", "g_psfFluxNdata", "r_psfFluxNdata", "z_psfFluxNdata", "y_psfFluxNdata"}
"""Null in Rubin's packets of before schema 11, which requires them."""


def in_rubins_types(name: str, rows: pa.Table) -> pa.Table:
    """Return the columns of a table of the APDB, null where Rubin sent none."""
    columns = {}
    for column in apdb_table(name).columns:
        given = rows.column(column.name) if column.name in rows.column_names else pa.nulls(rows.num_rows)
        given = given.cast(column.arrow_type, safe=False)
        if not column.nullable and given.null_count:
            assert column.name in COUNTS
            given = pc.fill_null(given, 0)
        columns[column.name] = given
    return pa.table(columns)


def history_of(rows: pa.Table, alerts: pa.Table) -> tuple[pa.Table, IntArray]:
    """Return the earlier rows of each alert's object side by side, in the order of time, and their offsets."""
    rows = rows.sort_by("midpointMjdTai")
    objects, times = rows["diaObjectId"].to_numpy(), rows["midpointMjdTai"].to_numpy()
    of_each = [
        np.flatnonzero((objects == identifier) & (times < time))
        for identifier, time in zip(
            alerts["diaObjectId"].to_pylist(), alerts["midpointMjdTai"].to_pylist(), strict=True
        )
    ]
    return rows.take(pa.array(np.concatenate(of_each))), offsets_of([len(one) for one in of_each])


def test_every_field_has_the_value_that_rubin_sent(shared_data: Path) -> None:
    sources, forced, objects = (
        pq.read_table(shared_data / "rubin" / f"{name}.parquet") for name in ("sources", "forced", "objects")
    )
    alerts = sources.filter(sources["_trigger"])
    row_of = {identifier: row for row, identifier in enumerate(objects["alertDiaSourceId"].to_pylist())}
    object_row = np.array([row_of.get(identifier, -1) for identifier in alerts["diaSourceId"].to_pylist()])
    history, history_offsets = history_of(in_rubins_types("DiaSource", sources), alerts)
    earlier, forced_offsets = history_of(in_rubins_types("DiaForcedSource", forced), alerts)
    rows = AlertRows(
        in_rubins_types("DiaSource", alerts),
        in_rubins_types("DiaObject", objects),
        object_row,
        history,
        history_offsets,
        earlier,
        forced_offsets,
    )
    written = [decode_alert(one) for one in AlertEncoder().encode(rows, None, Observation(None, None)).to_pylist()]
    schema = Schema.from_file()
    assert all(schema.validate(dict(alert.record)) for alert in written)
    assert (len(written), int((object_row >= 0).sum())) == (247, 201)
    differs = set()
    for alert, source, row in zip(written, alerts.to_pylist(), object_row, strict=True):
        differs |= different(alert.record["diaSource"], source)
        if alert.dia_object:
            differs |= different(dict(alert.dia_object), objects.slice(row, 1).to_pylist()[0])
    assert differs == {(name, None, 0) for name in COUNTS}


def different(ours: dict[str, object], rubins: dict[str, object]) -> set[tuple[str, object, object]]:
    """Return the fields that both have with other values, and those values; NaN stands for null."""
    pairs = [
        (name, None if rubins[name] != rubins[name] else rubins[name], ours[name])
        for name in ours.keys() & rubins.keys()
    ]
    return {pair for pair in pairs if pair[1] != pair[2]}
