"""The dashboard as a running server with its own threads."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Final, Self

from starlette.types import ASGIApp

from stream_assoc.apps.web.app import make_app
from stream_assoc.apps.web.feed import Feed
from stream_assoc.apps.web.library import Library, Watch
from stream_assoc.apps.web.listener import Listener
from stream_assoc.exceptions import FatalError
from stream_assoc.service.http.server import listen, serving
from stream_assoc.settings import Settings

_END_SECONDS: Final = 5.0


class DashboardPortError(FatalError):
    """The dashboard cannot listen at the configured host and port."""


class Dashboard:
    """Serves the dashboard inside a ``with`` block; starts without a broker and without an APDB.

    Parameters
    ----------
    settings : `Settings`
        Settings of the deployment to look at, and of the address to listen at.

    Attributes
    ----------
    url : `str`
        The address for browsers.

    Raises
    ------
    DashboardPortError
        If the port is taken, or the host has no such address.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack = ExitStack()
        self.url = ""

    def __enter__(self) -> Self:
        own = self._settings.dashboard
        with ExitStack() as stack:
            library = Library(self._settings)
            stack.callback(library.close)
            feed = Feed(own.history)
            app = make_app(self._settings, feed, library)
            self.url = stack.enter_context(serving_at(app, own.host, own.port))
            # The streams end first: the server waits for them when it stops.
            stack.callback(feed.close)
            for worker in (Listener(self._settings.kafka, feed, own.history), Watch(library, feed)):
                stack.enter_context(_running(type(worker).__name__, worker.run, worker.stop))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()


@contextmanager
def serving_at(app: ASGIApp, host: str, port: int) -> Iterator[str]:
    """Serve an application from a thread; yield its address.

    Raises
    ------
    DashboardPortError
        If the port is taken, or the host has no such address.
    """
    try:
        listening = listen(host, port)
    except OSError as error:
        raise DashboardPortError(
            f"the dashboard cannot be served on {host}:{port}: {error.strerror or error}; choose another "
            "dashboard.port (0 for any free one) or dashboard.host"
        ) from error
    url = _url(host, listening.getsockname()[1])
    with serving(app, listening, "dashboard-http"):
        yield url


@contextmanager
def _running(name: str, run: Callable[[], None], stop: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=run, name=f"dashboard-{name}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop()
        thread.join(_END_SECONDS)


def _url(host: str, port: int) -> str:
    shown = {"0.0.0.0": "localhost", "::": "localhost"}.get(host, host)  # noqa: S104 - compared with
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}/"
