"""The root of every error this package raises, and the three kinds of failure.

Each room keeps its own ``exceptions.py``. Whatever its room, an error that can
reach the daemon derives from exactly one of the three kinds below, because the
kind, not the room, decides what happens to the batch in hand:

========== ======================================================= ====================
kind       meaning                                                 the daemon
========== ======================================================= ====================
retriable  a server is away or busy; the same call may yet succeed pauses, backs off, retries
poison     this message can never be processed                     dead-letters it, goes on
fatal      nothing will work until someone changes something       stops with one line
========== ======================================================= ====================
"""


class StreamAssocError(Exception):
    """Base of all errors of this package."""


class RetriableError(StreamAssocError):
    """A service is away or busy: the same call may succeed later."""


class PoisonError(StreamAssocError):
    """The message in hand can never be processed; others are not affected.

    Attributes
    ----------
    reason : `str`
        Short machine-readable name of the cause, the label of dead-letter
        headers and metrics. Each subclass sets its own.
    """

    reason = "invalid"


class FatalError(StreamAssocError):
    """Nothing can be processed until the configuration or a service changes."""


def reason_of(error: BaseException) -> str:
    """Return what an error of another library says, as a clause of one of our sentences.

    It is one line without a stop at its end, because our own words follow. An
    error of a file or a socket is told without its number and its path, which
    our message names itself.
    """
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()).rstrip(".;: ") or type(error).__name__
