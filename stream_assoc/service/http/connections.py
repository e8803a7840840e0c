"""A bounded number of connections, which end when their client is too slow."""

import asyncio
from typing import Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from stream_assoc.service.http.limits import Limits

_BUSY: Final = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def bounded(limits: Limits) -> type[H11Protocol]:
    """Return a protocol for uvicorn whose connections keep to limits."""
    return type("BoundedProtocol", (_BoundedProtocol,), {"limits": limits})


class _BoundedProtocol(H11Protocol):
    """HTTP/1.1 with a deadline for each request, for reading each answer, and a bound of connections.

    When there are as many connections as may be, a new one takes the place of
    the one that has owed its request for longest: clients that say nothing
    keep nobody out. If all are being answered, the new one is turned away.
    """

    limits = Limits()

    _deadline: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection, in place of another if need be."""
        if len(self.connections) >= self.limits.connections and not self._make_room():
            self.transport = transport
            transport.write(_BUSY)
            transport.close()
            return
        super().connection_made(transport)
        self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self._forget_deadline()
        self.resume_writing()
        if self in self.connections:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what a client sends; the whole request must come in time."""
        if self not in self.connections:
            return
        super().data_received(data)
        if not self._owes_request:
            self._forget_deadline()

    def on_response_complete(self) -> None:
        """Wait for the next request, from now on."""
        self._expect_request()
        super().on_response_complete()
        if not self._owes_request:
            self._forget_deadline()

    def pause_writing(self) -> None:
        """Give a client that does not read its answer some time."""
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(self.limits.stalled_seconds, self._abort)

    def resume_writing(self) -> None:
        """Go on with the answer."""
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        if self.flow is not None:
            super().resume_writing()

    @property
    def _owes_request(self) -> bool:
        is_answering = self.cycle is not None and not self.cycle.response_complete
        return not (is_answering and self.conn.their_state in {h11.DONE, h11.MUST_CLOSE})

    def _make_room(self) -> bool:
        owing = [one for one in self.connections if isinstance(one, _BoundedProtocol) and one._deadline is not None]
        if not owing:
            return False
        min(owing, key=_BoundedProtocol._when)._abort()
        return True

    def _when(self) -> float:
        return 0.0 if self._deadline is None else self._deadline.when()

    def _expect_request(self) -> None:
        self._forget_deadline()
        self._deadline = self.loop.call_later(self.limits.request_seconds, self._abort)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _abort(self) -> None:
        self._forget_deadline()
        # The next connection may arrive before the event loop reports the end of this one.
        self.connections.discard(self)
        super().connection_lost(None)
        self.transport.abort()
