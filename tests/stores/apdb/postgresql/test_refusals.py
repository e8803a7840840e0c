"""A connection that PostgreSQL refuses is told from one that it cannot take now."""

import psycopg
import pytest

from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError
from stream_assoc.stores.apdb.postgresql.connection import translate

AT = 'connection to server at "db" (10.0.0.1), port 5432 failed: '


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ('FATAL:  password authentication failed for user "daemon"', r"apdb\.password"),
        ("fe_sendauth: no password supplied", r"apdb\.password"),
        ('FATAL:  database "apdb" does not exist', r"the database in apdb\.url"),
        ("SSL error: certificate verify failed", r"apdb\.ssl_ca_file"),
        ('server certificate for "other" does not match host name "db"', r"the host in apdb\.url"),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.2", user "daemon", no encryption', r"apdb\.ssl_mode"),
        ("server does not support SSL, but SSL was required", r"apdb\.ssl_mode"),
        ('private key file "key" has group or world access', r"apdb\.ssl_key_file"),
    ],
)
def test_a_refusal_is_fatal_and_names_the_setting(text: str, setting: str) -> None:
    error = translate(psycopg.OperationalError(AT + text))
    assert isinstance(error, ApdbConfigurationError)
    with pytest.raises(ApdbConfigurationError, match=setting):
        raise error


@pytest.mark.parametrize(
    "text", ["Connection refused", "FATAL:  the database system is starting up", "server closed the connection"]
)
def test_an_outage_is_retriable(text: str) -> None:
    assert isinstance(translate(psycopg.OperationalError(AT + text)), ApdbUnavailableError)
