"""Passwords disappear from URLs whatever characters they hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_assoc.settings.secrets import is_sensitive, mask_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///night.db", "sqlite:///night.db"),
        ("sqlite:////var/lib/night.db", "sqlite:////var/lib/night.db"),
        ("redis://cache:6379/0", "redis://cache:6379/0"),
        ("redis://:secret@cache", "redis://:***@cache"),
        ("unix:///run/valkey.sock?db=0&password=secret", "unix:///run/valkey.sock?db=0&password=***"),
        ("postgresql://rubin@db/apdb", "postgresql://rubin@db/apdb"),
        ("postgresql:/rubin:secret@db/apdb", "***"),
        ("not a url", "not a url"),
    ],
)
def test_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert mask_url(url) == shown


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_no_password_survives(password) -> None:
    assert mask_url(f"postgresql://rubin:QQ{password}QQ@db/apdb") == "postgresql://rubin:***@db/apdb"


@pytest.mark.parametrize(
    "key",
    ["sasl.password", "ssl.key.password", "ssl.key.pem", "sasl.oauthbearer.client.secret", "sasl.oauthbearer.config"],
)
def test_options_with_secrets_are_known(key: str) -> None:
    assert is_sensitive(key)


@pytest.mark.parametrize("key", ["sasl.username", "ssl.key.location", "linger.ms", "ssl.ca.location", "client.id"])
def test_other_options_stay_visible(key: str) -> None:
    assert not is_sensitive(key)
