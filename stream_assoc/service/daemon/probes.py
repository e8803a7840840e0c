"""Asking the stores for signs of life, also while there is no work that would meet them."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from stream_assoc.exceptions import StreamAssocError
from stream_assoc.service.daemon.health import Health

LAST_ANSWER_SECONDS: Final = 2.0
"""How long the end waits for a question that is under way, so that no connection is opened behind it."""


@contextlib.contextmanager
def probing(health: Health, probes: Mapping[str, Callable[[], None]], every_seconds: float) -> Iterator[None]:
    """Ask services for signs of life for the length of the block, each from a thread of its own.

    A store that is silent for long holds up nobody: neither the question after
    the other store nor the end of the block.

    Parameters
    ----------
    health : `Health`
        Told of each answer, and why there is none.
    probes : `Mapping` [`str`, callable]
        For each service what returns if it answers, and raises an error of this package if not.
    every_seconds : `float`
        Between two questions.
    """
    over = threading.Event()
    threads = [
        threading.Thread(
            target=_keep_asking,
            args=(health, service, probe, every_seconds, over),
            name=f"probe-{service}",
            daemon=True,
        )
        for service, probe in probes.items()
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(LAST_ANSWER_SECONDS)


def _keep_asking(
    health: Health, service: str, probe: Callable[[], None], every_seconds: float, over: threading.Event
) -> None:
    while not over.is_set():
        try:
            probe()
        except StreamAssocError as error:
            # A store that is closed because the block is over is no news.
            if not over.is_set():
                health.silent(service, str(error))
        else:
            health.heard(service)
        over.wait(every_seconds)
