"""Dead letters without a broker."""

from stream_assoc.core.exceptions import InvalidBatchError
from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import Headers, InputMessage
from stream_assoc.messaging.avro.dead_letters import dead_letter
from stream_assoc.tools.dead_letters.filed import FiledDeadLetter, filed


def letter(
    offset: int,
    value: bytes | None = b"value",
    *,
    reason: str = "unknown_band",
    time_ms: int = 0,
    topic: str = "dia-sources",
    headers: Headers = (("producer", b"simulator"),),
) -> FiledDeadLetter:
    """Return the letter of a message, filed at 1:``offset``."""
    message = InputMessage(InputPosition(topic, 3, offset + 100), 7, b"key", value, headers)
    written = dead_letter(message, InvalidBatchError("why", reason), "dlq", time_ms)
    return filed(InputMessage(InputPosition("dlq", 1, offset), 8, written.key, written.value, written.headers))
