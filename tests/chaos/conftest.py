"""Deployments for a night that is interrupted, and what the same night comes to when it is not."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from stream_assoc.tools.embedded.kafka import EmbeddedKafka
from tests.chaos.nights import Night, night_on
from tests.chaos.outcome import Outcome
from tests.services import ServiceUnavailableError, kafka_jars, new_database


@pytest.fixture(params=["postgresql", "sqlite", "cassandra"])
def make_night(
    request: pytest.FixtureRequest, kafka_bootstrap: str, valkey_url: str, tmp_path: Path
) -> Iterator[Callable[[], Night]]:
    """Make nights, each with topics, keys and an APDB of its own."""
    numbers = itertools.count(1)
    with ExitStack() as stack:

        def make() -> Night:
            folder = tmp_path / f"night-{next(numbers)}"
            folder.mkdir()
            if request.param == "sqlite":
                url = f"sqlite:///{folder / 'apdb.sqlite3'}"
            elif request.param == "cassandra":
                url = request.getfixturevalue("prepared_apdb").emptied()
            else:
                url = stack.enter_context(new_database(request.getfixturevalue("postgresql_url")))
            return night_on(kafka_bootstrap, valkey_url, url, folder)

        yield make


@pytest.fixture
def interrupted(make_night: Callable[[], Night]) -> Night:
    return make_night()


@pytest.fixture
def broker() -> Iterator[EmbeddedKafka]:
    """A Kafka of the test's own."""
    try:
        jars = kafka_jars()
    except ServiceUnavailableError as error:
        pytest.skip(str(error))
    with EmbeddedKafka(jars) as broker:
        yield broker


@pytest.fixture(scope="session")
def expected(kafka_bootstrap: str, valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What one daemon makes of the night when nothing happens to it."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    night = night_on(kafka_bootstrap, valkey_url, f"sqlite:///{folder / 'apdb.sqlite3'}", folder)
    night.finish()
    return night.outcome()
