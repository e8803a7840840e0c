"""Which images may be read: a batch names them, and whoever may write to the input topic can name anything.

A URI is allowed if it lies below one of the configured roots. It is taken
apart and compared piece by piece, never as text, and what different readers
could understand differently is refused rather than interpreted.
"""

import os
import re
from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from stream_assoc.photometry.exceptions import ImageRefusedError, ImageRootError
from stream_assoc.settings.secrets import redacted

MAX_URI_CHARACTERS: Final = 2048

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NOT_IN_URL: Final = re.compile(r"[^!-~]|[\\?#]")
# A dot, a slash, a backslash, a percent sign or a control character behind an escape, or no escape at all.
_TRICKY_ESCAPE: Final = re.compile(r"%(?:2[ef5]|5c|[01][0-9a-f]|7f|(?![0-9a-f]{2}))", re.IGNORECASE)
_HOST: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]*")
_HTTPS_PORT: Final = 443


class _Place(NamedTuple):
    """Where something is: scheme, server, and path in segments."""

    scheme: str
    server: str
    segments: tuple[str, ...]

    def is_below(self, root: "_Place") -> bool:
        return (self.scheme, self.server, self.segments[: len(root.segments)]) == root

    def __str__(self) -> str:
        path = "/".join(self.segments)
        return f"/{path}" if self.scheme == "file" else f"{self.scheme}://{self.server}/{path}"


class ImageRoots:
    """Decides which image URIs may be opened.

    Parameters
    ----------
    roots : `~collections.abc.Sequence` [`str`]
        Absolute folders, ``s3://bucket/prefix`` or ``https://host[:port]/path``.
        None: every image is refused.

    Raises
    ------
    ImageRootError
        If a root is of another kind.
    """

    def __init__(self, roots: Sequence[str]) -> None:
        try:
            self._roots = tuple(map(_place, roots))
        except ImageRefusedError as error:
            raise ImageRootError(
                f"images.roots: {error}; give absolute folders, s3://bucket/prefix or https://host/path"
            ) from error

    @property
    def schemes(self) -> frozenset[str]:
        """What the roots are: ``file``, ``s3``, ``https``."""
        return frozenset(root.scheme for root in self._roots)

    def resolve(self, uri: str) -> str:
        """Return what to open for an image URI.

        Symbolic links are followed first, so that a link below a root cannot
        lead out of it. Open the path that is returned, not the one asked for,
        and follow no HTTP redirect: where it leads has not been judged.

        Parameters
        ----------
        uri : `str`
            An absolute path, ``file:///path``, ``s3://bucket/key`` or
            ``https://host/path``, as a batch names it.

        Returns
        -------
        location : `str`
            The absolute path of a file, or the URI in its one spelling.

        Raises
        ------
        ImageRefusedError
            If it is not below a root; the batch is to be processed without it.
        """
        place = _place(uri)
        if not any(place.is_below(root) for root in self._roots):
            raise ImageRefusedError(f"the image {_shown(uri)} is not below any of images.roots")
        return str(place)


def _place(uri: str) -> _Place:
    if len(uri) > MAX_URI_CHARACTERS or _CONTROL.search(uri):
        raise _refusal(uri, "it is very long or holds control characters")
    if uri.startswith("/"):
        return _file(uri, uri)
    if _NOT_IN_URL.search(uri) or _TRICKY_ESCAPE.search(uri):
        raise _refusal(uri, "it holds a query, a fragment, or characters that a URL must not hide")
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        raise _refusal(uri, "it is no URL") from None
    match parts.scheme:
        case "file" if not parts.netloc:
            return _file(uri, unquote(parts.path))
        case "s3" if _BUCKET.fullmatch(parts.netloc):
            return _Place("s3", parts.netloc, _segments(uri, parts.path))
        case "https":
            return _Place("https", _server(uri, parts, port), _segments(uri, parts.path))
    raise _refusal(uri, "it is no absolute path, file:///path, s3://bucket/key or https://host/path")


def _file(uri: str, path: str) -> _Place:
    if not path.startswith("/") or _CONTROL.search(path):
        raise _refusal(uri, "its path is not absolute")
    _segments(uri, path)
    try:
        real = os.path.realpath(path)
    except (OSError, ValueError):
        raise _refusal(uri, "its path cannot be followed") from None
    return _Place("file", "", tuple(filter(None, real.split("/"))))


def _server(uri: str, parts: SplitResult, port: int | None) -> str:
    host = parts.hostname or ""
    if "@" in parts.netloc or not _HOST.fullmatch(host):
        raise _refusal(uri, "it names a user, or no plain host")
    return host if port in {None, _HTTPS_PORT} else f"{host}:{port}"


def _segments(uri: str, path: str) -> tuple[str, ...]:
    segments = path.removeprefix("/").removesuffix("/").split("/") if path not in {"", "/"} else []
    if not {"", ".", ".."}.isdisjoint(segments):
        raise _refusal(uri, "its path holds an empty, . or .. segment")
    return tuple(segments)


def _refusal(uri: str, why: str) -> ImageRefusedError:
    return ImageRefusedError(f"the image {_shown(uri)} may not be read: {why}")


def _shown(uri: str) -> str:
    """Return a URI for a message, without whatever it may hold of a password."""
    return repr(redacted(uri))
