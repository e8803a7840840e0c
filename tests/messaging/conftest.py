from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from stream_assoc.core.model.batch import Batch, BatchId, ImageUris, SolarSystemObjects
from stream_assoc.core.model.further_statistics import further_statistics
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.messaging.avro.batch_decoder import source_schema
from stream_assoc.messaging.avro.output_decoder import object_schema

LARGE_ID = 2**60


def random_column(field: pa.Field, n_rows: int, rng: np.random.Generator) -> pa.Array:
    mask = rng.random(n_rows) < 0.2 if field.nullable else None
    if pa.types.is_floating(field.type):
        return pa.array(rng.normal(size=n_rows).astype(field.type.to_pandas_dtype()), field.type, mask=mask)
    if field.type == pa.int64():
        return pa.array(LARGE_ID + rng.permutation(n_rows), field.type, mask=mask)
    if pa.types.is_integer(field.type):
        return pa.array(rng.integers(0, 1000, n_rows).astype(np.int32), field.type, mask=mask)
    if pa.types.is_boolean(field.type):
        return pa.array(rng.random(n_rows) < 0.5, field.type, mask=mask)
    return pa.array([f"v{number}" for number in range(n_rows)], field.type, mask=mask)


def random_rows(schema: pa.Schema, n_rows: int, seed: int) -> pa.RecordBatch:
    rng = np.random.default_rng(seed)
    return pa.RecordBatch.from_arrays([random_column(field, n_rows, rng) for field in schema], schema=schema)


@pytest.fixture(scope="session")
def make_batch() -> Callable[..., Batch]:
    def make(n_sources: int = 3, seed: int = 1, **changes: object) -> Batch:
        values = {
            "id": BatchId(visit=2026112200123, detector=94),
            "band": "r",
            "midpointMjdTai": 61366.25,
            "exposureTime": 30.0,
            "footprint": np.array([[10.0, -5.0], [10.3, -5.0], [10.3, -4.7], [10.0, -4.7]]),
            "diaSources": random_rows(source_schema(), n_sources, seed),
            "digest": b"",
            "solar_system_objects": SolarSystemObjects(np.array([LARGE_ID + 7]), np.array([10.1]), np.array([-4.9])),
            "images": ImageUris(difference="s3://images/difference.fits"),
        }
        return Batch(**(values | changes))

    return make


@pytest.fixture(scope="session")
def object_rows() -> Callable[..., pa.Table]:
    def make(n_objects: int = 5, seed: int = 2) -> pa.Table:
        return pa.Table.from_batches([random_rows(pa.schema(list(object_schema())[:-2]), n_objects, seed)])

    return make


@pytest.fixture(scope="session")
def further_rows() -> Callable[..., pa.Table]:
    """Return what a daemon with some more plugins computes besides."""

    def make(n_objects: int = 5, seed: int = 3) -> pa.Table:
        names = ("flags", "r_psfFluxSkew", "y_psfFluxPercentile95")
        schema = pa.schema([column.arrow_field() for column in further_statistics() if column.name in names])
        return pa.Table.from_batches([random_rows(schema, n_objects, seed)])

    return make


@pytest.fixture(scope="session")
def metrics() -> AssociationMetrics:
    return AssociationMetrics(
        visit=2026112200123,
        detector=94,
        band="r",
        midpointMjdTai=61366.25,
        timeProcessedMjdTai=61366.2505,
        numDiaSources=12,
        numAssociatedDiaSources=5,
        numNewDiaObjects=3,
        numUpdatedDiaObjects=5,
        numUnassociatedDiaObjects=15,
        fracUpdatedDiaObjects=0.25,
        totalUnassociatedDiaObjects=1003,
        numTotalSolarSystemObjects=2,
        numAssociatedSsObjects=1,
        numMarginalDiaSources=2,
        numDroppedDiaSources=1,
        numAmbiguousDiaSources=0,
        medianMargin=None,
        medianRaOffset=0.01,
        medianDecOffset=-0.02,
        rmsSeparation=0.07,
        stageSeconds={"decode": 0.001, "associate": 0.002},
        inputTopic="dia-sources",
        inputPartition=3,
        inputOffset=2**40,
    )
