"""Under which key messages are sent: what shares a key shares a partition, and is processed one after the other."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Literal, TypeAlias

from stream_assoc.messaging.avro.batch_header import batch_prefix
from stream_assoc.messaging.avro.wire import WriterSchemas
from stream_assoc.messaging.exceptions import DecodeError
from stream_assoc.tools.replay.exceptions import ReplayError
from stream_assoc.tools.replay.steps import Step

Keying: TypeAlias = Literal["file", "detector", "visit", "none"]
"""As in the file (by default a coarse piece of sky), one each visit and detector, one each visit, or no key."""


def keyed(steps: Iterable[Step], keying: Keying, schemas: WriterSchemas | None = None) -> Iterator[Step]:
    """Give messages other keys.

    With ``"detector"`` the overlapping detectors of a visit meet in different
    partitions, so that several daemons work on them at the same time.

    Raises
    ------
    ReplayError
        If a message is no batch.
    """
    if keying == "file":
        return iter(steps)
    return (replace(step, message=step.message._replace(key=_key(step, keying, schemas))) for step in steps)


def _key(step: Step, keying: Keying, schemas: WriterSchemas | None) -> bytes | None:
    if keying == "none":
        return None
    try:
        visit, detector = batch_prefix(step.message.value, schemas).id
    except DecodeError as error:
        raise ReplayError(f"message {step.position} has no visit to be keyed by: {error}; use --key file") from error
    return f"{visit}".encode() if keying == "visit" else f"{visit}.{detector}".encode()
