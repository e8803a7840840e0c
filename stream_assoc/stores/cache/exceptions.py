"""Errors of the object cache."""

from stream_assoc.exceptions import FatalError, RetriableError, StreamAssocError


class CacheError(StreamAssocError):
    """Base of all errors of the cache adapters."""


class CacheUnavailableError(CacheError, RetriableError):
    """The cache server cannot be reached or refuses to answer for now."""


class CacheWritesRefusedError(CacheUnavailableError):
    """The cache server answers, but takes no writes for now: what it lacks is rebuilt from the APDB."""


class CacheConfigurationError(CacheError, FatalError):
    """The cache server refuses what this package needs: credentials, commands, memory policy."""
