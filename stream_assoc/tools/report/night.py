"""The data of a night, and how they are read: from the topics or captures of them, and from the APDB."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import InputMessage
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.core.model.times import DayObs, day_obs, mjd_tai_of_unix, night_bounds
from stream_assoc.messaging.avro.batch_header import BatchPrefix, batch_prefix
from stream_assoc.messaging.avro.dead_letters import DeadLetter, DeadLetterRecord
from stream_assoc.messaging.avro.wire import WriterSchemas
from stream_assoc.messaging.exceptions import DecodeError
from stream_assoc.stores.apdb.reading.port import ApdbReader
from stream_assoc.tools.replay.capture import read_capture
from stream_assoc.tools.subscription.decoding import Decoder
from stream_assoc.tools.subscription.records import BadMessage

Record = TypeVar("Record")

SOURCE_COLUMNS = (
    *("diaSourceId", "visit", "detector", "band", "midpointMjdTai"),
    *("ra", "raErr", "dec", "decErr", "snr", "diaObjectId", "ssObjectId"),
)
OBJECT_COLUMNS = ("diaObjectId", "ra", "dec", "nDiaSources")


def counted_nights(counts: Mapping[DayObs | None, int]) -> str:
    """Return nights with their counts as text, in order of time."""
    known = sorted((night, count) for night, count in counts.items() if night is not None)
    texts = [f"{night} ({count:,})" for night, count in known]
    return ", ".join([*texts, *(f"no night ({count:,})" for night, count in counts.items() if night is None)])


@dataclass(frozen=True, slots=True)
class NightDeadLetter:
    """A dead letter of the night.

    Attributes
    ----------
    record : `DeadLetterRecord`
        The reason, and where the message came from.
    batch : `BatchPrefix` or `None`
        The batch, if the message can be read so far.
    """

    record: DeadLetterRecord
    batch: BatchPrefix | None


@dataclass(frozen=True, slots=True)
class Night:
    """The data of a night.

    Attributes
    ----------
    day_obs : `DayObs`
    metrics : `~collections.abc.Sequence` [`AssociationMetrics`]
        The last revision of each batch, in order of observation.
    dead_letters : `~collections.abc.Sequence` [`NightDeadLetter`] or `None`
        `None` when they were not read.
    sources : `pyarrow.Table` or `None`
        `SOURCE_COLUMNS` of the DIASources that count; `None` when no APDB was read.
    objects : `pyarrow.Table` or `None`
        `OBJECT_COLUMNS` of the DIAObjects that they belong to, as they are now.
    origins : `~collections.abc.Sequence` [`str`]
        Where the data were read, for people.
    other_dead_letters : `~collections.abc.Mapping` [`DayObs` or `None`, `int`]
        Number of dead letters of each other night; `None` stands for a
        time that no calendar reaches.
    """

    day_obs: DayObs
    metrics: Sequence[AssociationMetrics] = ()
    dead_letters: Sequence[NightDeadLetter] | None = ()
    sources: pa.Table | None = None
    objects: pa.Table | None = None
    origins: Sequence[str] = field(default=())
    other_dead_letters: Mapping[DayObs | None, int] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there are no data of the night."""
        return not self.metrics and not self.dead_letters and not (self.sources is not None and self.sources.num_rows)


def metrics_of_night(records: Iterable[AssociationMetrics], night: DayObs) -> list[AssociationMetrics]:
    """Return the metrics of a night in order of observation; of a re-processed batch the last revision."""
    last: dict[tuple[int, int], AssociationMetrics] = {}
    for one in records:
        batch = (one.visit, one.detector)
        if night_of(one.midpointMjdTai) == night and (batch not in last or one.revision >= last[batch].revision):
            last[batch] = one
    return sorted(last.values(), key=lambda one: (one.midpointMjdTai, one.visit, one.detector))


def dead_letters_by_night(
    dead_letters: Iterable[DeadLetter], schemas: WriterSchemas | None = None
) -> dict[DayObs | None, list[NightDeadLetter]]:
    """Return dead letters by their night; `None` stands for a time that no calendar reaches.

    It is the night of the batch or, where the beginning of the batch cannot be
    read, the night in which the message was set aside.
    """
    nights: defaultdict[DayObs | None, list[NightDeadLetter]] = defaultdict(list)
    for dead_letter in dead_letters:
        try:
            batch = batch_prefix(dead_letter.original.value, schemas)
        except DecodeError:
            batch = None
        observed = None if batch is None else night_of(batch.midpointMjdTai)
        nights[observed or _night_set_aside(dead_letter.record.time)].append(
            NightDeadLetter(dead_letter.record, batch)
        )
    return dict(nights)


def sources_of_night(reader: ApdbReader, night: DayObs) -> pa.Table:
    """Return the DIASources of a night that count, `SOURCE_COLUMNS`."""
    return reader.all_sources(SOURCE_COLUMNS, only_counted=True, observed=night_bounds(night))


def objects_of(reader: ApdbReader, sources: pa.Table) -> pa.Table:
    """Return the DIAObjects of some sources as they are now, `OBJECT_COLUMNS`."""
    # Every one of them has been observed since the first source; most others have not.
    begin = pc.min(sources["midpointMjdTai"]).as_py() if sources.num_rows else math.inf
    objects = reader.objects_observed_since(begin, OBJECT_COLUMNS)
    wanted = np.unique(np.asarray(pc.drop_null(sources["diaObjectId"]).to_numpy(), np.int64))
    return objects.filter(pa.array(np.isin(np.asarray(objects["diaObjectId"].to_numpy(), np.int64), wanted)))


def _night_set_aside(milliseconds: int) -> DayObs | None:
    try:
        return day_obs(mjd_tai_of_unix(milliseconds / 1000.0))
    except ValueError:
        return None


def night_of(mjd_tai: float) -> DayObs | None:
    """Return the night of a time; `None` for one that no calendar reaches, which a producer may write."""
    try:
        return day_obs(mjd_tai)
    except ValueError:
        return None


def records_of_capture(
    path: Path, decoder: Decoder[Record | None], on_bad: Callable[[BadMessage], None]
) -> Iterator[Record]:
    """Yield the records of a capture file, and pass over messages that cannot be read.

    Parameters
    ----------
    path : `pathlib.Path`
        A capture of an output topic.
    decoder : `~stream_assoc.tools.subscription.decoding.Decoder`
        The decoder of that topic.
    on_bad : callable
        Called with each message that cannot be read; its offset is its number
        in the file.

    Raises
    ------
    CaptureError
        If the file is damaged, or no capture.
    """
    for number, event in enumerate(read_capture(path)):
        message = event.message
        position = InputPosition(message.topic, 0, number)
        (record,) = decoder.decode([InputMessage(position, -1, message.key, message.value, message.headers)])
        if isinstance(record, BadMessage):
            on_bad(record)
        elif record is not None:
            yield record
