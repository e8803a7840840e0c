"""Notes, in the topic of dead letters itself, of the letters that were sent again."""

from stream_assoc.core.model.messages import InputMessage, OutputMessage
from stream_assoc.messaging.avro.dead_letters import SENT_AGAIN_HEADER, is_note
from stream_assoc.tools.dead_letters.filed import Address

_TIME_HEADER = f"{SENT_AGAIN_HEADER}_time"


def note_of(address: Address, topic: str, time_ms: int) -> OutputMessage:
    """Return the note that the letter at an address was sent again.

    It has no value; two headers say which letter, and when.

    Parameters
    ----------
    address : `Address`
    topic : `str`
        Topic of the dead letters.
    time_ms : `int`
        Now, milliseconds since 1970 UTC.
    """
    headers = ((SENT_AGAIN_HEADER, str(address).encode()), (_TIME_HEADER, str(time_ms).encode()))
    return OutputMessage(topic, None, None, headers)


def read_note(message: InputMessage) -> tuple[Address, int] | None:
    """Return which letter a note is about and when it was sent again; `None` for what is no note, or a broken one."""
    if not is_note(message.headers):
        return None
    headers = dict(message.headers)
    try:
        address = Address.parse((headers[SENT_AGAIN_HEADER] or b"").decode())
        return address, int((headers.get(_TIME_HEADER) or b"").decode())
    except ValueError:
        return None
