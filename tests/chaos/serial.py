"""The judge of several daemons: one pipeline takes the same batches in the order in which they were committed."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import psycopg
from scipy.spatial import cKDTree

from stream_assoc.core.model.batch import Batch, BatchId
from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import InputMessage, OutputMessage
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.core.sky.vectors import ARCSEC_PER_RADIAN, unit_vectors
from stream_assoc.messaging.avro.batch_decoder import BatchDecoder
from stream_assoc.messaging.avro.output_decoder import decode_metrics
from stream_assoc.messaging.avro.wire import HEADER_BYTES
from stream_assoc.pipeline.batches import Processed, arrive
from stream_assoc.pipeline.process import process_batches
from stream_assoc.pipeline.services import Services
from stream_assoc.settings import Settings
from stream_assoc.stores.apdb.create import init
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.apdb.rows.tables import quoted
from stream_assoc.stores.cache.memory import MemoryCache
from stream_assoc.wiring.pipeline import layout_of, services_of
from tests.chaos.outcome import disordered, sky_in, sky_of
from tests.contents import CHUNK_TABLES, COUNTER, LEDGER, OUTBOX, SCIENCE_TABLES, Rows, columns, contents
from tests.integration.deployment import Deployment

RADIUS: Final = 1.0 / ARCSEC_PER_RADIAN
"""Within which no two objects should be, radians."""

ORDER: Final = ("timeProcessedMjdTai", "visit", "detector", "input_topic", "input_partition", "input_offset")
Owner = tuple[int | None, int | None]
"""The DIAObject or the solar-system object that a source belongs to."""

TABLES: Final = (*SCIENCE_TABLES, *CHUNK_TABLES, LEDGER, COUNTER)


@dataclass(frozen=True, slots=True)
class Findings:
    """What daemons did that one pipeline does not do; nothing of it where all is well.

    Attributes
    ----------
    uncounted : `frozenset` [`BatchId`]
        Batches that were sent and are not in the ledger.
    lost : `frozenset` [`int`]
        Sources that were sent and are not stored.
    owned_otherwise : `frozenset` [`int`]
        Sources that belong to another object than in the serial run.
    twins : `frozenset`
        Pairs of objects within the match radius of one another, created by
        different batches, that the serial run does not have.
    miscounted : `frozenset` [`int`]
        Objects whose nDiaSources is not the number of their sources.
    tables : `frozenset` [`str`]
        Tables whose rows are not those of the serial run.
    unpublished : `int`
        Outputs that are still in the outbox.
    objects, metrics : `int`
        Messages that subscribers of each topic should not see, or see too often, or miss.
    disordered : `frozenset` [`int`]
        Objects whose versions were published in another order than they were
        made, or whose last message is not what the APDB holds of them.
    dead_letters : `int`
    is_other_sky : `bool`
        Whether the next batch would meet other tiles or states.
    """

    uncounted: frozenset[BatchId] = frozenset()
    lost: frozenset[int] = frozenset()
    owned_otherwise: frozenset[int] = frozenset()
    twins: frozenset[tuple[int, int]] = frozenset()
    miscounted: frozenset[int] = frozenset()
    tables: frozenset[str] = frozenset()
    unpublished: int = 0
    objects: int = 0
    metrics: int = 0
    disordered: frozenset[int] = frozenset()
    dead_letters: int = 0
    is_other_sky: bool = False


NOTHING: Final = Findings()


def judge(
    deployment: Deployment, batches: Iterable[Batch], folder: Path, order: Callable[[str], Rows] | None = None
) -> Findings:
    """Compare what daemons made of these batches with what one pipeline makes of them, on SQLite.

    Order is that of the ledger's processing times. A batch takes its time
    while it holds its cells, so batches that share sky were committed in this
    order. Where the clocks of daemons differ it is not, and ``order`` returns
    the columns `ORDER` of the ledger at a URL in that of the commits.

    Of the metrics, the stages' seconds are left out, and the number of
    single-source objects of the whole APDB: batches that share no sky are
    committed side by side.
    """
    url = deployment.settings.apdb.url.get_secret_value()
    sent = {one.id: one for one in batches}
    with _empty_services(deployment.settings, folder) as (services, serial_url):
        outputs = _replay(
            services, sorted(columns(url, LEDGER, *ORDER)) if order is None else order(url), sent, deployment.encode
        )
        serial_sky = sky_in(services)
    kafka = deployment.settings.kafka
    ours, serial = (contents(one, *TABLES, without=("apdb_replica_chunk",)) for one in (url, serial_url))
    owners, serial_owners = _owners(url), _owners(serial_url)
    return Findings(
        uncounted=frozenset(sent) - {BatchId(*row) for row in columns(url, LEDGER, "visit", "detector")},
        lost=frozenset(key for one in sent.values() for key in one.diaSourceId.tolist()) - owners.keys(),
        owned_otherwise=frozenset(key for key, owner in owners.items() if serial_owners.get(key) != owner),
        twins=_twins(url, sent.values()) - _twins(serial_url, sent.values()),
        miscounted=_miscounted(url, owners),
        tables=frozenset(name for name in TABLES if ours[name] != serial[name]),
        unpublished=len(contents(url, OUTBOX)[OUTBOX]),
        objects=_difference(
            map(_datum, deployment.read(kafka.objects_topic)),
            (_datum(one) for one in outputs if one.topic == kafka.objects_topic),
        ),
        metrics=_difference(
            map(_comparable, deployment.metrics()),
            (_comparable(decode_metrics(one.value)) for one in outputs if one.topic == kafka.metrics_topic),
        ),
        disordered=frozenset(disordered(deployment)),
        dead_letters=len(deployment.dead_letters()),
        is_other_sky=sky_of(deployment) != serial_sky,
    )


def in_order_of_transactions(url: str) -> Rows:
    """Return the columns `ORDER` of a ledger in PostgreSQL, batch after batch of each transaction.

    Transactions take their numbers while they hold cells, and nothing is deleted here.
    """
    with psycopg.connect(url) as server:
        text = f'SELECT {quoted(ORDER)} FROM "{LEDGER}" ORDER BY xmin::text::bigint, ctid'
        return server.execute(text.encode()).fetchall()


class RecordedClock:
    """Gives each batch the processing time that the ledger has for it.

    Parameters
    ----------
    times : `Iterable` [`float`]
        MJD TAI, in the order of processing.
    """

    def __init__(self, times: Iterable[float]) -> None:
        self._times = iter(times)

    def processing_time(self) -> float:
        return next(self._times)

    def stopwatch_time(self) -> float:
        return 0.0


@contextlib.contextmanager
def _empty_services(settings: Settings, folder: Path) -> Iterator[tuple[Services, str]]:
    """Give services on an empty APDB in SQLite, with a cache in memory."""
    url = f"sqlite:///{folder / 'serial.sqlite3'}"
    init(url)
    with contextlib.closing(open_apdb(url)) as apdb:
        yield services_of(settings, apdb, MemoryCache(layout_of(settings))), url


def _replay(
    services: Services, in_order: Rows, sent: dict[BatchId, Batch], encode: Callable[[Batch], bytes]
) -> list[OutputMessage]:
    """Process the batches of the ledger one after the other; return all outputs."""
    decoder = BatchDecoder()
    services = replace(services, clock=RecordedClock(row[0] for row in in_order))
    outputs: list[OutputMessage] = []
    for _, visit, detector, *position in in_order:
        # Through the message and back, for its digest.
        batch = decoder.decode(encode(sent[BatchId(visit, detector)]))
        (outcome,) = process_batches([arrive(batch, services, InputPosition(*position))], services)
        assert isinstance(outcome, Processed)
        outputs += outcome.outputs
    return outputs


def _owners(url: str) -> dict[int, Owner]:
    return {
        source: (dia_object, ss_object)
        for source, dia_object, ss_object in columns(url, "DiaSource", "diaSourceId", "diaObjectId", "ssObjectId")
    }


def _twins(url: str, batches: Iterable[Batch]) -> frozenset[tuple[int, int]]:
    """Return pairs of current objects that lie too near one another, and come from different batches."""
    # An object has the id of its first source.
    creator = {key: one.id for one in batches for key in one.diaSourceId.tolist()}
    current = [
        row[:3]
        for row in columns(url, "DiaObject", "diaObjectId", "ra", "dec", "validityEndMjdTai")
        if row[3] is None
    ]
    ids, ra, dec = zip(*current, strict=True)
    pairs = cKDTree(unit_vectors(np.array(ra), np.array(dec))).query_pairs(RADIUS)
    named = (tuple(sorted((ids[first], ids[second]))) for first, second in pairs)
    return frozenset((first, second) for first, second in named if creator[first] != creator[second])


def _miscounted(url: str, owners: dict[int, Owner]) -> frozenset[int]:
    n_sources = Counter(owner for owner, _ in owners.values() if owner is not None)
    claimed: dict[int, int] = dict(columns(url, "DiaObjectLast", "diaObjectId", "nDiaSources"))
    return frozenset(key for key in claimed.keys() | n_sources.keys() if claimed.get(key) != n_sources[key])


def _comparable(metrics: AssociationMetrics) -> tuple[Any, ...]:
    kept = replace(metrics, stageSeconds={}, totalUnassociatedDiaObjects=0)
    return tuple(getattr(kept, one.name) for one in fields(kept) if one.name != "stageSeconds")


def _datum(message: InputMessage | OutputMessage) -> tuple[bytes | None, bytes | None]:
    """Return the key and the value of a message, without the schema id, which releases change."""
    return message.key, message.value and message.value[HEADER_BYTES:]


def _difference(seen: Iterable[tuple[Any, ...]], expected: Iterable[tuple[Any, ...]]) -> int:
    ours, theirs = Counter(seen), Counter(expected)
    return (ours - theirs).total() + (theirs - ours).total()
