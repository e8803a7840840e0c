"""Finding the message that kills daemons, so that it kills no more of them.

When a process is killed while it processes a message, by a segmentation fault,
by the kernel for want of memory or by an unforeseen error, it has no time to
report which message it was. So a daemon notes in the APDB the messages that it
begins. A note is never removed: it has no meaning once the group's offset is
beyond it. Messages that a daemon finds noted when it first reads their
partition were being processed when another daemon died or gave up:

* after one death, each of them is processed alone, so that a further death
  identifies the message that caused it;
* a message that was alone at a second death is tried in a process of its own
  (`Trial`). If it ends that too, it becomes a dead letter, and the messages
  behind it in the micro-batch are tried as well: if this process died, it would
  lose its verdict, which nobody else knows before it is published.

Only the last step condemns a message. Operators, a failing machine and tests
may kill daemons as often as they like: a harmless message passes its trial.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from stream_assoc.core.model.messages import InputMessage
from stream_assoc.exceptions import PoisonError
from stream_assoc.failpoints import failpoint
from stream_assoc.pipeline.ports.in_hand import InHand, InHandNotes
from stream_assoc.service.daemon.handler import Answer
from stream_assoc.service.exceptions import EndsProcessError

log = structlog.get_logger(__name__)

Partition = tuple[str, int]


class Handler(Protocol):
    """Answers messages; see `~stream_assoc.service.daemon.handler.MessageHandler`."""

    def answer(self, messages: Sequence[InputMessage]) -> list[Answer]:
        """Process these messages together and return the answer to each, in order."""

    def finish(self, seconds: Mapping[str, float]) -> None:
        """Observe the steps of a micro-batch that is published, seconds, and write its changes to the cache."""


class RejectingHandler(Handler, Protocol):
    """A handler that can also reject a message."""

    def reject(self, message: InputMessage, error: PoisonError) -> Answer:
        """Return the dead letter that answers a message."""


class Trial(Protocol):
    """Tries messages out where they can do no harm."""

    def __call__(self, messages: Sequence[InputMessage]) -> "Tried":
        """Take messages, one after the other, all the way to the APDB in a process of its own.

        Raises
        ------
        RetriableError
            If a service was away, so that nothing is known.
        """


@dataclass(frozen=True, slots=True)
class Tried:
    """The result of trying messages out.

    Attributes
    ----------
    n_done : `int`
        How many of them, from the first, are in the ledger.
    end : `str` or `None`
        How the process ended while it processed the next one. `None` if all are done, or the process could not work.
    """

    n_done: int
    end: str | None = None


class WatchedHandler:
    """A handler that notes which messages it processes, and isolates those that were being processed at a death.

    Parameters
    ----------
    handler : `RejectingHandler`
        Does the work.
    notes : `InHandNotes`
        Where notes are kept.
    trial : `Trial`
        Tries out a message that may end the process.
    """

    def __init__(self, handler: RejectingHandler, notes: InHandNotes, trial: Trial) -> None:
        self._handler = handler
        self._notes = notes
        self._trial = trial
        self._suspects: dict[Partition, InHand | None] = {}

    def answer(self, messages: Sequence[InputMessage]) -> list[Answer]:
        """Process these messages and return the answer to each, in order; see `MessageHandler.answer`."""
        self._look_up(messages)
        answers: list[Answer] = []
        for run in self._runs(messages):
            if self._was_alone(run[0]):
                place = f"{run[0].position.topic}[{run[0].position.partition}]@{run[0].position.offset}"
                log.warning("message tried out", message=place)
                tried = self._trial(run)
                if tried.end is not None:
                    return answers + self._answer_by_trial(messages[len(answers) :], tried)
                # What it led to is found in the ledger.
            answers += self._answer(run)
        return answers

    def finish(self, seconds: Mapping[str, float]) -> None:
        """Finish a micro-batch that is published; see `MessageHandler.finish`."""
        self._handler.finish(seconds)

    def _look_up(self, messages: Sequence[InputMessage]) -> None:
        """Read what was noted of partitions that are met for the first time."""
        unknown = [one for one in dict.fromkeys(map(_partition, messages)) if one not in self._suspects]
        if not unknown:
            return
        noted = {(note.topic, note.partition): note for note in self._notes.in_hand(unknown)}
        self._suspects |= {partition: noted.get(partition) for partition in unknown}
        if suspects := [message.position for message in messages if self._is_suspect(message)]:
            log.warning(
                "messages taken one at a time",
                suspects=len(suspects),
                first=f"{suspects[0].topic}[{suspects[0].partition}]@{suspects[0].offset}",
            )

    def _is_suspect(self, message: InputMessage) -> bool:
        note = self._suspects[_partition(message)]
        return note is not None and note.first_offset <= message.position.offset <= note.last_offset

    def _was_alone(self, message: InputMessage) -> bool:
        note = self._suspects[_partition(message)]
        return note is not None and note.is_suspect and self._is_suspect(message)

    def _runs(self, messages: Sequence[InputMessage]) -> Iterator[list[InputMessage]]:
        """Divide messages, in order, into what may be taken together: each suspect is alone."""
        for is_suspect, run in itertools.groupby(messages, key=self._is_suspect):
            together = list(run)
            yield from ([one] for one in together) if is_suspect else [together]

    def _answer(self, messages: Sequence[InputMessage]) -> list[Answer]:
        self._notes.note_in_hand(list(_notes_of(messages, is_suspect=self._is_suspect(messages[0]))))
        failpoint("after-note")
        return self._handler.answer(messages)

    def _answer_by_trial(self, messages: Sequence[InputMessage], tried: Tried) -> list[Answer]:
        """Answer messages of which the first has ended its trial, and take none up before it has passed one.

        What is noted stays as it is: if this process dies meanwhile, the next one begins with the same trial.
        """
        answers: list[Answer] = []
        while True:
            done, left = messages[: tried.n_done], messages[tried.n_done :]
            answers += self._handler.answer(done) if done else []
            if not left:
                return answers
            if tried.end is None:
                return answers + self._handler.answer(left)
            answers.append(self._handler.reject(left[0], _ends_process(tried.end)))
            messages = left[1:]
            tried = self._trial(messages) if messages else Tried(0)


def _ends_process(end: str) -> EndsProcessError:
    return EndsProcessError(
        "two daemons died while they processed this message, or one before it, and it ended a process of its own: "
        f"{end}. Check its use of memory and of native code, such as a statistics plugin's; once the cause is fixed, "
        "send it again with `stream-assoc dlq replay`"
    )


def _partition(message: InputMessage) -> Partition:
    return message.position.topic, message.position.partition


def _notes_of(messages: Sequence[InputMessage], *, is_suspect: bool) -> Iterator[InHand]:
    by_partition = sorted(messages, key=_partition)
    for partition, run in itertools.groupby(by_partition, key=_partition):
        offsets = [message.position.offset for message in run]
        yield InHand(*partition, min(offsets), max(offsets), is_suspect)
