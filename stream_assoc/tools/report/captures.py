"""Records of a capture of an output topic, as a subscription would give them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import InputMessage
from stream_assoc.tools.replay.capture import read_capture
from stream_assoc.tools.subscription.decoding import Decoder
from stream_assoc.tools.subscription.records import BadMessage

Record = TypeVar("Record")


def records_of_capture(
    path: Path, decoder: Decoder[Record | None], on_bad: Callable[[BadMessage], None]
) -> Iterator[Record]:
    """Yield the records of a capture file; messages that are none are told and passed over.

    Parameters
    ----------
    path : `pathlib.Path`
        A capture of an output topic.
    decoder : `~stream_assoc.tools.subscription.decoding.Decoder`
        Of that topic.
    on_bad : callable
        Told of each message that cannot be read; its offset is its number in
        the file.

    Raises
    ------
    CaptureError
        If the file is damaged, or no capture.
    """
    for number, event in enumerate(read_capture(path)):
        message = event.message
        position = InputPosition(message.topic, 0, number)
        (record,) = decoder.decode([InputMessage(position, -1, message.key, message.value, message.headers)])
        if isinstance(record, BadMessage):
            on_bad(record)
        elif record is not None:
            yield record
