"""Work on files that a hanging file system, such as a dead NFS mount, must not hold up."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, TypeVar

from stream_assoc.photometry.exceptions import ImageUnavailableError

MAX_STUCK: Final = 4
"""Threads that may hang; a call that reads a dead mount cannot be interrupted."""

Result = TypeVar("Result")


class FileThreads:
    """Runs calls in threads of their own, and leaves those alone that do not come back in time."""

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
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
            outcome.set_exception(error)
        finally:
            self._free.release()
