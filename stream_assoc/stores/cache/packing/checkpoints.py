"""States packed for the APDB, in the same words as for the cache."""

from dataclasses import dataclass
from typing import Final

from stream_assoc.core.model.states import Checkpoints, ObjectStates, StateLayout
from stream_assoc.pipeline.ports.cache import CachedStates
from stream_assoc.stores.cache.packing.authentication import BlobKey
from stream_assoc.stores.cache.packing.state_packing import pack_states, unpack_states

_KEY: Final = BlobKey.of(b"of no secret use")
"""Who can write to the APDB is trusted: here the code only tells damage, and is the same everywhere."""


@dataclass(frozen=True, slots=True)
class PackedCheckpoints:
    """`StateCodec` in the words of `~stream_assoc.stores.cache.packing.state_words`.

    Attributes
    ----------
    state_layout : `StateLayout`
    """

    state_layout: StateLayout

    @property
    def layout(self) -> int:
        """See `StateCodec.layout`."""
        return self.state_layout.fingerprint

    def pack(self, states: ObjectStates) -> Checkpoints:
        """See `StateCodec.pack`."""
        blobs = pack_states(states, self.state_layout, _KEY)
        return Checkpoints(states.diaObjectId, states.validityStartMjdTai, self.layout, blobs)

    def unpack(self, checkpoints: Checkpoints) -> CachedStates:
        """See `StateCodec.unpack`."""
        ids, versions = checkpoints.diaObjectId, checkpoints.validityStartMjdTai
        return unpack_states(list(checkpoints.blobs), self.state_layout, ids, versions, _KEY)[0]
