"""Dead letters without a broker."""

from stream_assoc.dead_letter_office.letters import FiledLetter, filed
from stream_assoc.model.changes import InputPosition
from stream_assoc.model.exceptions import InvalidBatchError
from stream_assoc.stream.dead_letters import dead_letter
from stream_assoc.stream.messages import Headers, InputMessage


def letter(
    offset: int,
    value: bytes | None = b"value",
    *,
    reason: str = "unknown_band",
    time_ms: int = 0,
    topic: str = "dia-sources",
    headers: Headers = (("producer", b"simulator"),),
) -> FiledLetter:
    """Return the letter of a message, filed at 1:``offset``."""
    message = InputMessage(InputPosition(topic, 3, offset + 100), 7, b"key", value, headers)
    written = dead_letter(message, InvalidBatchError("why", reason), "dlq", time_ms)
    return filed(InputMessage(InputPosition("dlq", 1, offset), 8, written.key, written.value, written.headers))
