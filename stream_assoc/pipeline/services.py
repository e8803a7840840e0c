"""What every batch meets on its way."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from stream_assoc.core.model.state_layout import StateLayout
from stream_assoc.core.statistics.calculator import StatisticsCalculator
from stream_assoc.pipeline.clock import Clock
from stream_assoc.pipeline.matching import Matchmakers
from stream_assoc.pipeline.ports.apdb import Apdb
from stream_assoc.pipeline.ports.cache import ObjectCache
from stream_assoc.pipeline.ports.encoder import OutputEncoder
from stream_assoc.pipeline.ports.photometry import ForcedPhotometer
from stream_assoc.pipeline.region import CellLimits, SkyPartition


def _nobody_asks(seconds: Mapping[str, float]) -> None:
    """Forget what the steps of a micro-batch took."""


CacheWrite: TypeAlias = Callable[[], None]
"""Writes to the cache what a commit has changed."""


def _at_once(write: CacheWrite) -> None:
    write()


def _nothing_was_put_off() -> None:
    """Do nothing."""


def _nobody_watches() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a batch meets on its way: algorithms, stores and the clock.

    ``observe_micro_batch`` is told what each step that some batches share took,
    seconds. A batch's own stages are in its metrics.

    ``consumer_group`` is the Kafka group that is to publish what comes of a batch.

    ``write_cache`` is given every write to the cache once the APDB has
    committed, and may put it off: until it is done, what it would have brought
    is rebuilt from the APDB. ``catch_up`` does what was put off: a session that
    begins while the one before it is hardly over needs what that has changed.

    ``on_progress`` is called before each step whose length is bounded, so that
    much work can be told from work that does not end.
    """

    apdb: Apdb
    cache: ObjectCache
    layout: StateLayout
    matchmakers: Matchmakers
    calculator: StatisticsCalculator
    encoder: OutputEncoder
    partition: SkyPartition
    clock: Clock
    flag_columns: tuple[str, ...]
    photometer: ForcedPhotometer | None = None
    cell_limits: CellLimits = field(default_factory=CellLimits)
    observe_micro_batch: Callable[[Mapping[str, float]], None] = _nobody_asks
    write_cache: Callable[[CacheWrite], None] = _at_once
    catch_up: Callable[[], None] = _nothing_was_put_off
    on_progress: Callable[[], None] = _nobody_watches
    consumer_group: str | None = None
