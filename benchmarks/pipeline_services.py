"""The pipeline without stores: what a visit costs in computing alone."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import pyarrow as pa
import pyruhvro

from benchmarks.skies import MJD, Size, objects_of, states_of, visit_of
from stream_assoc.core.association.candidates import find_candidates
from stream_assoc.core.model.objects import ObjectPositions, TiledObjects
from stream_assoc.core.model.states import ObjectStates
from stream_assoc.core.model.types import IntArray
from stream_assoc.core.sky.htm import htm_index
from stream_assoc.core.statistics.calculator import StatisticsCalculator
from stream_assoc.core.statistics.registry import ALL_PLUGINS
from stream_assoc.messaging.avro.batch_decoder import BatchDecoder
from stream_assoc.messaging.avro.batch_encoder import BatchEncoder
from stream_assoc.messaging.avro.codec import contiguous
from stream_assoc.messaging.avro.output_encoder import statistics_records
from stream_assoc.messaging.avro.schemas import BATCH, OBJECT, load_schema
from stream_assoc.messaging.avro.wire import HEADER_BYTES
from stream_assoc.pipeline.batches import arrive
from stream_assoc.pipeline.commit import write_down
from stream_assoc.pipeline.decide import Decision, apply, decide
from stream_assoc.pipeline.neighbourhood import Neighbourhood
from stream_assoc.pipeline.ports.apdb import Apdb
from stream_assoc.pipeline.ports.cache import CachedTiles
from stream_assoc.pipeline.ports.sessions import ApdbSession
from stream_assoc.pipeline.region import region_of
from stream_assoc.pipeline.services import Services
from stream_assoc.pipeline.source_rows import source_points
from stream_assoc.pipeline.staging import StagedCache
from stream_assoc.stores.cache.memory import MemoryCache
from stream_assoc.wiring.pipeline import layout_of, services_of
from tests.configured import configured

SETTINGS = {
    "new_objects": {"max_new_dia_objects": 1_000_000},
    "statistics": {"plugins": ALL_PLUGINS},
}


class EmptySky:
    """A session on an APDB that has nothing the cache lacks."""

    def load_tiles(self, tiles: IntArray) -> TiledObjects:
        return TiledObjects(tiles, np.zeros(len(tiles) + 1, np.int64), ObjectPositions.empty())


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit as its message, its objects cached in this process, and the services it is processed with.

    ``decode_only`` is pyruhvro reading the message, and ``least`` what no
    program that does the same can leave out: that, the candidates, all
    statistics of the objects met, and pyruhvro writing their new versions.
    """

    size: Size
    message: bytes
    services: Services
    decoder: BatchDecoder
    decode_only: Callable[[], object]
    least: Callable[[], object]

    def compute(self) -> Decision:
        """Take the message to encoded outputs; store nothing."""
        arrival = arrive(self.decoder.decode(self.message), self.services)
        versions = dict.fromkeys(arrival.region.tiles.tolist(), 1)
        # Everything is in the cache, so nothing else of a session is called, nor of an APDB.
        session = cast("ApdbSession", EmptySky())
        staged = StagedCache(self.services.cache, self.services.layout)
        neighbourhood = Neighbourhood(session, staged, self.services.calculator, self.services.partition, versions)
        decision = apply(decide(arrival, neighbourhood, 0, self.services), neighbourhood)
        write_down([decision], (), self.services, np.empty(0, np.int64))
        return decision


def visit(size: Size) -> Visit:
    """Return a visit of this size, its objects in a cache in memory."""
    settings = configured(**SETTINGS)
    layout = layout_of(settings)
    cache = MemoryCache(layout)
    services = services_of(settings, cast("Apdb", None), cache)
    objects = objects_of(size)
    batch = visit_of(size, objects)
    near = find_candidates(batch.column("ra"), batch.column("dec"), objects.ra, objects.dec, 2.0)
    met = objects.take(np.unique(near.object_row))
    level = services.partition.tile_level
    cells = services.partition.cells(htm_index(met.ra, met.dec, level))
    states = states_of(services.calculator, met, size.n_points)
    region = region_of(batch, services.partition, 1.0)
    cache.write(tiles_of(objects, region.tiles, level), states, cells)
    message = BatchEncoder().encode(batch)
    schema = json.dumps(load_schema(BATCH))

    def decode_only() -> object:
        return pyruhvro.deserialize_array([message[HEADER_BYTES:]], schema)

    # One source for each of these objects; which one makes no difference to the cost.
    points = source_points(batch, np.arange(len(met)) % len(batch), ())
    versions, written = records_of(services.calculator, states)

    def least() -> None:
        decode_only()
        find_candidates(batch.column("ra"), batch.column("dec"), objects.ra, objects.dec, 1.0)
        services.calculator.update(states, points, MJD)
        pyruhvro.serialize_record_batch(versions, written, 1)

    return Visit(size, message, services, BatchDecoder(), decode_only, least)


def records_of(calculator: StatisticsCalculator, states: ObjectStates) -> tuple[pa.RecordBatch, str]:
    """Return the versions of these objects as pyruhvro takes them, and the schema to write."""
    schema = json.dumps(load_schema(OBJECT))
    columns = pyruhvro.avro_to_arrow_schema(schema)
    statistics, of_plugins = columns.field("statistics"), columns.field("pluginStatistics")
    records = statistics_records(calculator.further_rows(states), statistics.type, len(states))
    rows = calculator.object_rows(states).append_column(statistics, records)
    rows = rows.append_column(of_plugins, pa.nulls(len(states), of_plugins.type))
    return pa.RecordBatch.from_arrays(list(map(contiguous, rows.columns)), rows.column_names), schema


def tiles_of(objects: ObjectPositions, tiles: IntArray, level: int) -> CachedTiles:
    """Return these tiles, which ascend, with those of the objects that are in them, as the cache keeps them."""
    tile = htm_index(objects.ra, objects.dec, level)
    order = np.lexsort((objects.diaObjectId, tile))
    order = order[np.isin(tile[order], tiles)]
    offsets = np.append(np.searchsorted(tile[order], tiles), len(order))
    return CachedTiles(TiledObjects(tiles, offsets, objects.take(order)), np.ones(len(tiles), np.int64))
