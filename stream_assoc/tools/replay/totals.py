"""What a plan comes to: counts, and a checksum of everything that is sent."""

import hashlib
from typing import Final, Self

from pydantic import BaseModel, ConfigDict

from stream_assoc.tools.replay.stamp import unstamped_headers
from stream_assoc.tools.replay.steps import Step

_NONE: Final = (2**64 - 1).to_bytes(8, "big")


class PlanTotals(BaseModel):
    """Counts of the steps of a plan, and their checksum.

    Attributes
    ----------
    n_steps : `int`
        All, the dropped ones too.
    n_sent, n_bytes : `int`
        Messages that are sent, and the bytes of their values.
    n_copies, n_late, n_damaged : `int`
        Of those sent.
    n_dropped : `int`
        Messages that are not.
    checksum : `str`
        SHA-256 over position, key, value and headers of each step in order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_steps: int
    n_sent: int
    n_bytes: int
    n_copies: int
    n_late: int
    n_damaged: int
    n_dropped: int
    checksum: str


class Tally:
    """Adds up steps."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys([name for name in PlanTotals.model_fields if name != "checksum"], 0)
        self._checksum = hashlib.sha256()

    def add(self, step: Step) -> Self:
        """Count a step."""
        counts = self._counts
        counts["n_steps"] += 1
        counts["n_dropped"] += step.is_dropped
        if not step.is_dropped:
            counts["n_sent"] += 1
            counts["n_bytes"] += len(step.message.value or b"")
            counts["n_copies"] += step.is_copy
            counts["n_late"] += step.is_late
            counts["n_damaged"] += step.is_damaged
        self._checksum.update(b"%d %d" % (step.position, step.is_dropped))
        for part in (step.message.key, step.message.value, *_flat(step)):
            self._checksum.update(_NONE if part is None else len(part).to_bytes(8, "big") + part)
        return self

    def totals(self) -> PlanTotals:
        """Return what has been added up."""
        return PlanTotals(**self._counts, checksum=self._checksum.hexdigest())


def _flat(step: Step) -> list[bytes]:
    return [part for name, value in unstamped_headers(step.message.headers) for part in (name.encode(), value)]
