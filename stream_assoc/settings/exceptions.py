"""Errors of the settings."""

from stream_assoc.exceptions import FatalError


class ConfigurationError(FatalError):
    """A setting is unknown, ill-formed or contradicts another.

    The message is one line a setting at fault, each naming the setting, where
    its value came from and what a valid value looks like. It never holds a
    secret.
    """
