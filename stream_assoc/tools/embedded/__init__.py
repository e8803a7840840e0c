"""Local services that start and stop with the program: for trying things out, and for tests.

None of them is meant to hold a survey's data. Each is a context manager that
leaves no process behind, whatever ends the program.
"""

from stream_assoc.tools.embedded.kafka import EmbeddedKafka, MockKafka
from stream_assoc.tools.embedded.postgresql import EmbeddedPostgresql
from stream_assoc.tools.embedded.process import EmbeddedServiceError, MissingExtraError
from stream_assoc.tools.embedded.valkey import EmbeddedValkey

__all__ = [
    "EmbeddedKafka",
    "EmbeddedPostgresql",
    "EmbeddedServiceError",
    "EmbeddedValkey",
    "MissingExtraError",
    "MockKafka",
]
