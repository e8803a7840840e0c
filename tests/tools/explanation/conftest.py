"""Services whose clock steps, and explanations of what they stored."""

from pathlib import Path

import pytest

from stream_assoc.settings import Settings
from stream_assoc.stores.apdb.reading.open import open_reader
from stream_assoc.tools.explanation.explain import explain
from stream_assoc.wiring.pipeline import association_algorithms_of
from tests.pipeline.skies import apdb_url, pinned_services
from tests.stores.apdb.reading.nights import cassandra_night, postgresql_night, sqlite_night
from tests.stores.apdb.reading.stored import services_at

__all__ = ["cassandra_night", "postgresql_night", "sqlite_night"]


@pytest.fixture
def services(tmp_path: Path):
    """Services on an APDB without a source."""
    pinned_services(tmp_path).apdb.close()
    made = services_at(apdb_url(tmp_path))
    yield made
    made.apdb.close()


@pytest.fixture
def explained(services, tmp_path: Path):
    """Explain a stored source."""
    reader = open_reader(apdb_url(tmp_path))
    yield lambda identifier: explain(identifier, reader, association_algorithms_of(Settings()).associator)
    reader.close()
