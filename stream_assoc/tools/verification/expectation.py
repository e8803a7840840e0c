"""What must come back of a replay: for each batch one answer, for each damaged message a dead letter."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.types import IntArray
from stream_assoc.exceptions import PoisonError
from stream_assoc.messaging.avro.batch_decoder import BatchDecoder
from stream_assoc.tools.replay.steps import Step


class BatchContent(NamedTuple):
    """A batch and its content: copies share both, a batch that reuses a visit and detector does not."""

    id: BatchId
    digest: bytes


@dataclass(slots=True)
class Expectation:
    """What a plan must lead to.

    Attributes
    ----------
    batches : `dict` [`BatchContent`, `list` [`int`]]
        The steps that carry each good batch.
    spoilt : `set` [`int`]
        Steps whose message cannot be processed, and must be a dead letter.
    sources : `dict` [`BatchContent`, `numpy.ndarray` [int64]]
        The diaSourceIds of each batch.
    """

    batches: dict[BatchContent, list[int]] = field(default_factory=lambda: defaultdict(list))
    spoilt: set[int] = field(default_factory=set)
    sources: dict[BatchContent, IntArray] = field(default_factory=dict)

    @property
    def n_messages(self) -> int:
        """Messages that are sent."""
        return len(self.spoilt) + sum(map(len, self.batches.values()))

    @property
    def n_conflicts(self) -> int:
        """Batches that reuse the visit and detector of another: the first counts, the others are set aside."""
        return len(self.batches) - len({content.id for content in self.batches})

    def diaSourceIds(self, batches: Iterable[BatchContent]) -> IntArray:
        """Return the sources of some batches, each once."""
        parts = [self.sources[content] for content in batches]
        return np.unique(np.concatenate(parts)) if parts else np.empty(0, np.int64)


def expectation_of(steps: Iterable[Step], decoder: BatchDecoder) -> Expectation:
    """Return what must come back of some steps.

    Parameters
    ----------
    steps : iterable of `Step`
        All of a plan.
    decoder : `~stream_assoc.messaging.avro.batch_decoder.BatchDecoder`
        The daemon's: what it refuses must be a dead letter.
    """
    expected = Expectation()
    for number, step in enumerate(steps):
        if step.is_dropped:
            continue
        try:
            batch = decoder.decode(step.message.value)
        except PoisonError:
            expected.spoilt.add(number)
            continue
        content = BatchContent(batch.id, batch.digest)
        expected.batches[content].append(number)
        expected.sources.setdefault(content, batch.diaSourceId)
    return expected
