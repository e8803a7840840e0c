"""The web application: which address answers what."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from stream_assoc.apps.web import objects
from stream_assoc.apps.web.encoding import plain, to_json
from stream_assoc.apps.web.feed import Feed
from stream_assoc.apps.web.library import Library
from stream_assoc.apps.web.queries import (
    QueryError,
    is_integer,
    parse_id,
    parse_number,
    parse_position,
    parse_visit,
)
from stream_assoc.apps.web.security import Guard, known_hosts
from stream_assoc.apps.web.sky import SkyMap
from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.statistics.calculator import StatisticsCalculator
from stream_assoc.core.statistics.registry import ALL_PLUGINS
from stream_assoc.pipeline.exceptions import ApdbError
from stream_assoc.settings import Settings
from stream_assoc.stores.apdb.reading.port import AnswerTooLargeError, ApdbReader, NotStoredError
from stream_assoc.stores.apdb.reading.standby import told_of_standbys
from stream_assoc.tools.explanation.explain import explain
from stream_assoc.wiring.pipeline import association_algorithms_of

STATIC: Final = Path(__file__).parent / "static"

_PING_SECONDS: Final = 5.0
_FRAME_SECONDS: Final = 1.0 / 60.0
"""Changes within a frame go out as one event."""
_MAX_RADIUS_DEG: Final = 20.0
_SHOWN_CHARACTERS: Final = 200


class Api:
    """Answers the questions of the pages with JSON.

    Parameters
    ----------
    settings : `Settings`
        Settings of the deployment to look at.
    library : `Library`
        Holds the objects and sources.
    """

    def __init__(self, settings: Settings, library: Library) -> None:
        self._library = library
        self._associator = association_algorithms_of(settings).associator
        self._calculator = StatisticsCalculator(ALL_PLUGINS)
        self._flag_columns = settings.statistics.flag_columns
        self._sky = SkyMap(settings.sky.tile_level)

    def routes(self) -> list[Route]:
        """Return the routes; all of them only read."""
        answers: dict[str, Callable[[Request], object]] = {
            "/search": self._search,
            "/objects": lambda _: objects.recent_objects(self._reader),
            "/objects/{id}": lambda request: objects.object_page(self._reader, _id(request)),
            "/objects/{id}/light_curve": lambda request: objects.light_curve(self._reader, _id(request)),
            "/objects/{id}/versions": lambda request: objects.versions(self._reader, _id(request)),
            "/objects/{id}/statistics": lambda request: objects.recomputed_statistics(
                self._reader, _id(request), self._calculator, self._flag_columns
            ),
            "/sources/{id}": lambda request: plain(asdict(explain(_id(request), self._reader, self._associator))),
            "/visits/{visit}": lambda request: objects.visit_page(self._reader, _id(request, "visit")),
            "/visits/{visit}/{detector}": lambda request: objects.batch_page(
                self._reader, BatchId(_id(request, "visit"), _id(request, "detector"))
            ),
            "/sky": lambda _: self._sky.overview(self._reader),
            "/sky/objects": self._objects_around,
        }
        return [
            Route(f"/api{path}", _json_endpoint(self._told(answer)), methods=["GET"])
            for path, answer in answers.items()
        ]

    def _told(self, answer: Callable[[Request], object]) -> Callable[[Request], object]:
        """Return what also says of a thing that is not found that a standby may lack it yet."""

        def tell(request: Request) -> object:
            with told_of_standbys(lambda: self._reader):
                return answer(request)

        return tell

    @property
    def _reader(self) -> ApdbReader:
        return self._library.reader

    def _search(self, request: Request) -> dict[str, Any]:
        text = request.query_params.get("q", "").strip()
        if is_integer(text):
            return objects.search_id(self._reader, parse_id(text))
        if (named := parse_visit(text)) is not None:
            visit, detector = named
            if detector is None:
                return objects.search_id(self._reader, visit)
            return objects.search_batch(self._reader, BatchId(visit, detector))
        return objects.search_position(self._reader, *parse_position(text))

    def _objects_around(self, request: Request) -> dict[str, Any]:
        ra, dec, radius = (_number(request, name) for name in ("ra", "dec", "radius"))
        if not (0.0 <= ra <= 360.0 and -90.0 <= dec <= 90.0 and 0.0 < radius <= _MAX_RADIUS_DEG):
            raise QueryError(f"ra, dec and radius must be degrees on the sky, the radius at most {_MAX_RADIUS_DEG:g}")
        return self._sky.objects(self._reader, ra, dec, radius)


def make_app(settings: Settings, feed: Feed, library: Library) -> Starlette:
    """Return the application.

    Parameters
    ----------
    settings : `Settings`
        Settings of the deployment; no page shows any of them.
    feed : `Feed`
        The latest batches and the states of the services.
    library : `Library`
        The stored objects and sources.
    """

    async def page(_: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def events(request: Request) -> Response:
        return StreamingResponse(_events(feed), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    hosts = known_hosts(settings.dashboard.host, settings.dashboard.allowed_hosts)
    return Starlette(
        routes=[
            Route("/", page, methods=["GET"]),
            Route("/api/events", events, methods=["GET"]),
            *Api(settings, library).routes(),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[Middleware(Guard, hosts=hosts)],
        exception_handlers={
            QueryError: _failure(400),
            NotStoredError: _failure(404),
            AnswerTooLargeError: _failure(422),
            ApdbError: _failure(503),
            404: _no_such_page,
        },
    )


async def _events(feed: Feed) -> AsyncIterator[str]:
    """Yield server-sent events: first everything, then each change, and a ping after a while without one."""
    with feed.waiter() as changed:
        text, n_batches, states_version = feed.hello()
        yield _event("hello", text)
        while not feed.is_closed:
            changed.clear()
            batches, n_batches = feed.batches_after(n_batches)
            states, states_version = feed.states_after(states_version)
            if batches is not None:
                yield _event("batches", batches)
            if states is not None:
                yield _event("states", states)
            try:
                await asyncio.wait_for(changed.wait(), _PING_SECONDS)
            except TimeoutError:
                yield _event("ping", "null")
            else:
                await asyncio.sleep(_FRAME_SECONDS)


def _event(name: str, data: str) -> str:
    return f"event: {name}\ndata: {data}\n\n"


def _json_endpoint(answer: Callable[[Request], object]) -> Callable[[Request], Response]:
    """Return an endpoint for Starlette to run in a thread, because the APDB waits for a database."""

    def endpoint(request: Request) -> Response:
        return Response(to_json(answer(request)), media_type="application/json")

    return endpoint


def _failure(status: int) -> Callable[[Request, Exception], Response]:
    def handle(_: Request, error: Exception) -> Response:
        return Response(to_json({"error": str(error)}), status, media_type="application/json")

    return handle


def _no_such_page(request: Request, _: Exception) -> Response:
    return Response(
        to_json({"error": f"there is nothing at {request.url.path[:_SHOWN_CHARACTERS]}"}),
        404,
        media_type="application/json",
    )


def _id(request: Request, name: str = "id") -> int:
    return parse_id(request.path_params[name], name)


def _number(request: Request, name: str) -> float:
    return parse_number(request.query_params.get(name, ""), name)
