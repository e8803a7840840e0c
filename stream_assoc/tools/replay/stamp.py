"""The headers of a recorded replay: which run and step a message is, and when it was due.

They travel with the message, so that what arrived can be compared with what
was meant, and latency counts from when a message was due, not from when a
slow producer got round to sending it.
"""

from typing import Final, NamedTuple

from stream_assoc.core.model.messages import Headers, OutputMessage

RUN_HEADER: Final = "replay.run"
STEP_HEADER: Final = "replay.step"
DUE_HEADER: Final = "replay.due"


class Stamp(NamedTuple):
    """What the headers say.

    Attributes
    ----------
    run : `str`
        Name of the run.
    step : `int`
        Number of the step, 0 first; dropped messages are counted too.
    due : `float`
        When the message was due, seconds since 1970 UTC.
    """

    run: str
    step: int
    due: float


def stamped(message: OutputMessage, stamp: Stamp) -> OutputMessage:
    """Return a message with a stamp, in the place of any it had."""
    headers = (
        *unstamped_headers(message.headers),
        (RUN_HEADER, stamp.run.encode()),
        (STEP_HEADER, str(stamp.step).encode()),
        (DUE_HEADER, f"{stamp.due:.6f}".encode()),
    )
    return message._replace(headers=headers)


def stamp_of(headers: Headers) -> Stamp | None:
    """Return the stamp of a message that was read; `None` where there is none, or one that cannot be."""
    found = dict(headers)
    try:
        return Stamp(found[RUN_HEADER].decode(), int(found[STEP_HEADER]), float(found[DUE_HEADER]))
    except (KeyError, ValueError):
        return None


def unstamped_headers(headers: Headers) -> Headers:
    """Return the headers that a message had before it was replayed."""
    return tuple((name, value) for name, value in headers if name not in (RUN_HEADER, STEP_HEADER, DUE_HEADER))
