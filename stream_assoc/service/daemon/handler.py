"""From messages to what must be published for them."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import structlog

from stream_assoc.core.model.batch import Batch, BatchRevision
from stream_assoc.core.model.messages import InputMessage, OutputMessage
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.exceptions import PoisonError, RetriableError
from stream_assoc.failpoints import failpoint
from stream_assoc.messaging.authority import NOBODY, Authority
from stream_assoc.messaging.avro.batch_decoder import BatchDecoder
from stream_assoc.messaging.avro.dead_letters import dead_letter
from stream_assoc.messaging.kafka.client import DEFAULT_MAX_MESSAGE_BYTES
from stream_assoc.pipeline.batches import Arrival, Outcome, Processed, Redelivered, Rejected, arrive
from stream_assoc.pipeline.clock import Stopwatch
from stream_assoc.pipeline.process import process_batches
from stream_assoc.pipeline.services import CacheWrite, Services
from stream_assoc.service.instruments import Instruments

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of processing a message.

    Attributes
    ----------
    message : `InputMessage`
        The message; publishing the answer consumes it.
    outputs : `list` [`OutputMessage`]
        Updated objects and metrics, or one dead letter, or nothing.
    batch : `BatchRevision` or `None`
        The batch whose outbox is cleared once the outputs are published.
    predecessors : `tuple` [`BatchRevision`, ...]
        Batches whose outputs subscribers must have first.
    """

    message: InputMessage
    outputs: Sequence[OutputMessage]
    batch: BatchRevision | None = None
    predecessors: tuple[BatchRevision, ...] = ()


class MessageHandler:
    """Decodes messages, has them processed, and makes dead letters of those that cannot be.

    Parameters
    ----------
    decoder : `BatchDecoder`
        Bytes to batches.
    services : `Services`
        What batches are processed with.
    dead_letter_topic : `str`
        Where dead letters go.
    instruments : `Instruments`
        What Prometheus sees.
    authority : `Authority`, optional
        Which messages may take the place of others or pass the quarantine; none by default.
    max_dead_letter_bytes : `int`, optional
        Largest message that is kept whole in its dead letter.
    """

    def __init__(
        self,
        decoder: BatchDecoder,
        services: Services,
        dead_letter_topic: str,
        instruments: Instruments,
        authority: Authority = NOBODY,
        max_dead_letter_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
    ) -> None:
        self._max_dead_letter_bytes = max_dead_letter_bytes
        self._authority = authority
        self._decoder = decoder
        # The cache is written after subscribers have the outputs. A write that is never done loses nothing: the APDB
        # has raised the version of every tile it concerns, so the cache is not believed. For the same reason cells
        # need not be locked until then: another daemon that asks for such a tile rebuilds it.
        self._postponed: deque[CacheWrite] = deque()
        self._unwritten: RetriableError | None = None
        self._services = replace(services, write_cache=self._postponed.append, catch_up=self._write_cache)
        self._dead_letter_topic = dead_letter_topic
        self._instruments = instruments

    def answer(self, messages: Sequence[InputMessage]) -> list[Answer]:
        """Process these messages together and return the answer to each, in order.

        What the answers say is durable in the APDB when this returns.

        Raises
        ------
        RetriableError
            If a service is away. Calling again with the same messages is safe.
        """
        self._instruments.observe_messages([len(message.value or b"") for message in messages])
        read = self._read(messages)
        failpoint("after-decode")
        outcomes = iter(
            process_batches([arrival for arrival in read if isinstance(arrival, Arrival)], self._services)
        )
        return [
            self._answer_to(message, next(outcomes))
            if isinstance(arrival, Arrival)
            else self.reject(message, arrival)
            for message, arrival in zip(messages, read, strict=True)
        ]

    def finish(self, seconds: Mapping[str, float]) -> None:
        """Observe the steps of a micro-batch that is published, seconds, and write its changes to the cache.

        Raises
        ------
        RetriableError
            If the cache is away. What was not written is rebuilt when it is needed.
        """
        self._services.observe_micro_batch(seconds)
        self._write_cache()
        if (error := self._unwritten) is not None:
            self._unwritten = None
            raise error

    def _write_cache(self) -> None:
        """Do what was postponed. What cannot be written is dropped, for no batch waits for it; `finish` tells."""
        try:
            while self._postponed:
                self._postponed.popleft()()
        except RetriableError as error:
            self._postponed.clear()
            self._unwritten = error

    def _read(self, messages: Sequence[InputMessage]) -> list[Arrival | PoisonError]:
        watch = Stopwatch(self._services.clock)
        with watch.stage("decode"):
            decoded = self._decoder.decode_all([message.value for message in messages])
        share = {"decode": watch.seconds["decode"] / len(messages)}
        return [
            batch if isinstance(batch, PoisonError) else self._arrive(message, batch, share)
            for message, batch in zip(messages, decoded, strict=True)
        ]

    def _arrive(self, message: InputMessage, batch: Batch, seconds: dict[str, float]) -> Arrival | PoisonError:
        try:
            grant = self._authority.grant(message.headers, message.value)
            return arrive(
                batch,
                self._services,
                message.position,
                seconds,
                unlimited=grant.release,
                reprocessing=grant.reprocessing,
            )
        except PoisonError as error:
            return error

    def _answer_to(self, message: InputMessage, outcome: Outcome) -> Answer:
        match outcome:
            case Rejected(error=error):
                return self.reject(message, error)
            case Redelivered(id=batch, outputs=outputs):
                self._instruments.count_redelivery()
                log.info(
                    "redelivered",
                    visit=batch.visit,
                    detector=batch.detector,
                    revision=outcome.revision,
                    outputs=len(outputs),
                    **asdict(message.position),
                )
                return Answer(message, outputs, outcome.key if outputs else None, outcome.predecessors)
            case Processed(id=batch, metrics=metrics, outputs=outputs):
                self._instruments.observe(metrics)
                if outcome.image_error is not None:
                    log.warning(
                        "no forced sources",
                        visit=batch.visit,
                        detector=batch.detector,
                        reason=outcome.image_error.reason,
                        error=str(outcome.image_error),
                    )
                log.info(
                    "processed",
                    visit=batch.visit,
                    detector=batch.detector,
                    band=metrics.band,
                    sources=metrics.numDiaSources,
                    new=metrics.numNewDiaObjects,
                    updated=metrics.numUpdatedDiaObjects,
                    unassociated=metrics.numUnassociatedDiaObjects,
                    marginal=metrics.numMarginalDiaSources,
                    dropped=metrics.numDroppedDiaSources,
                    **self._measured(metrics),
                    **self._taken_back(metrics),
                    **asdict(message.position),
                    milliseconds=round(1000 * sum(metrics.stageSeconds.values()), 1),
                    stages=milliseconds(metrics.stageSeconds),
                )
                return Answer(message, outputs, outcome.key, outcome.predecessors)

    @staticmethod
    def _measured(metrics: AssociationMetrics) -> dict[str, int]:
        """Return what only the log line of a batch with images has."""
        return {"forced": metrics.numForcedSources} if metrics.numForcedSources else {}

    @staticmethod
    def _taken_back(metrics: AssociationMetrics) -> dict[str, int]:
        """Return what only the log line of a re-processing has."""
        if not metrics.revision:
            return {}
        return {
            "revision": metrics.revision,
            "withdrawn": metrics.numWithdrawnDiaSources,
            "closed": metrics.numClosedDiaObjects,
        }

    def reject(self, message: InputMessage, error: PoisonError) -> Answer:
        """Return the dead letter that answers a message."""
        self._instruments.count_dead_letter(error.reason)
        log.error("dead letter", reason=error.reason, error=str(error), **asdict(message.position))
        output = dead_letter(
            message,
            error,
            self._dead_letter_topic,
            time_ms=time.time_ns() // 1_000_000,
            max_bytes=self._max_dead_letter_bytes,
        )
        return Answer(message, [output])


def milliseconds(seconds: Mapping[str, float]) -> dict[str, float]:
    """Return durations as a line of the log has them."""
    return {stage: round(1000 * taken, 1) for stage, taken in seconds.items()}
