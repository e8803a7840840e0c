"""What PostgreSQL says, as what the daemon can do about it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import psycopg
import pytest
from psycopg import errors

from stream_assoc.exceptions import FatalError, RetriableError
from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.stores.apdb.create import init, repartition
from stream_assoc.stores.apdb.exceptions import ApdbDamagedError, ApdbSchemaError
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.apdb.postgresql.connection import translate
from stream_assoc.testing.rows import BIG, FIRST, new_objects, store

RETRIABLE = {
    "53100": "free space",
    "53200": "out of memory",
    "53300": "max_connections",
    "53400": "cannot be used now",
    "57P01": "cannot be used now",
    "57P02": "cannot be used now",
    "57P03": "cannot be used now",
    "57P05": "cannot be used now",
    "57014": "cannot be used now",
    "40001": "cannot be used now",
    "40P01": "cannot be used now",
    "08000": "cannot be used now",
    "08003": "cannot be used now",
    "08006": "cannot be used now",
    "08P01": "cannot be used now",
    "25006": "primary",
    "25P03": "cannot be used now",
    "55P03": "apdb.lock_timeout_seconds",
    "58030": "cannot be used now",
}
"""SQLSTATEs that pass, and what the message must hold."""


@pytest.mark.parametrize("code", RETRIABLE)
def test_what_passes_is_retriable_and_says_what_to_do(code: str) -> None:
    translated = translate(errors.lookup(code)("the server's words"))
    assert isinstance(translated, ApdbUnavailableError)
    assert isinstance(translated, RetriableError)
    assert "the server's words" in str(translated)
    assert RETRIABLE[code] in str(translated)


@pytest.mark.parametrize("code", ["42P01", "42703", "42501", "3F000"])
def test_what_is_missing_or_forbidden_is_fatal(code: str) -> None:
    assert isinstance(translate(errors.lookup(code)("no")), ApdbSchemaError)


@pytest.mark.parametrize("code", ["XX001", "XX002"])
def test_damage_is_fatal(code: str) -> None:
    translated = translate(errors.lookup(code)("invalid page"))
    assert isinstance(translated, ApdbDamagedError)
    assert isinstance(translated, FatalError)


@dataclass
class Told:
    """A connection, of which only what the server told of itself is asked."""

    status: dict[str, str]
    closed: bool = False

    @property
    def info(self) -> "Told":
        return self

    def parameter_status(self, name: str) -> str | None:
        return self.status.get(name)


@pytest.mark.parametrize(
    ("status", "standby", "default"),
    [
        ({"in_hot_standby": "on", "default_transaction_read_only": "off"}, True, False),
        ({"in_hot_standby": "on", "default_transaction_read_only": "on"}, True, False),
        ({"in_hot_standby": "off", "default_transaction_read_only": "on"}, False, True),
        ({}, True, True),
    ],
)
def test_why_a_server_takes_no_writes_is_told(status: dict[str, str], standby: bool, default: bool) -> None:
    connection = cast("psycopg.Connection[Any]", Told(status))
    text = str(translate(errors.lookup("25006")("cannot execute INSERT in a read-only transaction"), connection))
    assert ("standby" in text) is standby
    assert ("default_transaction_read_only" in text) is default


@pytest.fixture
def read_only_url(postgresql_apdb_url: str) -> Iterator[str]:
    """URL of an APDB on a primary whose transactions are read-only by default."""
    with psycopg.connect(postgresql_apdb_url, autocommit=True) as server:
        server.execute(f"ALTER DATABASE {server.info.dbname} SET default_transaction_read_only = on".encode())
        yield postgresql_apdb_url
        server.execute(f"ALTER DATABASE {server.info.dbname} RESET default_transaction_read_only".encode())


@pytest.mark.integration
def test_a_primary_that_is_read_only_by_default_is_no_standby(read_only_url: str) -> None:
    apdb = open_apdb(read_only_url)
    with pytest.raises(ApdbUnavailableError, match="default_transaction_read_only is on") as caught:
        store(apdb, new_objects(FIRST, [BIG]))
    assert "standby" not in str(caught.value)
    apdb.close()


@pytest.mark.integration
def test_it_is_not_written_to_by_a_change_of_tables_either(read_only_url: str) -> None:
    before = init(read_only_url)
    with pytest.raises(ApdbUnavailableError, match="default_transaction_read_only is on"):
        repartition(read_only_url, tile_level=9, cell_level=7)
    assert init(read_only_url) == before
