"""The root of every error this package raises, and the three kinds of failure.

Each package has its own ``exceptions.py``. An error that can reach the daemon
derives from exactly one of the three kinds below, because the kind decides what
happens to the current batch:

========== ======================================================= ====================
kind       meaning                                                 the daemon
========== ======================================================= ====================
retriable  a server is away or busy; a retry may succeed           pauses, backs off, retries
poison     this message can never be processed                     makes it a dead letter
fatal      nothing will work until someone changes something       stops with one line
========== ======================================================= ====================
"""


class StreamAssocError(Exception):
    """Base of all errors of this package."""


class RetriableError(StreamAssocError):
    """A service is away or busy: the same call may succeed later."""


class PoisonError(StreamAssocError):
    """A message can never be processed; others are not affected.

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
    """Return the text of another library's error as a clause of one of our sentences.

    It is one line without a full stop, because our own text follows. The number
    and path of a file's or socket's error are left out: our message names them.
    """
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()).rstrip(".;: ") or type(error).__name__
