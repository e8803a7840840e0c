"""Local services that start and stop with the program: for trying things out, and for tests.

None of them is meant to hold a survey's data. Each is a context manager that
leaves no process behind, whatever ends the program.
"""

from stream_assoc.embedded.exceptions import EmbeddedServiceError, MissingExtraError
from stream_assoc.embedded.kafka import EmbeddedKafka
from stream_assoc.embedded.mock_kafka import MockKafka
from stream_assoc.embedded.postgresql import EmbeddedPostgresql
from stream_assoc.embedded.valkey import EmbeddedValkey

__all__ = [
    "EmbeddedKafka",
    "EmbeddedPostgresql",
    "EmbeddedServiceError",
    "EmbeddedValkey",
    "MissingExtraError",
    "MockKafka",
]
