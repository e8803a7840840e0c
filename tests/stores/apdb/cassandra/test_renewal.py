"""The counter of a group grows while its daemon works."""

import threading
import uuid
from typing import cast

import pytest

from stream_assoc.stores.apdb.cassandra.groups import Groups
from stream_assoc.stores.apdb.cassandra.renewal import Renewal


class Counters:
    """Keeps what is told of groups, until there are enough of it."""

    def __init__(self) -> None:
        self.told: list[tuple[uuid.UUID, int]] = []
        self.are_enough = threading.Event()

    def renew(self, group_id: uuid.UUID, counter: int) -> bool:
        self.told.append((group_id, counter))
        if len(self.told) == 3:
            self.are_enough.set()
        return True


@pytest.mark.rules("HolderRenews")
def test_the_counter_of_an_open_group_grows() -> None:
    counters, group_id = Counters(), uuid.uuid4()
    renewal = Renewal(cast("Groups", counters), 0.05)
    with renewal.of(group_id):
        thread = renewal._thread
        assert thread is not None
        while thread.is_alive() and not counters.are_enough.wait(0.01):
            pass
    assert counters.told[:3] == [(group_id, 1), (group_id, 2), (group_id, 3)]
    thread.join(60.0)
    assert not thread.is_alive()
