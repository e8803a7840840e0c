"""The clocks of client and servers: rows are written at the time of the client."""

import time
from collections.abc import Callable
from typing import Final

from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.stores.apdb.cassandra.connection import Connection

MAX_SECONDS: Final = 5.0
"""How much both may differ. Rows from the future would hide what others write after them."""

CHECK_SECONDS: Final = 60.0
"""How long a comparison counts."""


class ServerClock:
    """Compares clocks from time to time.

    Parameters
    ----------
    connection : `Connection`
    now, monotonic : callable
        The client's clock, seconds since 1970, and one that never goes back.
    """

    def __init__(
        self,
        connection: Connection,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._now = now
        self._monotonic = monotonic
        self._checked: float | None = None

    def check(self) -> None:
        """Return if the clocks agree.

        Raises
        ------
        ApdbUnavailableError
            If they do not. Nothing has been written.
        """
        started = self._monotonic()
        if self._checked is not None and started - self._checked < CHECK_SECONDS:
            return
        before = self._now()
        ((milliseconds,),) = self._connection.read("SELECT toUnixTimestamp(now()) FROM system.local")
        after = self._now()
        server = milliseconds / 1000
        apart = max(before - server, server - after)
        if apart > MAX_SECONDS:
            raise ApdbUnavailableError(
                f"the clock of this host and that of a Cassandra node differ by {apart:.0f} s, and rows are ordered "
                f"by time: let both keep the time (NTP) to within {MAX_SECONDS:g} s"
            )
        self._checked = started
