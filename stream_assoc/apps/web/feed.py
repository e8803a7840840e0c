"""The latest batches, the states of the services, and the streams that wait for a change.

Threads write, and the web server's event loop reads. Everything is bounded: a
page that reads slowly misses batches instead of making them pile up.
"""

import asyncio
import threading
import uuid
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from stream_assoc.apps.web.encoding import metrics_of, plain, to_json
from stream_assoc.core.model.metrics import AssociationMetrics

_DEAD_LETTERS: Final = 50


class Feed:
    """Keeps the latest batches and states, and wakes those who wait for a change.

    Parameters
    ----------
    history : `int`
        Most batches kept.
    """

    def __init__(self, history: int) -> None:
        self.is_closed = False
        self._instance = uuid.uuid4().hex[:12]
        self._mutex = threading.Lock()
        self._batches: deque[str] = deque(maxlen=history)
        self._dead_letters: deque[dict[str, Any]] = deque(maxlen=_DEAD_LETTERS)
        self._reasons: Counter[str] = Counter()
        self._states: dict[str, Any] = {"services": {}, "lag": None, "overview": None}
        self._n_batches = 0
        self._states_version = 0
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def add_batches(self, batches: Sequence[AssociationMetrics]) -> None:
        """Append the metrics of some batches."""
        if batches:
            with self._mutex:
                self._batches.extend(to_json(metrics_of(batch)) for batch in batches)
                self._n_batches += len(batches)
                self._wake()

    def add_dead_letter(self, dead_letter: Mapping[str, Any]) -> None:
        """Append a dead letter: at least its ``reason``."""
        with self._mutex:
            self._dead_letters.append(plain(dead_letter))
            self._reasons[dead_letter["reason"]] += 1
            self._states_version += 1
            self._wake()

    def set_service(self, name: str, *, is_up: bool, message: str = "") -> None:
        """Record whether a service answers: if not, why and what to do; if so, what to know of its answers."""
        with self._mutex:
            self._change_state("services", {**self._states["services"], name: {"isUp": is_up, "message": message}})

    def set_state(self, name: str, value: Mapping[str, Any]) -> None:
        """Set the ``lag`` or the ``overview``."""
        with self._mutex:
            self._change_state(name, plain(value))

    def close(self) -> None:
        """End every stream."""
        self.is_closed = True
        with self._mutex:
            self._wake()

    def hello(self) -> tuple[str, int, int]:
        """Return everything as JSON, and the numbers to pass to `batches_after` and `states_after`."""
        with self._mutex:
            states, states_version = self._states_json(), self._states_version
            text = f'{{"instance":"{self._instance}","batches":[{",".join(self._batches)}],"states":{states}}}'
            return text, self._n_batches, states_version

    def batches_after(self, number: int) -> tuple[str | None, int]:
        """Return the batches after the first ``number`` as a JSON list (`None` for none), and the new number."""
        with self._mutex:
            n_new = min(self._n_batches - number, len(self._batches))
            if n_new <= 0:
                return None, self._n_batches
            newest = [self._batches[index] for index in range(-n_new, 0)]
            return f"[{','.join(newest)}]", self._n_batches

    def states_after(self, version: int) -> tuple[str | None, int]:
        """Return the states as JSON if they have changed since a version (else `None`), and the present version."""
        with self._mutex:
            if version == self._states_version:
                return None, version
            return self._states_json(), self._states_version

    @contextmanager
    def waiter(self) -> Iterator[asyncio.Event]:
        """Yield an event of the running loop; every change sets it."""
        waiter = (asyncio.get_running_loop(), asyncio.Event())
        with self._mutex:
            self._waiting.add(waiter)
        try:
            yield waiter[1]
        finally:
            with self._mutex:
                self._waiting.discard(waiter)

    def _change_state(self, name: str, value: object) -> None:
        if self._states[name] != value:
            self._states[name] = value
            self._states_version += 1
            self._wake()

    def _states_json(self) -> str:
        dead_letters = {
            "count": self._reasons.total(),
            "reasons": dict(self._reasons.most_common()),
            "latest": list(reversed(self._dead_letters)),
        }
        return to_json({**self._states, "deadLetters": dead_letters})

    def _wake(self) -> None:
        for loop, event in self._waiting:
            loop.call_soon_threadsafe(event.set)
