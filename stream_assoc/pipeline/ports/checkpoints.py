"""What the pipeline asks of whoever packs states for the APDB."""

from typing import Protocol

from stream_assoc.core.model.states import Checkpoints, ObjectStates
from stream_assoc.pipeline.ports.cache import CachedStates


class StateCodec(Protocol):
    """Packs states, and knows damaged ones.

    Attributes
    ----------
    layout : `int`
        `~stream_assoc.core.model.states.StateLayout.fingerprint` of the states it packs.
    """

    @property
    def layout(self) -> int:
        """See above."""

    def pack(self, states: ObjectStates) -> Checkpoints:
        """Return checkpoints of these states; the same bytes for the same states."""

    def unpack(self, checkpoints: Checkpoints) -> CachedStates:
        """Return those of the states that are whole and of this layout; the others are left out."""
