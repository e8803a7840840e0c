"""Errors of the object cache."""

from stream_assoc.exceptions import FatalError, RetriableError, StreamAssocError


class CacheError(StreamAssocError):
    """Base of all errors of the cache adapters."""


class CacheUnavailableError(CacheError, RetriableError):
    """The cache server cannot be reached, or does not answer now."""


class CacheWritesRefusedError(CacheUnavailableError):
    """The cache server answers, but accepts no writes now. What it lacks is rebuilt from the APDB."""


class CacheConfigurationError(CacheError, FatalError):
    """The cache server refuses the credentials, or a command that this package needs."""
