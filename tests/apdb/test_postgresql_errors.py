"""What PostgreSQL says, as what the daemon can do about it."""

import pytest
from psycopg import errors

from stream_assoc.apdb.exceptions import ApdbDamagedError, ApdbSchemaError, ApdbUnavailableError
from stream_assoc.apdb.postgresql_connection import translate
from stream_assoc.exceptions import FatalError, RetriableError

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
