"""Errors of the APDB that no batch can meet: it is not what it should be, or not configured."""

from stream_assoc.exceptions import FatalError
from stream_assoc.pipeline.exceptions import ApdbError


class ApdbConfigurationError(ApdbError, FatalError):
    """A setting of the APDB is wrong, such as ``apdb.url``."""


class ApdbDamagedError(ApdbError, FatalError):
    """The database says that what it holds is damaged: it must be restored before anything is written."""


class ApdbRolledBackError(ApdbError, FatalError):
    """The database lacks what this process has committed to it: it is an older copy."""


class ApdbSchemaError(ApdbError, FatalError):
    """The database is not an APDB of the schema version this package writes."""
