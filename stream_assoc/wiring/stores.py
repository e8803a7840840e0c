"""The configured APDB and cache, for writing and for reading."""

import contextlib
from collections.abc import Iterator

import structlog

from stream_assoc.pipeline.services import Services
from stream_assoc.settings import Settings
from stream_assoc.stores.apdb.backend import ApdbReport, OpenApdb
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.apdb.patience import Patience
from stream_assoc.stores.apdb.reading.inspection import ApdbInspection
from stream_assoc.stores.apdb.reading.open import open_inspection, open_reader
from stream_assoc.stores.apdb.reading.port import ApdbReader
from stream_assoc.stores.apdb.replication import Replication
from stream_assoc.stores.apdb.rows.chunks import CLOCKS_SECONDS
from stream_assoc.stores.cache.redis.cache import RedisCache
from stream_assoc.stores.cache.redis.connection import connect
from stream_assoc.wiring.pipeline import calculator_of, layout_of, services_of

log = structlog.get_logger(__name__)


@contextlib.contextmanager
def open_stores(settings: Settings) -> Iterator[tuple[OpenApdb, RedisCache]]:
    """Open the APDB and the cache, and close both at the end.

    Raises
    ------
    ApdbSchemaError
        If the database is no APDB that this version can write.
    CacheConfigurationError
        If the cache refuses its user, or what is needed of it.
    """
    with contextlib.ExitStack() as stack:
        apdb = open_apdb(
            settings.apdb.connection_url(),
            settings.apdb.namespace,
            tile_level=settings.sky.tile_level,
            cell_level=settings.sky.cell_level,
            flag_columns=settings.statistics.flag_columns,
            patience=patience_of(settings),
            replication=replication_of(settings),
        )
        stack.callback(apdb.close)
        for advice in (lock_advice(apdb.report, settings), clock_advice(apdb.report)):
            if advice is not None:
                log.warning("apdb", advice=advice)
        apdb.expect_statistics(calculator_of(settings).plugin_columns)
        apdb.announce_replication()
        client = connect(
            *settings.redis.urls(),
            options=settings.redis.client_options(),
            cluster=settings.redis.cluster,
            sentinel_service=settings.redis.sentinel_service,
            sentinel_options=settings.redis.sentinel_options(),
            connect_timeout_seconds=settings.redis.connect_timeout_seconds,
            timeout_seconds=settings.redis.timeout_seconds,
        )
        cache = RedisCache(
            client,
            layout_of(settings),
            tile_level=settings.sky.tile_level,
            cell_level=settings.sky.cell_level,
            secret=apdb.report.cache_secret.encode(),
            prefix=f"{settings.redis.prefix}:{apdb.report.identity}",
        )
        stack.callback(cache.close)
        for advice in cache.check():
            log.warning("cache", advice=advice)
        yield apdb, cache


def reader_of(settings: Settings) -> ApdbReader:
    """Open the APDB for reading only; close it when done.

    Raises
    ------
    ApdbError
        As `~stream_assoc.stores.apdb.reading.open.open_reader`.
    """
    return open_reader(settings.apdb.connection_url(), settings.apdb.namespace, patience_of(settings))


def inspection_of(settings: Settings) -> contextlib.AbstractContextManager[ApdbInspection]:
    """Hold on to this moment of the APDB, to inspect it.

    Raises
    ------
    ApdbError
        As `~stream_assoc.stores.apdb.reading.open.open_inspection`.
    """
    return open_inspection(
        settings.apdb.connection_url(),
        settings.apdb.namespace,
        patience_of(settings),
        flag_columns=settings.statistics.flag_columns,
    )


def patience_of(settings: Settings) -> Patience:
    """Return how long to wait for the APDB."""
    apdb = settings.apdb
    return Patience(
        apdb.connect_timeout_seconds, apdb.timeout_seconds, apdb.lock_timeout_seconds, apdb.idle_timeout_seconds
    )


def replication_of(settings: Settings) -> Replication:
    """Return how rows are noted for replicas of the APDB."""
    return Replication(settings.apdb.replica_chunk_seconds, settings.apdb.replica_lag_seconds)


def lock_advice(report: ApdbReport, settings: Settings) -> str | None:
    """Return what to do if a few daemons could fill the server's lock table; `None` if they could not."""
    most, size = settings.daemon.micro_batch_cells, report.lock_table_size
    if size is None or 2 * most <= size:
        return None
    return (
        f"PostgreSQL's lock table holds about {size} locks of all its sessions together, and each daemon may hold "
        f"daemon.micro_batch_cells = {most}: raise max_locks_per_transaction there, or lower that setting, so that "
        "all daemons together fit in"
    )


def clock_advice(report: ApdbReport) -> str | None:
    """Return what to do about a clock that is so far off that a replica may miss rows; `None` if there is nothing."""
    ahead = report.seconds_ahead
    if not report.replication or abs(ahead) <= CLOCKS_SECONDS:
        return None
    return (
        f"the clock of this host is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} that of PostgreSQL's, "
        "and rows are noted for replication by time: a replica (PPDB) may miss some. Let all hosts keep the time "
        f"(NTP) to within {CLOCKS_SECONDS:g} s, and compare with `stream-assoc replica check`"
    )


@contextlib.contextmanager
def open_services(settings: Settings) -> Iterator[Services]:
    """Open the APDB and the cache as `open_stores`, and give the pipeline's services on them."""
    with open_stores(settings) as (apdb, cache):
        yield services_of(settings, apdb, cache)
