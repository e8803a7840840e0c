"""Settings are frozen, and their secrets are never shown."""

import json

import pytest
from pydantic import ValidationError

from stream_assoc.settings import Settings, load_settings
from tests.configured import configured

SECRETIVE = {
    "redis.url": "redis://:hunter2@cache:6379/0",
    "apdb.url": "postgresql://rubin:hunter2@db/apdb?sslpassword=hunter2",
    "kafka.schema_registry_url": "https://rubin:hunter2@registry",
    "kafka.librdkafka": {"sasl.password": "hunter2", "sasl.username": "rubin", "ssl.key.pem": "hunter2"},
    "kafka.librdkafka_consumer": {"sasl.oauthbearer.client.secret": "hunter2"},
    "kafka.librdkafka_producer": {"ssl.keystore.password": "hunter2"},
}


def test_settings_are_frozen() -> None:
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.kafka = settings.kafka
    with pytest.raises(ValidationError):
        settings.kafka.group_id = "other"


def test_secrets_are_in_no_view() -> None:
    settings = load_settings(overrides=SECRETIVE)
    views = [
        repr(settings),
        str(settings),
        json.dumps(settings.masked()),
        f"{settings.redis.url} {settings.apdb.url!r}",
    ]
    assert [view for view in views if "hunter2" in view] == []


def test_what_is_no_secret_stays_visible() -> None:
    masked = load_settings(overrides=SECRETIVE).masked()
    assert masked["redis"]["url"] == "redis://:***@cache:6379/0"
    assert masked["apdb"]["url"] == "postgresql://rubin:***@db/apdb?sslpassword=***"
    assert masked["kafka"]["librdkafka"]["sasl.username"] == "rubin"


def test_clients_get_the_secrets() -> None:
    settings = load_settings(overrides=SECRETIVE)
    assert settings.redis.url.get_secret_value() == SECRETIVE["redis.url"]
    assert settings.kafka.consumer_options() == {
        "bootstrap.servers": "localhost:9092",
        "sasl.password": "hunter2",
        "sasl.username": "rubin",
        "ssl.key.pem": "hunter2",
        "sasl.oauthbearer.client.secret": "hunter2",
    }
    assert settings.kafka.producer_options()["ssl.keystore.password"] == "hunter2"


def test_transactional_id_is_the_one_set_or_derived_from_the_instance() -> None:
    assert load_settings(overrides={"kafka.transactional_id": "mine"}).kafka.effective_transactional_id == "mine"
    kafka = load_settings(overrides={"kafka.group_instance_id": "node-1"}).kafka
    assert kafka.effective_transactional_id == "stream-assoc.node-1"


def test_derived_transactional_id_is_the_same_after_a_restart() -> None:
    assert Settings().kafka.effective_transactional_id == Settings().kafka.effective_transactional_id


@pytest.mark.parametrize("time", [2_461_002.5, 1.76e9, 0.0, -61_000.0, float("nan"), float("inf")])
def test_a_pinned_clock_is_an_mjd(time: float) -> None:
    with pytest.raises(ValidationError, match="pin_clock_mjd"):
        configured(daemon={"pin_clock_mjd": time})
