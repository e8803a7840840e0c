"""From the message that a batch is committed to its alerts."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import structlog

from stream_assoc.core.model.alerts import AlertRows, Stamps
from stream_assoc.core.model.batch import BatchId, Observation
from stream_assoc.core.model.changes import InputPosition, LedgerEntry
from stream_assoc.core.model.messages import InputMessage, PlacedMessage
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.core.model.types import IntArray
from stream_assoc.core.sky.htm import htm_index
from stream_assoc.exceptions import RetriableError
from stream_assoc.messaging.exceptions import DecodeError
from stream_assoc.pipeline.alerts import MOST_ROWS, AlertContent, read_alerts
from stream_assoc.pipeline.ports.history import AlertHistory
from stream_assoc.service.alerts.ports import LoadedImages, LoadsImages, Missing, WritesAlerts

log = structlog.get_logger(__name__)

TIMESTAMP_HEADER: Final = "producer_timestamp"
"""When an alert was made, milliseconds since 1970 UTC as text, as Rubin writes it."""


class ImagesAwayError(RetriableError):
    """The store of an image does not answer; the alerts of its batch are not made yet."""


class NotYetStoredError(RetriableError):
    """The APDB that is read is a standby, and lacks a processing that its primary has stored."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where alerts go.

    Attributes
    ----------
    topic : `str`
    n_partitions : `int`
    cell_level : `int`
        HTM level of the cells of the sky: those of one cell go to one partition.
    """

    topic: str
    n_partitions: int
    cell_level: int

    def partitions(self, rows: AlertRows) -> IntArray:
        """Return the partition of each alert: that of its object's position, or its own without an object."""
        has_object = rows.object_row >= 0
        position = []
        for name in ("ra", "dec"):
            place = np.array(rows.sources[name].to_numpy(), np.float64)
            place[has_object] = rows.objects[name].to_numpy()[rows.object_row[has_object]]
            position.append(place)
        cells = htm_index(position[0], position[1], self.cell_level)
        return np.asarray(cells % self.n_partitions, np.int64)


@dataclass(frozen=True, slots=True)
class AlertSources:
    """What alerts are made of.

    Attributes
    ----------
    history : `AlertHistory`
        The APDB.
    images : `LoadsImages` or `None`
        The images that batches name; `None` for no stamps.
    image_patience_seconds : `float`
        How long to wait for a store that does not answer.
    decode : callable
        Returns the metrics of a message, or raises `DecodeError`.
    """

    history: AlertHistory
    images: LoadsImages | None
    image_patience_seconds: float
    decode: Callable[[bytes | None], AssociationMetrics]


@dataclass(frozen=True, slots=True)
class Clocks:
    """Clocks in seconds: one that only goes forward, and Unix time."""

    monotonic: Callable[[], float]
    unix_time: Callable[[], float]


CLOCKS: Final = Clocks(time.monotonic, time.time)

_TOO_LARGE: Final = (
    f"it has more than the {MOST_ROWS:,} sources that are read at once; let producers send smaller batches "
    "(batch.max_sources)"
)

_NOT_STORED: Final = (
    "the APDB does not hold this processing; apdb.url must lead to the database of the daemons "
    "whose metrics are read (kafka.metrics_topic)"
)


@dataclass(frozen=True, slots=True)
class MadeAlerts:
    """What became of a message: the alerts of its batch, to be counted once they are published.

    Attributes
    ----------
    outcome : `str`
        One of `~stream_assoc.service.alerts.instruments.OUTCOMES`.
    messages : `tuple` [`PlacedMessage`, ...]
    missing : `tuple` [`Missing`, ...]
        Stamps that they lack.
    midpointMjdTai : `float`
        Of the visit; NaN where the message cannot be read.
    seconds : `float`
        How long it took to make them.
    """

    outcome: str
    messages: tuple[PlacedMessage, ...] = ()
    missing: tuple[Missing, ...] = ()
    midpointMjdTai: float = math.nan
    seconds: float = 0.0

    @property
    def n_bytes(self) -> int:
        """Of the alerts, before compression."""
        return sum(len(one.value) for one in self.messages)


class AlertMaker:
    """Makes the alerts of committed batches.

    The same message gives the same alerts, whenever they are made, as long as the batch's images are there.

    Parameters
    ----------
    sources : `AlertSources`
    content : `AlertContent`
    encoder : `WritesAlerts`
    destination : `Destination`
    clocks : `Clocks`, optional
    """

    def __init__(
        self,
        sources: AlertSources,
        content: AlertContent,
        encoder: WritesAlerts,
        destination: Destination,
        clocks: Clocks = CLOCKS,
    ) -> None:
        self._sources = sources
        self._content = content
        self._encoder = encoder
        self._destination = destination
        self._clocks = clocks
        self._waiting: tuple[InputPosition, float] | None = None

    def make(self, message: InputMessage) -> MadeAlerts:
        """Return the alerts of the batch that a message of the metrics topic tells of.

        Raises
        ------
        ApdbUnavailableError
            If the APDB is away.
        NotYetStoredError
            If the APDB is a standby that lacks the batch.
        ImagesAwayError
            If an image's store does not answer, and the patience with it is not over.
        RegistryUnavailableError
            If a schema must be asked for and the registry does not answer.
        """
        begun = self._clocks.monotonic()
        try:
            metrics = self._sources.decode(message.value)
        except DecodeError as error:
            log.error("no alerts", why="the message cannot be read", at=message.position, error=str(error))  # noqa: TRY400
            return MadeAlerts("undecodable")
        entries = self._sources.history.processings(BatchId(metrics.visit, metrics.detector))
        asked = (metrics.revision, metrics.timeProcessedMjdTai)
        if not any((one.revision, one.timeProcessedMjdTai) == asked for one in entries):
            if self._sources.history.seconds_behind() is not None:
                raise NotYetStoredError(
                    f"apdb.url leads to a standby that lacks visit {metrics.visit}, detector {metrics.detector}; its "
                    "alerts wait until it has followed"
                )
            return _no_alerts("not_stored", metrics, _NOT_STORED)
        if entries[-1].revision > metrics.revision:
            return _no_alerts("superseded", metrics, "a later processing has taken its place, which gets alerts")
        if entries[-1].n_stored > MOST_ROWS:
            return _no_alerts("too_large", metrics, _TOO_LARGE)
        messages: list[PlacedMessage] = []
        missing: list[Missing] = []
        images: LoadedImages | None = None
        for rows in read_alerts(self._sources.history, entries[-1], self._content):
            images = images or self._load(entries[-1], metrics.band, message.position)
            cut = None if images is None else images.cut(rows.sources)
            missing += () if cut is None else cut.missing
            messages += self._write(rows, None if cut is None else cut.stamps, entries[-1].observation)
        for one in missing:
            log.warning("stamps missing", why=one.message, alerts=one.n_stamps, visit=metrics.visit)
        taken = self._clocks.monotonic() - begun
        return MadeAlerts("published", tuple(messages), tuple(missing), metrics.midpointMjdTai, taken)

    def _load(self, entry: LedgerEntry, band: str, position: InputPosition) -> LoadedImages | None:
        """Return the images of a batch, or ask for patience with their store."""
        if self._sources.images is None:
            return None
        images = self._sources.images.load(entry.images, entry.id, band)
        if images.are_complete:
            return images
        now = self._clocks.monotonic()
        if self._waiting is None or self._waiting[0] != position:
            self._waiting = (position, now)
        if now - self._waiting[1] < self._sources.image_patience_seconds:
            raise ImagesAwayError(
                f"an image of visit {entry.id.visit}, detector {entry.id.detector} cannot be had now; its alerts "
                f"wait for it for {self._sources.image_patience_seconds:g} s (alerts.image_patience_seconds)"
            )
        return images

    def _write(self, rows: AlertRows, stamps: Stamps | None, observation: Observation) -> Iterator[PlacedMessage]:
        encoded = self._encoder.encode(rows, stamps, observation)
        headers = ((TIMESTAMP_HEADER, repr(1000.0 * self._clocks.unix_time()).encode()),)
        topic, partitions = self._destination.topic, self._destination.partitions(rows).tolist()
        for partition, value in zip(partitions, encoded.to_pylist(), strict=True):
            yield PlacedMessage(topic, partition, value, headers)


def _no_alerts(outcome: str, metrics: AssociationMetrics, why: str) -> MadeAlerts:
    log.warning("no alerts", why=why, visit=metrics.visit, detector=metrics.detector, revision=metrics.revision)
    return MadeAlerts(outcome, midpointMjdTai=metrics.midpointMjdTai)
