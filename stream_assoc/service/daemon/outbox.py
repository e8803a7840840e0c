"""Publishing the entries of the outbox once, in order, by the daemon that owns them.

An entry belongs to the owner of the input partition that its message came from.
Between two micro-batches a daemon looks for entries of its partitions. Those
that the partition's mark names have been published. All others have not, and
are published now, whether or not their message comes again
(docs/architecture.md).
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from stream_assoc.core.model.batch import BatchRevision
from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.messaging.exceptions import StreamError
from stream_assoc.messaging.kafka.errors import PartitionLostError
from stream_assoc.messaging.marks import MOST_NAMED, KeptOffset, Mark, Partition, Standing, marks_of
from stream_assoc.messaging.outbox_format import unpack_outputs
from stream_assoc.pipeline.ports.outbox import ApdbOutbox, WaitingEntry
from stream_assoc.service.daemon.order import in_order
from stream_assoc.service.ports import StreamEnds

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 15.0
"""How often a daemon looks through the outbox without a particular reason."""

ADOPT_SECONDS: Final = 10.0
"""How long an entry that seems to have no owner is left for an owner to appear."""

MANY_MESSAGES: Final = 20_000
"""So many output messages fill a transaction: two visits of a crowded field."""


class Outputs(Protocol):
    """Questions to Kafka about entries of the outbox."""

    def published(self, messages: Collection[OutputMessage]) -> frozenset[OutputMessage]:
        """Return those of these messages that subscribers have."""

    def is_read(self, group: str, partition: Partition) -> bool:
        """Tell whether a member of the group has this partition assigned."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where entries of the outbox are published from.

    Attributes
    ----------
    partition : `tuple` [`str`, `int`]
        An input partition that this daemon owns.
    kept : `KeptOffset`
        Its offset, which stays where it is.
    mark : `Mark` or `None`
        What the last transaction of the partition published; `None` where the
        offset was committed by somebody else, or never.
    """

    partition: Partition
    kept: KeptOffset
    mark: Mark | None


@dataclass(frozen=True, slots=True)
class Names:
    """The names in marks and outbox entries: the identity of the APDB, and the consumer group."""

    identity: str
    group: str


class Outbox:
    """Clears published entries of the outbox, and publishes the others that this daemon owns.

    Parameters
    ----------
    ends : `StreamEnds`
        Whose input partitions are owned, and where outputs go.
    apdb : `ApdbOutbox`
        Keeps the outbox.
    outputs : `Outputs`
        Asked where no mark says what was published.
    names : `Names`
        What the APDB and the consumer group are called.
    on_recovered : callable, optional
        Receives how many entries were ``published`` now, and how many turned
        out to be published already (``proven``).
    monotonic : callable, optional
        A clock in seconds.
    """

    def __init__(
        self,
        ends: StreamEnds,
        apdb: ApdbOutbox,
        outputs: Outputs,
        names: Names,
        on_recovered: Callable[[str, int], None] = lambda how, count: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = ends.source
        self._publisher = ends.publisher
        self._apdb = apdb
        self._outputs = outputs
        self.names = names
        self._on_recovered = on_recovered
        self._monotonic = monotonic
        self._settled: Mapping[Partition, int] = {}
        self._looked_at = -LOOK_SECONDS
        self._astray_since: dict[BatchRevision, float] = {}

    @property
    def is_due(self) -> bool:
        """Whether to settle before anything else: partitions were assigned, or the last time is long ago."""
        assignments = self._source.assignments
        is_settled = assignments.items() <= self._settled.items()
        return bool(assignments) and (not is_settled or self._monotonic() - self._looked_at >= LOOK_SECONDS)

    def still_waiting(self, keys: Collection[BatchRevision]) -> frozenset[BatchRevision]:
        """Return those of these batches whose outputs subscribers do not have yet, as far as is known."""
        return self._apdb.still_waiting(keys)

    def clear(self, keys: Sequence[BatchRevision]) -> None:
        """Delete these entries: subscribers have their outputs."""
        if keys:
            self._apdb.mark_published(keys)

    def forget(self) -> None:
        """Note that a transaction may have been committed without an answer: settle before the next one."""
        self._settled = {}

    def settle(self, in_hand: Collection[BatchRevision] = frozenset()) -> None:
        """Clear entries known to be published, and publish our others that need not wait for other daemons.

        Parameters
        ----------
        in_hand : `Collection` [`BatchRevision`]
            Entries that are being published otherwise.

        Raises
        ------
        RetriableError
            If a service is away. Calling again is safe.
        """
        assignments = self._source.assignments
        waiting = self._apdb.waiting()
        ours: dict[Partition, list[WaitingEntry]] = {}
        others: list[WaitingEntry] = []
        for one in waiting:
            partition = _partition_of(one)
            if partition is None or partition not in assignments:
                others.append(one)
            elif one.entry.key not in in_hand:
                ours.setdefault(partition, []).append(one)
        try:
            self._settle_ours(ours, waiting, assignments)
            self._adopt(self._nobodys(others), assignments)
        except PartitionLostError as error:
            # The new owner of the partition finds the rest.
            log.warning("outbox left to others", error=str(error))
        else:
            self._settled = assignments
            self._looked_at = self._monotonic()

    def _settle_ours(
        self,
        ours: Mapping[Partition, Sequence[WaitingEntry]],
        waiting: Sequence[WaitingEntry],
        assignments: Mapping[Partition, int],
    ) -> None:
        if not ours:
            return
        places = self._places({partition: assignments[partition] for partition in ours})
        named, doubtful, left = [], [], []
        for partition, entries in ours.items():
            mark = places[partition].mark
            for one in entries:
                if mark is None:
                    doubtful.append(one.entry.key)
                elif one.entry.key in mark.names:
                    named.append(one.entry.key)
                left.append((one, places[partition]))
        proven = {*named, *self._found(doubtful)}
        self._clear(proven)
        gone = frozenset(proven)
        self._publish([(one, place) for one, place in left if one.entry.key not in gone], waiting, gone)

    def _adopt(self, strays: Sequence[WaitingEntry], assignments: Mapping[Partition, int]) -> None:
        """Publish entries without an owner; only the owner of the first partition does."""
        now = self._monotonic()
        self._astray_since = {one.entry.key: self._astray_since.get(one.entry.key, now) for one in strays}
        first = next((partition for partition in sorted(assignments) if partition[1] == 0), None)
        adopted = {key for key, since in self._astray_since.items() if now - since >= ADOPT_SECONDS}
        if first is None or not adopted:
            return
        with self._apdb.sole_adopter() as is_sole:
            if not is_sole:
                return
            # Another adopter may have published them without clearing them.
            waiting = self._apdb.waiting()
            entries = [one for one in waiting if one.entry.key in adopted]
            gone = self._found([one.entry.key for one in entries])
            self._clear(gone)
            place = self._places({first: assignments[first]})[first]
            log.warning("outputs of partitions that nobody reads any more", entries=len(entries) - len(gone))
            self._publish([(one, place) for one in entries if one.entry.key not in gone], waiting, gone)

    def _nobodys(self, others: Sequence[WaitingEntry]) -> list[WaitingEntry]:
        """Return those of these entries whose partition no daemon has, or will get when a dead one is replaced."""
        existing = self._source.existing() if others else {}
        is_read: dict[tuple[str, Partition], bool] = {}
        found = []
        for one in others:
            partition = _partition_of(one)
            if partition is None:
                found.append(one)
            elif partition[0] in existing:
                if partition[1] >= existing[partition[0]]:
                    found.append(one)
            else:
                asked = (one.consumer_group or self.names.group, partition)
                if asked not in is_read:
                    is_read[asked] = self._is_read(*asked)
                if not is_read[asked]:
                    found.append(one)
        return found

    def _is_read(self, group: str, partition: Partition) -> bool:
        try:
            return self._outputs.is_read(group, partition)
        except StreamError as error:
            log.warning("outputs of another topic left alone", topic=partition[0], group=group, error=str(error))
            return True

    def _places(self, assignments: Mapping[Partition, int]) -> dict[Partition, Place]:
        standings = self._source.standings(assignments)
        places = {}
        for partition, assignment in assignments.items():
            standing = standings.get(partition)
            if standing is None:
                # It is committed only to carry the mark: at the offset where a group without one begins.
                standing = Standing(self._source.beginning(partition))
            mark = Mark.read(standing.note)
            is_ours = mark is not None and mark.identity == self.names.identity
            places[partition] = Place(partition, KeptOffset(standing.offset, assignment), mark if is_ours else None)
        return places

    def _found(self, keys: Sequence[BatchRevision]) -> frozenset[BatchRevision]:
        """Return those of these entries whose outputs subscribers have.

        One message proves all of an entry: they were published in one transaction.
        """
        last: dict[OutputMessage, BatchRevision] = {}
        for key in keys:
            kept = self._apdb.outbox_entry(key)
            if kept is not None:
                last[unpack_outputs(kept.outputs)[-1]] = key
        if not last:
            return frozenset()
        found = self._outputs.published(list(last))
        log.info("looked for outputs among those published", entries=len(last), found=len(found))
        return frozenset(last[message] for message in found)

    def _publish(
        self,
        entries: Sequence[tuple[WaitingEntry, Place]],
        waiting: Sequence[WaitingEntry],
        gone: Collection[BatchRevision],
    ) -> None:
        """Publish those of these entries that need not wait for others, oldest first."""
        places = {one.entry.key: place for one, place in entries}
        others = {one.entry.key for one in waiting} - places.keys() - set(gone)
        ready = in_order({one.entry.key: one.predecessors for one, _ in entries}, others)
        together: list[tuple[BatchRevision, Place]] = []
        messages: list[OutputMessage] = []
        for key in ready:
            kept = self._apdb.outbox_entry(key)
            messages += unpack_outputs(kept.outputs) if kept else []
            together.append((key, places[key]))
            if len(together) == MOST_NAMED or len(messages) >= MANY_MESSAGES:
                self._publish_together(together, messages)
                together, messages = [], []
        if together:
            self._publish_together(together, messages)
        if len(ready) < len(entries):
            log.info("outputs wait for those of other daemons", entries=len(entries) - len(ready))

    def _publish_together(
        self, entries: Sequence[tuple[BatchRevision, Place]], messages: Sequence[OutputMessage]
    ) -> None:
        marks = marks_of(
            self.names.identity,
            [(place.partition, key) for key, place in entries],
            {place.partition: place.kept for _, place in entries},
        )
        self._publisher.publish(messages, [], marks)
        keys = [key for key, _ in entries]
        self._apdb.mark_published(keys)
        self._on_recovered("published", len(keys))
        log.info("published from the outbox", entries=len(keys))

    def _clear(self, keys: Collection[BatchRevision]) -> None:
        if keys:
            self._apdb.mark_published(list(keys))
            self._on_recovered("proven", len(keys))
            log.info("outbox cleared", published=len(keys))


def _partition_of(one: WaitingEntry) -> Partition | None:
    position = one.entry.position
    return None if position is None else (position.topic, position.partition)
