"""A browser, and dashboards whose feed a test fills itself."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import pytest

from stream_assoc.apps.web.app import make_app
from stream_assoc.apps.web.feed import Feed
from stream_assoc.apps.web.library import Library
from stream_assoc.apps.web.server import serving_at
from stream_assoc.settings import Settings
from tests import parts
from tests.apps.web.browser import chromium
from tests.configured import configured

PATIENCE_MS = 60_000


# Not of the session: while Playwright runs, no other test of this process can run an event loop.
@pytest.fixture(scope="module")
def browser():
    if not parts.BROWSER.is_here:
        pytest.skip(parts.BROWSER.reason)
    with chromium.chromium() as browser:
        yield browser


@dataclass
class Site:
    """A dashboard that can be taken away and brought back at the same address."""

    settings: Settings
    feed: Feed = field(default_factory=lambda: Feed(2000))
    url: str = ""

    @contextmanager
    def up(self) -> Iterator["Site"]:
        port = int(self.url.rstrip("/").rpartition(":")[2]) if self.url else 0
        library = Library(self.settings)
        with ExitStack() as stack:
            stack.callback(library.close)
            self.url = stack.enter_context(serving_at(make_app(self.settings, self.feed, library), "127.0.0.1", port))
            stack.callback(self.feed.close)
            yield self
        self.feed = Feed(2000)


@pytest.fixture
def site(sqlite_night):
    """A dashboard over a stored night."""
    with Site(configured(apdb={"url": sqlite_night.url})).up() as site:
        yield site


@pytest.fixture
def open_page(browser):
    """Open an address in a new context; at the end, fail if the page complained of anything."""
    contexts, complaints = [], []

    def open_page(url, **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: _note(message, complaints))
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not complaints


def _note(message, complaints) -> None:
    # The browser itself writes a line for each request that fails, which some tests want to fail.
    if message.type == "error" and "Failed to load resource" not in message.text:
        complaints.append(message.text)
