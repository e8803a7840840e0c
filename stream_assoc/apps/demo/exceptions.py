"""Errors of the demo."""

from stream_assoc.exceptions import StreamAssocError


class DemoError(StreamAssocError):
    """The demo could not be carried through, or its totals are wrong."""
