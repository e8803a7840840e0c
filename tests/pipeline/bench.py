"""Services on an SQLite APDB and a cache in memory, and batches made of tables."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from stream_assoc.core.model.batch import Batch, BatchId, measured_columns
from stream_assoc.core.model.schema import apdb_table
from stream_assoc.pipeline.batches import Outcome, arrive
from stream_assoc.pipeline.process import process_batches
from stream_assoc.pipeline.services import Services
from stream_assoc.settings import Settings
from stream_assoc.stores.apdb.create import init
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.cache.memory import MemoryCache
from stream_assoc.wiring.pipeline import layout_of, services_of

APDB_FILE = "apdb.sqlite3"


def services_in(folder: Path, **sections: Any) -> Services:
    url = f"sqlite:///{folder / APDB_FILE}"
    init(url)
    return services_on(url, **sections)


def services_on(url: str, **sections: Any) -> Services:
    settings = Settings(**sections)
    return services_of(settings, open_apdb(url), MemoryCache(layout_of(settings)))


def dia_sources(table: pd.DataFrame) -> pa.RecordBatch:
    """Return the measured columns of a table; what it lacks is null, or zero where null is forbidden."""
    columns = []
    for name in measured_columns():
        column = apdb_table("DiaSource").column(name)
        if name in table:
            columns.append(
                pa.array(table[name].to_numpy(), from_pandas=not name.endswith(("ra", "dec"))).cast(column.arrow_type)
            )
        elif column.nullable:
            columns.append(pa.nulls(len(table), column.arrow_type))
        else:
            columns.append(pa.array(np.zeros(len(table))).cast(column.arrow_type))
    return pa.RecordBatch.from_arrays(columns, list(measured_columns()))


def batch_of(
    table: pd.DataFrame, batch_id: BatchId, band: str, midpointMjdTai: float, footprint: np.ndarray
) -> Batch:
    rows = dia_sources(table)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_batch(rows)
    return Batch(
        id=batch_id,
        band=band,
        midpointMjdTai=midpointMjdTai,
        exposureTime=30.0,
        footprint=footprint,
        diaSources=rows,
        digest=hashlib.sha256(sink.getvalue()).digest(),
    )


def process(services: Services, *batches: Batch) -> list[Outcome]:
    return process_batches([arrive(batch, services) for batch in batches], services)
