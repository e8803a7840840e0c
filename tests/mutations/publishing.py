"""Rules of publishing, left out."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any, Final
from uuid import UUID

import pytest

from stream_assoc.core.model.batch import BatchRevision
from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.messaging.marks import Mark
from stream_assoc.service.daemon import order as order_module
from stream_assoc.service.daemon import outbox as outbox_module
from stream_assoc.service.daemon.order import PendingAnswers
from stream_assoc.service.daemon.outbox import Outbox, Place
from stream_assoc.stores.apdb.cassandra.groups import Commitment, State
from stream_assoc.stores.apdb.cassandra.leases import Lease, Leases

Patch = pytest.MonkeyPatch
Entries = Sequence[tuple[BatchRevision, Place]]


def owner_publishes(patch: Patch) -> None:
    """Every entry is taken for one of the first partition."""
    patch.setattr(outbox_module, "_partition_of", lambda _: ("dia-sources", 0))


def mark_is_read(patch: Patch) -> None:
    """Nobody reads which batches a mark names."""
    read = Mark.read

    def without_names(note: str) -> Mark | None:
        mark = read(note)
        return None if mark is None else replace(mark, names=())

    patch.setattr(Mark, "read", without_names)


def settle_first(patch: Patch) -> None:
    """What a mark names is left in the outbox."""
    patch.setattr(Outbox, "_clear", lambda *_: None)


def offset_stays_behind(patch: Patch) -> None:
    """The offset moves behind all messages of a micro-batch."""
    carried = PendingAnswers._carried

    def whole(pending: PendingAnswers, published: Collection[BatchRevision]) -> tuple[list[Any], list[InputPosition]]:
        others, _ = carried(pending, published)
        return others, pending.positions

    patch.setattr(PendingAnswers, "_carried", whole)


def published_per_batch(patch: Patch) -> None:
    """What is in the outbox with a batch counts as published with it."""
    publish = Outbox._publish_together

    def all_of_them(outbox: Outbox, entries: Entries, messages: Sequence[OutputMessage]) -> None:
        publish(outbox, entries, messages)
        outbox._apdb.mark_published([one.entry.key for one in outbox._apdb.waiting()])

    patch.setattr(Outbox, "_publish_together", all_of_them)


def published_after_kafka(patch: Patch) -> None:
    """A batch is noted as published before the transaction."""
    publish = Outbox._publish_together

    def note_first(outbox: Outbox, entries: Entries, messages: Sequence[OutputMessage]) -> None:
        outbox._apdb.mark_published([key for key, _ in entries])
        publish(outbox, entries, messages)

    patch.setattr(Outbox, "_publish_together", note_first)


def lease_carries_last(patch: Patch) -> None:
    """A lease does not name the last batch of its cell."""
    release = Leases._release

    def anonymous(leases: Leases, region: int, lease: Lease, group_id: UUID, commitment: Commitment) -> Any:
        return release(leases, region, lease, group_id, replace(commitment, last_batch=None))

    patch.setattr(Leases, "_release", anonymous)


def predecessor_first(patch: Patch) -> None:
    """Batches are published in the order in which they were stored."""

    def at_once(waiting: Mapping[BatchRevision, object], _unpublished: object) -> list[BatchRevision]:
        return list(waiting)

    for module in (order_module, outbox_module):
        patch.setattr(module, "in_order", at_once)


def queue_does_not_block(patch: Patch) -> None:
    """A batch that waits keeps those behind it."""
    in_order = order_module.in_order

    def up_to_the_first(waiting: Mapping[BatchRevision, Any], unpublished: Collection[BatchRevision]) -> Any:
        ready = in_order(waiting, unpublished)
        return list(takewhile(lambda key: key in ready, waiting))

    patch.setattr(order_module, "in_order", up_to_the_first)


def kafka_stalls_nothing(patch: Patch) -> None:
    """A lease does not pass because its batch is applied."""
    clear = Leases.clear

    def keep(leases: Leases, holder: UUID, cells: Iterable[int] = ()) -> State:
        is_applied = leases._groups.read(holder).state is State.APPLIED
        return State.PREPARING if is_applied else clear(leases, holder, cells)

    patch.setattr(Leases, "clear", keep)


MUTATIONS: Final = {
    "OwnerPublishes": owner_publishes,
    "MarkIsRead": mark_is_read,
    "SettleFirst": settle_first,
    "OffsetStaysBehind": offset_stays_behind,
    "PublishedPerBatch": published_per_batch,
    "PublishedAfterKafka": published_after_kafka,
    "LeaseCarriesLast": lease_carries_last,
    "PredecessorFirst": predecessor_first,
    "QueueDoesNotBlock": queue_does_not_block,
    "KafkaStallsNothing": kafka_stalls_nothing,
}
