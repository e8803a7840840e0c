"""What of a ring's settings would hurt an APDB: a pure function of what the ring tells."""

import re
from collections.abc import Iterator
from typing import Final

from stream_assoc.stores.apdb.ring import ApdbRing
from stream_assoc.tools.tuning.harm import Harm
from stream_assoc.tools.tuning.machine import GIB, KIB, MIB

LEAST_NODES: Final = 3
LEAST_BATCH: Final = 1_000_000
"""Bytes of the largest batch of dax_apdb."""
LEAST_DAYS: Final = 60.0
LEAST_GC_GRACE: Final = 86_400
"""Seconds; rows are written up to an hour after they were committed, and a node may be away for some."""

_UNITS: Final = {"": 1, "B": 1, "KiB": KIB, "MiB": MIB, "GiB": GIB}


def ring_harms(ring: ApdbRing, now: float) -> tuple[Harm, ...]:
    """Return what hurts, what loses data first.

    Parameters
    ----------
    ring : `ApdbRing`
    now : `float`
        The time, MJD TAI.
    """
    found = [
        *_of_nodes(ring),
        *_of_keyspace(ring),
        *_of_tables(ring),
        *_of_deleted_rows(ring),
        *_of_time_partitions(ring, now),
    ]
    return tuple(sorted(found, key=lambda one: not one.loses_data))


def _of_nodes(ring: ApdbRing) -> Iterator[Harm]:
    periodic = [node for node, settings in ring.settings.items() if settings.get("commitlog_sync") == "periodic"]
    if periodic:
        yield Harm(
            f"commitlog_sync of {_listed(periodic)}",
            "periodic",
            "group or batch",
            "a node acknowledges writes seconds before they are on its disk: one that loses power forgets them, and "
            "a quorum of the others may never have had them",
            loses_data=True,
        )
    limits = {node: settings.get("batch_size_fail_threshold") for node, settings in ring.settings.items()}
    for limit in sorted({limit for limit in limits.values() if limit is not None and _bytes(limit) < LEAST_BATCH}):
        yield Harm(
            f"batch_size_fail_threshold of {_listed([node for node, one in limits.items() if one == limit])}",
            limit,
            "1MiB or more",
            "batches of rows are up to 1 MB, and the node refuses greater ones than this",
        )


def _of_keyspace(ring: ApdbRing) -> Iterator[Harm]:
    if not ring.has_durable_writes:
        yield Harm(
            "durable_writes of the keyspace",
            "false",
            "true",
            "nodes acknowledge what they hold in memory alone: one that is killed forgets it",
            loses_data=True,
        )
    for name, factor in ring.replication_factors.items():
        if factor < LEAST_NODES:
            yield Harm(
                f"replication factor in {name}",
                str(factor),
                f"{LEAST_NODES} or more",
                "a quorum needs all of so few nodes: while one is away, nothing is read or stored",
            )


def _of_tables(ring: ApdbRing) -> Iterator[Harm]:
    for table, seconds in ring.lives_of_tables.items():
        yield Harm(
            f"{table}.default_time_to_live",
            f"{seconds} s",
            "0",
            "rows vanish by themselves; what counts on them finds none, or half of them",
            loses_data=True,
        )


def _of_deleted_rows(ring: ApdbRing) -> Iterator[Harm]:
    for table, seconds in ring.gc_graces.items():
        if seconds < LEAST_GC_GRACE:
            yield Harm(
                f"{table}.gc_grace_seconds",
                f"{seconds} s",
                "864000",
                "that a row was deleted is forgotten before all nodes and daemons know it: the row comes back",
                loses_data=True,
            )


def _of_time_partitions(ring: ApdbRing, now: float) -> Iterator[Harm]:
    if ring.time_partitions_end is not None and (left := ring.time_partitions_end - now) < LEAST_DAYS:
        yield Harm(
            "tables of time partitions",
            f"end in {left:.0f} days" if left > 0 else "have ended",
            f"{LEAST_DAYS:.0f} days or more ahead",
            "rows of later times have no table, so that no visit can be stored; add tables by "
            "`apdb-cli partition extend-temporal`",
        )


def _listed(nodes: list[str]) -> str:
    return ", ".join(sorted(nodes))


def _bytes(text: str) -> int:
    """Return a size as Cassandra writes it; one that cannot be read counts as great enough."""
    match = re.fullmatch(r"([0-9]+)([A-Za-z]*)", text)
    if match is None or match[2] not in _UNITS:
        return LEAST_BATCH
    return int(match[1]) * _UNITS[match[2]]
