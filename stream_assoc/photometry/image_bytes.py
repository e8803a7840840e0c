"""The bytes of an image: read from a file, and taken out of a compressed one, within bounds of size and time.

A few bytes may claim to be, or decompress to, any number. So whatever is
counted is counted while it comes, and before anything is allocated for it.
"""

import bz2
import io
import lzma
import os
import stat
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, TypeVar

from stream_assoc.photometry.exceptions import (
    ImageDamagedError,
    ImageMissingError,
    ImageRefusedError,
    ImageTooLargeError,
    ImageUnavailableError,
)

CHUNK_BYTES: Final = 2**20
MAX_STUCK: Final = 4
"""Threads that may hang; a call that reads a dead mount cannot be interrupted."""

Result = TypeVar("Result")

_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = b"PK\x03\x04"
_OTHERS: Final = (b"BZh", b"\xfd7zXZ\x00")
_COMPRESSED: Final = (_GZIP, _ZIP, *_OTHERS, b"\x1f\x9d")
_XZ_MEMORY: Final = 2**27
"""Bytes; a file may ask for a dictionary of gigabytes."""
_GZIP_WINDOW: Final = 31
_DAMAGE: Final = (
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
    lzma.LZMAError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many bytes an image may have, and until when.

    Attributes
    ----------
    max_bytes : `int`
        Of its file, of what it decompresses to, and of its pixels.
    seconds : `float`
        From `deadline_of` on.
    deadline : `float`
        On `time.monotonic`.
    """

    max_bytes: int = 512 * 2**20
    seconds: float = float("inf")
    deadline: float = float("inf")

    @classmethod
    def within(cls, max_bytes: int, seconds: float) -> "Allowance":
        """Return an allowance that begins now."""
        return cls(max_bytes, seconds, time.monotonic() + seconds)

    def check(self, n_bytes: int, name: str) -> None:
        """Refuse an image that has more bytes, or takes longer."""
        if n_bytes > self.max_bytes:
            raise ImageTooLargeError(
                f"the image {name!r} has more than {self.max_bytes} bytes, read or decompressed; make it smaller, or "
                "raise images.max_bytes"
            )
        if time.monotonic() > self.deadline:
            raise ImageUnavailableError(
                f"the image {name!r} was not read within {self.seconds:g} s; see that its store answers, or raise "
                "images.timeout_seconds"
            )


def read_file(path: str, allowance: Allowance) -> bytes:
    """Return the bytes of a regular file.

    Opening it never waits for another process, as that of a named pipe would.

    Raises
    ------
    ImageRefusedError
        If it is a pipe, a socket or a device.
    ImageUnreadableError
        If it is not there, may not be read, or is too large.
    ImageUnavailableError
        If it takes too long.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            status = os.fstat(file.fileno())
            if stat.S_ISDIR(status.st_mode):
                raise IsADirectoryError(None, "Is a directory")
            if not stat.S_ISREG(status.st_mode):
                raise ImageRefusedError(f"the image {path!r} is no regular file; pipes and devices are not read")
            allowance.check(status.st_size, path)
            content = bytearray()
            while chunk := file.read(CHUNK_BYTES):
                content += chunk
                allowance.check(len(content), path)
            return bytes(content)
    except OSError as error:
        raise ImageMissingError(
            f"the image {path!r} cannot be opened: {error.strerror}; the batch must name it when it is in place"
        ) from error


class FileThreads:
    """Runs each call in a thread of its own, and leaves it alone when it does not return in time.

    A hanging file system, such as a dead NFS mount, thus holds nothing up.
    """

    def __init__(self) -> None:
        self._free = threading.BoundedSemaphore(MAX_STUCK)

    def run(self, work: Callable[[], Result], seconds: float, name: str) -> Result:
        """Return what a call returns, or raise what it raises.

        Raises
        ------
        ImageUnavailableError
            If it takes longer than ``seconds``, or others before it still do.
        """
        if not self._free.acquire(blocking=False):
            raise ImageUnavailableError(
                f"the image {name[:80]!r} is not asked for: {MAX_STUCK} files before it do not answer; see that the "
                "file systems below images.roots answer"
            )
        outcome: Future[Result] = Future()
        threading.Thread(target=self._work, args=(work, outcome), name="image-file", daemon=True).start()
        try:
            return outcome.result(seconds)
        except TimeoutError:
            raise ImageUnavailableError(
                f"the image {name[:80]!r} was not read within {seconds:g} s; see that its file system answers, or "
                "raise images.timeout_seconds"
            ) from None

    def _work(self, work: Callable[[], Result], outcome: "Future[Result]") -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:  # noqa: BLE001 - `run` raises it again
            outcome.set_exception(error)
        finally:
            self._free.release()


def decompressed(payload: bytes, name: str, allowance: Allowance) -> bytes:
    """Return what a file of gzip, zip, bzip2 or xz holds; other bytes as they are.

    Raises
    ------
    ImageTooLargeError, ImageUnavailableError
        If it holds more than allowed, or takes too long.
    ImageDamagedError
        If it is damaged, holds several files, or is compressed twice.
    """
    if not payload.startswith(_COMPRESSED):
        return payload
    content = bytearray()
    try:
        for chunk in _decompressing(payload):
            content += chunk
            allowance.check(len(content), name)
    except _DAMAGE as error:
        raise ImageDamagedError(
            f"the image {name!r} cannot be decompressed ({type(error).__name__}: {error}); write it again"
        ) from error
    if content.startswith(_COMPRESSED):
        raise ImageDamagedError(f"the image {name!r} is compressed twice; write it once")
    return bytes(content)


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)


def _decompressing(payload: bytes) -> Iterator[bytes]:
    if payload.startswith(_GZIP):
        yield from gunzipped(payload)
        return
    if payload.startswith(_ZIP):
        with zipfile.ZipFile(io.BytesIO(payload)) as archive:
            (member,) = archive.infolist()
            with archive.open(member) as file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk
        return
    if payload.startswith(_OTHERS):
        is_bzip2 = payload.startswith(b"BZh")
        new = bz2.BZ2Decompressor if is_bzip2 else partial(lzma.LZMADecompressor, memlimit=_XZ_MEMORY)
        yield from _streams(payload, new)
        return
    raise ValueError("LZW is not read; use gzip")


def gunzipped(payload: bytes) -> Iterator[bytes]:
    """Yield what bytes of gzip hold, in pieces; several streams one after the other are one, padding is left out."""
    while payload.startswith(_GZIP):
        stream = zlib.decompressobj(_GZIP_WINDOW)
        pending = payload
        while not stream.eof:
            chunk = stream.decompress(pending, CHUNK_BYTES)
            pending = stream.unconsumed_tail
            if not chunk and not pending and not stream.eof:
                raise EOFError("it ends within its compressed data")
            yield chunk
        payload = stream.unused_data


class _Decompressor(Protocol):
    """What the decompressors of bzip2 and xz have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def _streams(payload: bytes, new: Callable[[], _Decompressor]) -> Iterator[bytes]:
    while payload:
        stream = new()
        pending = payload
        while not stream.eof:
            chunk = stream.decompress(pending, CHUNK_BYTES)
            pending = b""
            if not chunk and stream.needs_input:
                raise EOFError("it ends within its compressed data")
            yield chunk
        payload = stream.unused_data.lstrip(b"\0")
