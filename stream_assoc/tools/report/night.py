"""What is known of a night."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.core.model.times import DayObs
from stream_assoc.messaging.avro.batch_prefix import BatchPrefix
from stream_assoc.messaging.avro.dead_letters import DeadLetterRecord

SOURCE_COLUMNS = (
    *("diaSourceId", "visit", "detector", "band", "midpointMjdTai"),
    *("ra", "raErr", "dec", "decErr", "snr", "diaObjectId", "ssObjectId"),
)
OBJECT_COLUMNS = ("diaObjectId", "ra", "dec", "nDiaSources")


def counted_nights(counts: Mapping[DayObs | None, int]) -> str:
    """Return nights and how much there is of each as text, in the order of time."""
    known = sorted((night, count) for night, count in counts.items() if night is not None)
    texts = [f"{night} ({count:,})" for night, count in known]
    return ", ".join([*texts, *(f"no night ({count:,})" for night, count in counts.items() if night is None)])


@dataclass(frozen=True, slots=True)
class NightLetter:
    """A message of the night that could not be processed.

    Attributes
    ----------
    record : `DeadLetterRecord`
        Why.
    batch : `BatchPrefix` or `None`
        Which batch it is, if that can be read.
    """

    record: DeadLetterRecord
    batch: BatchPrefix | None


@dataclass(frozen=True, slots=True)
class Night:
    """What is known of a night.

    Attributes
    ----------
    day_obs : `DayObs`
    metrics : `~collections.abc.Sequence` [`AssociationMetrics`]
        Of each batch, the last revision only, in the order observed.
    letters : `~collections.abc.Sequence` [`NightLetter`] or `None`
        `None` when they were not read.
    sources : `pyarrow.Table` or `None`
        `SOURCE_COLUMNS` of the DIASources that count; `None` when no APDB was read.
    objects : `pyarrow.Table` or `None`
        `OBJECT_COLUMNS` of the DIAObjects that they belong to, as they are now.
    origins : `~collections.abc.Sequence` [`str`]
        Where all this was read, for people.
    other_letters : `~collections.abc.Mapping` [`DayObs` or `None`, `int`]
        How many dead letters lie under each other night; `None` stands for a
        time that no calendar reaches.
    """

    day_obs: DayObs
    metrics: Sequence[AssociationMetrics] = ()
    letters: Sequence[NightLetter] | None = ()
    sources: pa.Table | None = None
    objects: pa.Table | None = None
    origins: Sequence[str] = field(default=())
    other_letters: Mapping[DayObs | None, int] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all is known of it."""
        return not self.metrics and not self.letters and not (self.sources is not None and self.sources.num_rows)
