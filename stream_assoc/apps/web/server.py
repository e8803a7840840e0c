"""The dashboard as a running server, in threads of its own."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Final, Self

from starlette.types import ASGIApp

from stream_assoc.apps.web.app import make_app
from stream_assoc.apps.web.exceptions import DashboardPortError
from stream_assoc.apps.web.feed import Feed
from stream_assoc.apps.web.library import Library, Watch
from stream_assoc.apps.web.listener import Listener
from stream_assoc.service.http.server import listen, serving
from stream_assoc.settings import Settings

_END_SECONDS: Final = 5.0


class Dashboard:
    """Serves the dashboard between ``with`` and its end. Neither broker nor APDB need be there.

    Parameters
    ----------
    settings : `Settings`
        The deployment to look at, and where to listen.

    Attributes
    ----------
    url : `str`
        Where browsers find it.

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
            # Streams end before the server is told to, which would wait for them.
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
    """Serve an application from a thread; give the address it is found at.

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
