"""Protection of the dashboard against other web sites.

A page of any site can make a browser send requests to this machine. The
browser keeps the answers from that page, but the requests would still cost
work. Browsers say where a request comes from, so requests from other sites are
refused; other sites may only link to the page. A site can also make its own
name resolve to this machine (DNS rebinding), and browsers then take it for
this one; the Host header gives it away. The page runs no scripts but those of
this server.
"""

from collections.abc import Collection
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")
_OWN_SITES: Final = ("", "same-origin", "none")
"""Values of Sec-Fetch-Site: absent, a request of this page, and an address that a person typed."""
_PAGE: Final = "/"
_WILDCARDS: Final = ("0.0.0.0", "::")  # noqa: S104 - compared with, not listened on


def known_hosts(host: str, allowed: Collection[str]) -> frozenset[str]:
    """Return the host names under which the dashboard answers."""
    own = () if host in _WILDCARDS else (host,)
    return frozenset(name.lower() for name in (*_LOCAL, *own, *allowed))


class Guard:
    """Refuses requests for other hosts and from other sites, and adds the headers that bind the browser.

    Parameters
    ----------
    app : ASGI application
        The application to guard.
    hosts : `frozenset` [`str`]
        From `known_hosts`.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-cache")
            await send(message)

        answer = self._refusal(scope["path"], Headers(scope=scope)) or self._app
        await answer(scope, receive, send_guarded)

    def _refusal(self, path: str, headers: Headers) -> PlainTextResponse | None:
        if host_of(headers.get("host", "")) not in self._hosts:
            return PlainTextResponse(
                "The dashboard does not answer under this host name; add the name to dashboard.allowed_hosts.\n", 421
            )
        if path != _PAGE and not (
            headers.get("sec-fetch-site", "") in _OWN_SITES and self._is_own(headers.get("origin"))
        ):
            return PlainTextResponse("Other sites may link to the dashboard, but not send requests to it.\n", 403)
        return None

    def _is_own(self, origin: str | None) -> bool:
        return origin is None or host_of(origin.partition("://")[2]) in self._hosts


def host_of(header: str) -> str:
    """Return the host of a Host header, without port and brackets."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()
