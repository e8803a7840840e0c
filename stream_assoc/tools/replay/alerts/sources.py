"""Where alert packets lie: in a file, in the files of a folder, in a capture, on a topic."""

import io
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, cast

from stream_assoc.messaging.kafka.topic_reader import Start
from stream_assoc.settings.kafka import KafkaSettings
from stream_assoc.tools.replay.capture import read_capture
from stream_assoc.tools.replay.exceptions import ReplayError
from stream_assoc.tools.replay.topics import messages_on

SUFFIXES: Final = (".avro", ".avro.gz")
"""Of the files of a folder that are read."""


@dataclass(frozen=True, slots=True)
class AlertTopic:
    """A topic of alerts, from a time to its present end.

    Attributes
    ----------
    kafka : `~stream_assoc.settings.kafka.KafkaSettings`
    topic : `str`
    start : `~stream_assoc.messaging.kafka.topic_reader.Start`
    """

    kafka: KafkaSettings
    topic: str
    start: Start = "beginning"


class Piece(NamedTuple):
    """A file or a message, which holds one alert or more.

    Attributes
    ----------
    name : `str`
        For messages.
    place : `pathlib.Path` or `bytes`
        The file, or the value of the message.
    """

    name: str
    place: Path | bytes

    def open(self) -> BinaryIO:
        """Return its bytes."""
        return io.BytesIO(self.place) if isinstance(self.place, bytes) else cast(BinaryIO, self.place.open("rb"))


def pieces_of(source: Path | AlertTopic) -> Iterator[Piece]:
    """Yield the pieces of a source, in a fixed order.

    Parameters
    ----------
    source : `pathlib.Path` or `AlertTopic`
        A file, or a folder, of which all files below it are read that have one of `SUFFIXES`, by name.

    Raises
    ------
    ReplayError
        If a folder has no such file.
    StreamError
        If the topic cannot be read.
    """
    if isinstance(source, AlertTopic):
        for message in messages_on(source.kafka, source.topic, source.start):
            topic, partition, offset = astuple(message.position)
            yield Piece(f"{topic}[{partition}] offset {offset}", message.value or b"")
    elif source.is_dir():
        for file in files_of(source):
            yield Piece(str(file), file)
    else:
        yield Piece(str(source), source)


def pieces_of_capture(path: Path) -> Iterator[Piece]:
    """Yield the messages of a capture."""
    for number, event in enumerate(read_capture(path)):
        yield Piece(f"message {number} of {path}", event.message.value or b"")


def files_of(folder: Path) -> list[Path]:
    """Return the files of alerts below a folder, by name.

    Raises
    ------
    ReplayError
        If there is none.
    """
    files = sorted(file for file in folder.rglob("*") if file.name.endswith(SUFFIXES) and file.is_file())
    if not files:
        raise ReplayError(f"{folder} holds no alert packets: no file below it ends in {' or '.join(SUFFIXES)}")
    return files
