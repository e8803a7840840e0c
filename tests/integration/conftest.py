"""A deployment on the real servers of the session, for each test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.deployment import Deployment, deploy
from tests.integration.ppdb import Programs, programs


@pytest.fixture
def deployed(kafka_bootstrap: str, valkey_url: str, postgresql_database: str) -> Callable[..., Deployment]:
    """Make a deployment on Kafka, Valkey and PostgreSQL."""

    def make(**sections: dict[str, object]) -> Deployment:
        return deploy(kafka_bootstrap, valkey_url, postgresql_database, **sections)

    return make


@pytest.fixture
def deployed_on_sqlite(kafka_bootstrap: str, valkey_url: str, tmp_path: Path) -> Callable[..., Deployment]:
    """Make a deployment on Kafka, Valkey and SQLite."""

    def make(**sections: dict[str, object]) -> Deployment:
        return deploy(kafka_bootstrap, valkey_url, f"sqlite:///{tmp_path / 'apdb.sqlite3'}", **sections)

    return make


@pytest.fixture(scope="module")
def ppdb_programs() -> Iterator[Programs]:
    """Start the programs of lsst-dax-ppdb."""
    with programs() as started:
        yield started
