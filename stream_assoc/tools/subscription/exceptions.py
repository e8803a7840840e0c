"""Errors of subscriptions."""

from stream_assoc.exceptions import FatalError


class SubscriptionError(FatalError):
    """A subscription that cannot be had as asked."""
