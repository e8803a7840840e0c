"""Errors of the task facades."""

from stream_assoc.exceptions import FatalError, StreamAssocError


class TaskError(StreamAssocError):
    """Base of the errors that the tasks raise for wrong use."""


class CatalogError(TaskError, FatalError):
    """A catalogue is not what a task takes."""


class MissingColumnError(CatalogError, KeyError):
    """A catalogue lacks a column that a task's configuration names; a `KeyError`, as upstream's."""

    def __str__(self) -> str:
        # A KeyError shows the repr of its message.
        return str(self.args[0])


class ExposureError(TaskError, FatalError):
    """The description of an exposure makes no sense."""


class FlagMapError(TaskError, FatalError, ValueError):
    """A flag map cannot be read, contradicts itself, or lacks what is asked of it; a `ValueError`, as upstream's."""


class TaskConfigError(TaskError, FatalError):
    """A task cannot work as it is configured."""


class VisitProcessedError(TaskError, FatalError):
    """The visit and detector have been processed before; nothing was changed."""
