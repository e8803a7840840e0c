"""Which process adopts: one lease beside those of the cells."""

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np

from stream_assoc.stores.apdb.cassandra.groups import Groups
from stream_assoc.stores.apdb.cassandra.leases import Leases
from stream_assoc.stores.apdb.cassandra.renewal import Renewal

ADOPTION_CELL: Final = -1
"""Stands for no part of the sky: HTM indices are positive."""


class Adoption:
    """The lease of the one process that publishes entries without an owner.

    Parameters
    ----------
    groups : `Groups`
    leases : `Leases`
    renewal : `Renewal`
    """

    def __init__(self, groups: Groups, leases: Leases, renewal: Renewal) -> None:
        self._groups = groups
        self._leases = leases
        self._renewal = renewal
        self._lock = threading.Lock()

    @contextmanager
    def attempt(self) -> Iterator[bool]:
        """Try to take the lease, and yield whether it is had; see `ApdbOutbox.sole_adopter`."""
        with self._lock:
            group_id = self._taken()
        if group_id is None:
            yield False
            return
        try:
            with self._renewal.of(group_id):
                yield True
        finally:
            self._groups.abort(group_id)
            self._leases.clear(group_id)

    def _taken(self) -> uuid.UUID | None:
        holder = self._leases.read([ADOPTION_CELL])[ADOPTION_CELL].holder
        if holder is not None and not self._leases.clear_abandoned(holder, [ADOPTION_CELL]):
            return None
        group_id = self._groups.begin(np.array([ADOPTION_CELL]))
        if self._leases.try_take(group_id, ADOPTION_CELL):
            return group_id
        self._groups.abort(group_id)
        return None
