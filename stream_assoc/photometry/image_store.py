"""Fetches the images that batches name, within bounds of place, size and time.

Files are opened where they are; what lies in an object store or on a web
server is read through fsspec. An image that is not there is not waited for. A
store that does not answer is asked again a few times, and then the batch does
without the image: its sources must not wait for it.
"""

import contextlib
import ssl
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stream_assoc.exceptions import reason_of
from stream_assoc.photometry.exceptions import (
    ImageMissingError,
    ImageRefusedError,
    ImageRootError,
    ImageTooLargeError,
    ImageUnavailableError,
)
from stream_assoc.photometry.exposure import Exposure
from stream_assoc.photometry.fits import read_payload
from stream_assoc.photometry.image_bytes import Allowance, FileThreads, read_file
from stream_assoc.photometry.image_roots import ImageRoots

_CHUNK_BYTES: Final = 2**22
_PACKAGES: Final = {"s3": "s3fs", "https": "aiohttp"}
_DENIED: Final = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """How much is read of an image, and how long it is waited for.

    Attributes
    ----------
    max_bytes : `int`
        Of a file, of what it decompresses to, and of its pixels.
    timeout_seconds : `float`
        For one image, all attempts together.
    attempts : `int`
        How often a store is asked that does not answer.
    wait_seconds : `float`
        Between the first two attempts; it doubles.
    """

    max_bytes: int = 512 * 2**20
    timeout_seconds: float = 10.0
    attempts: int = 3
    wait_seconds: float = 0.2


class ImageStore:
    """Reads exposures from files, object stores and web servers below the configured roots.

    Parameters
    ----------
    roots : `~collections.abc.Sequence` [`str`]
        Absolute folders, ``s3://bucket/prefix`` or ``https://host/path``.
    limits : `ImageLimits`
    s3_endpoint_url : `str`, optional
        Object store other than Amazon's. Credentials come from where
        botocore looks for them.
    ssl_ca_file : `~pathlib.Path`, optional
        PEM file of the authorities that may sign certificates, instead of the system's.
    wait : callable, optional
        Waits for so many seconds.

    Raises
    ------
    ImageRootError
        If a root is of another kind, or nothing is installed to read from it.
    """

    def __init__(
        self,
        roots: Sequence[str],
        limits: ImageLimits | None = None,
        *,
        s3_endpoint_url: str | None = None,
        ssl_ca_file: Path | None = None,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._roots = ImageRoots(roots)
        self._limits = limits or ImageLimits()
        self._wait = wait
        self._files = FileThreads()
        self._filesystems = {
            scheme: _filesystem(scheme, s3_endpoint_url, ssl_ca_file) for scheme in self._roots.schemes - {"file"}
        }

    def read(self, uri: str) -> Exposure:
        """Return the exposure that a URI names.

        Raises
        ------
        ImageRefusedError
            If it is not below a root.
        ImageUnavailableError
            If its store does not answer, however often it is asked, or its
            file system hangs.
        ImageUnreadableError
            If there is none, it is larger than allowed, or it is no complete exposure.
        """
        allowance = Allowance.within(self._limits.max_bytes, self._limits.timeout_seconds)
        location, payload = self._files.run(lambda: self._opened(uri, allowance), self._limits.timeout_seconds, uri)
        return read_payload(self._fetch(location) if payload is None else payload, location, allowance)

    def _opened(self, uri: str, allowance: Allowance) -> tuple[str, bytes | None]:
        """Return where an image is, and its bytes if that is a file; both may hang with the file system."""
        location = self._roots.resolve(uri)
        return location, read_file(location, allowance) if location.startswith("/") else None

    def _fetch(self, location: str) -> bytes:
        filesystem = self._filesystems[location.partition("://")[0]]
        limits, deadline = self._limits, time.monotonic() + self._limits.timeout_seconds
        for attempt in range(1, limits.attempts + 1):
            try:
                return self._fetch_once(filesystem, location, max(deadline - time.monotonic(), 0.001))
            except _transient_errors() as error:
                wait = limits.wait_seconds * 2 ** (attempt - 1)
                if attempt == limits.attempts or time.monotonic() + wait >= deadline:
                    raise ImageUnavailableError(
                        f"the image {location!r} could not be fetched within {limits.timeout_seconds:g} s in "
                        f"{attempt} of {limits.attempts} attempts ({type(error).__name__}: {reason_of(error)}); "
                        "see that its store answers, or raise images.timeout_seconds"
                    ) from error
                self._wait(wait)
        raise AssertionError("the loop returns or raises")

    def _fetch_once(self, filesystem: Any, location: str, seconds: float) -> bytes:  # noqa: ANN401 - untyped
        import aiohttp
        from fsspec.asyn import sync

        try:
            payload: bytes = sync(filesystem.loop, _read, filesystem, location, self._limits, timeout=seconds)
        except (FileNotFoundError, PermissionError) as error:
            raise _missing(location, error) from error
        except aiohttp.ClientResponseError as error:
            if error.status in _DENIED:
                raise _missing(location, error) from error
            raise
        return payload


def _filesystem(scheme: str, s3_endpoint_url: str | None, ssl_ca_file: Path | None) -> Any:  # noqa: ANN401 - untyped
    try:
        return _s3(s3_endpoint_url, ssl_ca_file) if scheme == "s3" else _https(ssl_ca_file)
    except ssl.SSLError as error:
        raise ImageRootError(f"images.ssl_ca_file {ssl_ca_file} holds no certificates: {reason_of(error)}") from error
    except ImportError as error:
        raise ImageRootError(
            f"images.roots names {scheme}://, which needs the package {_PACKAGES[scheme]}; "
            "pip install 'stream_assoc[images]'"
        ) from error


def _s3(endpoint_url: str | None, ssl_ca_file: Path | None) -> Any:  # noqa: ANN401 - untyped
    from s3fs import S3FileSystem

    ssl.create_default_context(cafile=ssl_ca_file)
    filesystem = S3FileSystem(
        endpoint_url=endpoint_url,
        client_kwargs={} if ssl_ca_file is None else {"verify": str(ssl_ca_file)},
        # Repeating is our own affair, and bounded.
        config_kwargs={"retries": {"total_max_attempts": 1}},
        skip_instance_cache=True,
    )
    filesystem.retries = 1
    return filesystem


def _https(ssl_ca_file: Path | None) -> Any:  # noqa: ANN401 - untyped
    import aiohttp
    from fsspec.implementations.http import HTTPFileSystem

    context = ssl.create_default_context(cafile=ssl_ca_file)

    async def client(**options: Any) -> aiohttp.ClientSession:  # noqa: ANN401 - fsspec's own
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), **options)

    return HTTPFileSystem(get_client=client, encoded=True, skip_instance_cache=True)


async def _read(filesystem: Any, location: str, limits: ImageLimits) -> bytes:  # noqa: ANN401 - untyped
    chunks = _chunks_of_answer if location.startswith("https:") else _chunks_of_object
    payload = bytearray()
    async with contextlib.aclosing(chunks(filesystem, location)) as reading:
        async for chunk in reading:
            payload += chunk
            if len(payload) > limits.max_bytes:
                raise _too_large(location, limits)
    return bytes(payload)


async def _chunks_of_object(filesystem: Any, location: str) -> AsyncGenerator[bytes, None]:  # noqa: ANN401 - untyped
    file = await filesystem.open_async(location, "rb")
    try:
        while chunk := await file.read(_CHUNK_BYTES):
            yield chunk
    finally:
        if file.r is not None:
            file.r.close()


async def _chunks_of_answer(filesystem: Any, location: str) -> AsyncGenerator[bytes, None]:  # noqa: ANN401 - untyped
    """Read what a web server answers; fsspec's own files would follow redirects."""
    session = await filesystem.set_session()
    async with session.get(filesystem.encode_url(location), allow_redirects=False) as answer:
        if 300 <= answer.status < 400:
            raise ImageRefusedError(
                f"the image {location!r} is elsewhere (HTTP {answer.status}), and redirects are not followed: where "
                "they lead has not been judged; name the place itself"
            )
        if answer.status == 404:
            raise FileNotFoundError(location)
        answer.raise_for_status()
        async for chunk in answer.content.iter_chunked(_CHUNK_BYTES):
            yield chunk


def _transient_errors() -> tuple[type[Exception], ...]:
    """Return what is raised where another attempt may succeed; imported by then, whatever it is raised by."""
    import aiohttp

    try:
        from botocore.exceptions import BotoCoreError
    except ImportError:
        return (OSError, aiohttp.ClientError)
    return (OSError, aiohttp.ClientError, BotoCoreError)


def _missing(location: str, error: Exception) -> ImageMissingError:
    return ImageMissingError(
        f"the image {location!r} is not there or may not be read ({type(error).__name__}: {reason_of(error)}); "
        "the batch must name it when it is in place, and the daemon needs the right to read it"
    )


def _too_large(location: str, limits: ImageLimits) -> ImageTooLargeError:
    return ImageTooLargeError(
        f"the image {location!r} has more than {limits.max_bytes} bytes; make it smaller, or raise images.max_bytes"
    )
