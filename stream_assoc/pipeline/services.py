"""What processing a batch needs: algorithms, stores and the clock."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from stream_assoc.core.model.states import StateLayout
from stream_assoc.core.statistics.calculator import StatisticsCalculator
from stream_assoc.pipeline.checkpoints import CheckpointPolicy
from stream_assoc.pipeline.clock import Clock
from stream_assoc.pipeline.matching import AssociationAlgorithms
from stream_assoc.pipeline.ports.apdb import Apdb
from stream_assoc.pipeline.ports.cache import ObjectCache
from stream_assoc.pipeline.ports.encoder import OutputEncoder
from stream_assoc.pipeline.ports.photometry import ForcedPhotometer
from stream_assoc.pipeline.region import CellLimits, SkyPartition

CacheWrite: TypeAlias = Callable[[], None]
"""Writes to the cache what a commit has changed."""


def _ignore(*_: object) -> None:
    """Do nothing."""


def _at_once(write: CacheWrite) -> None:
    write()


@dataclass(frozen=True, slots=True)
class Services:
    """Algorithms, stores and the clock that every batch is processed with.

    Attributes
    ----------
    apdb, cache, layout
        The stores, and how the cache lays out states.
    algorithms, calculator, flag_columns
        Association and statistics.
    encoder : `OutputEncoder`
        Makes messages of results.
    partition, cell_limits
        How the sky is divided, and how many cells may be held at once.
    clock : `Clock`
    photometer : `ForcedPhotometer` or `None`
        `None` where no images may be read.
    observe_micro_batch : callable
        Receives the seconds of each step that several batches share. The
        stages of a single batch are in its metrics.
    write_cache : callable
        Receives every write to the cache once the APDB has committed, and may
        postpone it: until then what it would bring is rebuilt from the APDB.
    catch_up : callable
        Does the postponed writes. A session that begins right after another
        needs what that one has changed.
    on_progress : callable
        Called before each step of bounded length, so that long work can be
        told from work that hangs.
    on_tiles_changed : callable
        Called when batches are to be decided again, because another program
        has changed their sky in between.
    checkpoints : `CheckpointPolicy` or `None`
        How states are kept in the APDB; `None` where none is.
    consumer_group : `str` or `None`
        The Kafka group that publishes the outputs.
    """

    apdb: Apdb
    cache: ObjectCache
    layout: StateLayout
    algorithms: AssociationAlgorithms
    calculator: StatisticsCalculator
    encoder: OutputEncoder
    partition: SkyPartition
    clock: Clock
    flag_columns: tuple[str, ...]
    photometer: ForcedPhotometer | None = None
    cell_limits: CellLimits = field(default_factory=CellLimits)
    observe_micro_batch: Callable[[Mapping[str, float]], None] = _ignore
    write_cache: Callable[[CacheWrite], None] = _at_once
    catch_up: Callable[[], None] = _ignore
    on_progress: Callable[[], None] = _ignore
    on_tiles_changed: Callable[[], None] = _ignore
    checkpoints: CheckpointPolicy | None = None
    consumer_group: str | None = None
