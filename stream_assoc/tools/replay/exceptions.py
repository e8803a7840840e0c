"""Errors of the replay room."""

from typing import Final

from stream_assoc.exceptions import FatalError

_SHOWN_CHARACTERS: Final = 200


def one_line(error: BaseException) -> str:
    """Return what a library says of damaged bytes as one short line."""
    text = "".join(letter if letter.isprintable() else " " for letter in str(error) or repr(error))
    return " ".join(text.split())[:_SHOWN_CHARACTERS]


class ReplayError(FatalError):
    """A replay that cannot be done as asked."""


class CaptureError(ReplayError):
    """A capture file that is damaged, cut short or not a capture file."""


class ManifestError(ReplayError):
    """A recorded replay that is missing, damaged, or no longer what it was."""


class ReplayInUseError(ReplayError):
    """Another process is carrying out this recorded replay."""
