"""Alerts end to end, PostgreSQL to Kafka, against the plain way: queries, fastavro and a message for each alert."""

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import adbc_driver_postgresql.dbapi as adbc
import fastavro
import numpy as np
import psycopg
import pyarrow as pa
from astropy.wcs import WCS
from confluent_kafka import Producer
from psycopg.rows import dict_row

from benchmarks import test_cold_cache
from benchmarks.deployed import first_visits
from benchmarks.pipeline_services import SETTINGS
from benchmarks.side_by_side import Figure, in_turns
from benchmarks.skies import CENTRE_DEC, CENTRE_RA, VISIT_DEGREES, Size
from benchmarks.test_cutouts import SIDE, astropy_file
from stream_assoc.core.model.batch import Batch, BatchId, ImageUris
from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import InputMessage
from stream_assoc.messaging.avro.alerts.decoder import decode_alert
from stream_assoc.messaging.avro.alerts.encoder import AlertEncoder
from stream_assoc.messaging.avro.alerts.schemas import alert_schema
from stream_assoc.messaging.avro.output_decoder import decode_metrics
from stream_assoc.messaging.kafka.plain_producer import enqueue
from stream_assoc.messaging.kafka.topics import ensure_topics
from stream_assoc.photometry.cutouts.boxes import Boxes, Sources, boxes_of
from stream_assoc.photometry.cutouts.cutter import BatchImages
from stream_assoc.photometry.exposure import Exposure
from stream_assoc.pipeline.alerts import AlertContent
from stream_assoc.pipeline.batches import arrive
from stream_assoc.pipeline.clock import PinnedClock
from stream_assoc.pipeline.process import process_batches
from stream_assoc.service.alerts.maker import AlertMaker, AlertSources, Destination
from stream_assoc.settings import Settings
from stream_assoc.stores.apdb.create import init
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.cache.memory import MemoryCache
from stream_assoc.wiring.pipeline import layout_of, services_of
from stream_assoc.wiring.stores import reader_of
from tests.configured import configured
from tests.outputs import metrics_of, metrics_value
from tests.photometry.skies import exposure, gaussian_psf

N_ALERTS = 1_000
LATER_DAYS = 300.0
"""After every copy of a source."""


def test_alerts_end_to_end(kafka_bootstrap: str, postgresql_database: str, record: Callable[[Figure], None]) -> None:
    few = measure(kafka_bootstrap, postgresql_database, 20)
    with_cutouts = measure(kafka_bootstrap, postgresql_database, 20, field_image())
    many = measure(kafka_bootstrap, postgresql_database, 200)
    record(
        Figure(
            "alerts without cutouts at 20 sources of history, the plain way / ours",
            few["plain"] / few["ours"],
            bar=5.0,
            at_least=True,
            details=few,
        )
    )
    record(Figure("alerts a second, at 20 sources of history", 1.0 / few["ours"], unit="/s"))
    record(
        Figure(
            "alerts with three cutouts of 30 x 30, images in memory, the plain way / ours",
            with_cutouts["plain"] / with_cutouts["ours"],
            bar=6.0,
            at_least=True,
            details=with_cutouts,
        )
    )
    record(Figure("alerts a second with three cutouts", 1.0 / with_cutouts["ours"], unit="/s"))
    record(
        Figure(
            "an alert at 200 sources of history / at 20",
            many["ours"] / few["ours"],
            bar=4.0,
            details={f"{name} at 200": seconds for name, seconds in many.items()},
            is_explained=True,
        )
    )


def field_image() -> Exposure:
    """Return an image of the whole field, its pixels as large as it takes."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = (CENTRE_RA, CENTRE_DEC), (0.5 * SIDE, 0.5 * SIDE)
    wcs.wcs.cd = 1.1 * VISIT_DEGREES / SIDE * np.array([[-1.0, 0.0], [0.0, 1.0]])
    noise = np.random.default_rng(1).normal(0.0, 30.0, (SIDE, SIDE))
    return replace(exposure(noise, psf=gaussian_psf(size=41)), wcs=wcs)


@dataclass(frozen=True, slots=True)
class InMemory:
    """The images of every batch, as upstream's task is handed them."""

    image: Exposure

    def load(self, uris: ImageUris, batch: BatchId, band: str) -> BatchImages:
        return BatchImages(dict.fromkeys(("difference", "science", "template"), self.image))


def measure(kafka_bootstrap: str, apdb_url: str, n_sources: int, image: Exposure | None = None) -> dict[str, float]:
    """Return the seconds an alert takes each way, of a visit whose objects have so many sources."""
    settings = configured(
        **SETTINGS,
        apdb={"url": apdb_url, "namespace": None},
        kafka={"bootstrap_servers": kafka_bootstrap, "alerts_topic": f"alerts-{uuid4().hex}"},
        alerts={"history_days": 10_000.0},
    )
    init(apdb_url, drop=True)
    ensure_topics(settings.kafka)
    visit = fill(settings, n_sources)
    with psycopg.connect(apdb_url, autocommit=True, row_factory=dict_row) as connection:
        connection.execute("VACUUM (ANALYZE)")
        (processed,) = connection.execute(
            'SELECT "timeProcessedMjdTai" AS time FROM "StreamAssocLedger" WHERE visit = %s', [visit.id.visit]
        ).fetchall()
        metrics = metrics_of(
            visit.id.visit,
            detector=visit.id.detector,
            band=visit.band,
            timeProcessedMjdTai=processed["time"],
            midpointMjdTai=visit.midpointMjdTai,
        )
        message = InputMessage(InputPosition("metrics", 0, 0), 0, None, metrics_value(metrics))
        reader = reader_of(settings)
        maker = AlertMaker(
            AlertSources(reader, None if image is None else InMemory(image), 0.0, decode_metrics),
            AlertContent(history_days=settings.alerts.history_days),
            AlertEncoder(),
            Destination(settings.kafka.alerts_topic, settings.kafka.partitions, settings.sky.cell_level),
        )
        options = settings.kafka.producer_options() | {"compression.type": "gzip", "compression.level": 1}

        def ours() -> int:
            producer = Producer(options)
            alerts = maker.make(message).messages
            for alert in alerts:
                enqueue(producer, alert, lambda error, sent: None)
            producer.flush()
            return len(alerts)

        def plain() -> int:
            return plainly(connection, visit.id, processed["time"], settings, dict(options), image)

        told = [len(decode_alert(one.value).record["prvDiaSources"] or ()) for one in maker.make(message).messages]
        assert n_sources <= np.median(told) <= n_sources + 1
        n_alerts = ours()
        assert n_alerts == plain() >= N_ALERTS
        timed = in_turns(3, ours=ours, plain=plain)
        reader.close()
    return {name: seconds / n_alerts for name, seconds in timed.seconds.items()}


def fill(settings: Settings, n_sources: int) -> Batch:
    """Make objects with so many sources each, and process a visit that sees each again; return that."""
    apdb = open_apdb(settings.apdb.connection_url())
    try:
        services = services_of(settings, apdb, MemoryCache(layout_of(settings)))
        (first,) = first_visits(Size(0, N_ALERTS), N_ALERTS)
        test_cold_cache.N_OBJECTS, test_cold_cache.N_BATCHES = N_ALERTS, 1
        test_cold_cache.N_SOURCES_EACH = n_sources
        with adbc.connect(settings.apdb.connection_url(), autocommit=True) as connection:
            test_cold_cache.fill(services, connection)
        again = replace(
            first,
            id=BatchId(first.id.visit + 10**9, first.id.detector),
            midpointMjdTai=first.midpointMjdTai + LATER_DAYS,
            diaSources=with_other_ids(first.diaSources),
            digest=b"again".ljust(32, b"\0"),
        )
        # After every copy was processed.
        later = PinnedClock(services.clock.processing_time() + 1.0)
        services = replace(services, cache=MemoryCache(layout_of(settings)), clock=later)
        process_batches([arrive(again, services)], services)
    finally:
        apdb.close()
    return again


def with_other_ids(sources: pa.RecordBatch) -> pa.RecordBatch:
    ids = np.asarray(sources.column("diaSourceId").to_numpy(), np.int64) + 10**15
    place = sources.schema.get_field_index("diaSourceId")
    return sources.set_column(place, sources.schema.field(place), pa.array(ids, pa.int64()))


def plainly(
    connection: "psycopg.Connection[dict[str, Any]]",
    batch: BatchId,
    time: float,
    settings: Settings,
    options: dict[str, Any],
    image: Exposure | None,
) -> int:
    """Publish the alerts of a batch as a script would."""
    schema = fastavro.parse_schema(alert_schema())
    producer = Producer(options)
    sources = connection.execute(
        'SELECT * FROM "DiaSource" WHERE visit = %s AND detector = %s AND "timeProcessedMjdTai" = %s', [*batch, time]
    ).fetchall()
    wheres = [] if image is None else places_of(image, sources)
    for number, source in enumerate(sources):
        known = source["diaObjectId"]
        objects = connection.execute(
            'SELECT * FROM "DiaObject" WHERE "diaObjectId" = %s AND "validityStartMjdTai" = %s', [known, time]
        ).fetchall()
        earlier = connection.execute(
            'SELECT * FROM "DiaSource" WHERE "diaObjectId" = %s AND "timeProcessedMjdTai" < %s '
            'AND "timeWithdrawnMjdTai" IS NULL ORDER BY "midpointMjdTai"',
            [known, time],
        ).fetchall()
        forced = connection.execute(
            'SELECT * FROM "DiaForcedSource" WHERE "diaObjectId" = %s AND "timeProcessedMjdTai" <= %s', [known, time]
        ).fetchall()
        packet = {
            "diaSourceId": source["diaSourceId"],
            "diaSource": source,
            "prvDiaSources": earlier or None,
            "prvDiaForcedSources": forced or None,
            "diaObject": objects[0],
        }
        if image is not None:
            stamps = [astropy_file(image, *wheres[number]) for _ in range(3)]
            packet |= dict(zip(("cutoutDifference", "cutoutScience", "cutoutTemplate"), stamps, strict=True))
        value = io.BytesIO(b"\x00\x00\x00\x04\x4d")
        value.seek(5)
        fastavro.schemaless_writer(value, schema, packet)
        producer.produce(settings.kafka.alerts_topic, value.getvalue())
        producer.poll(0)
    producer.flush()
    return len(sources)


def places_of(image: Exposure, sources: list[dict[str, Any]]) -> list[tuple[Boxes, Sources, int]]:
    """Return what a cutout of each source is made with."""
    columns = {name: np.array([one[name] for one in sources], np.float64) for name in ("ra", "dec")}
    unknown = np.full(len(sources), np.nan)
    where = Sources(columns["ra"], columns["dec"], unknown, unknown, np.full(len(sources), 30))
    boxes = boxes_of(image, where)
    return [(boxes, where, number) for number in range(len(sources))]
