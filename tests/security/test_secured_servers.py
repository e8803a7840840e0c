"""Over TLS, as users with the least permissions: a night is processed, and whoever is refused is told why."""

import dataclasses
import traceback
from typing import Any

import pytest
from prometheus_client import generate_latest

from stream_assoc.exceptions import RetriableError, StreamAssocError
from stream_assoc.messaging.kafka import topics as kafka_topics
from stream_assoc.messaging.kafka.errors import KafkaConfigurationError
from stream_assoc.service.daemon.process import StopRequest
from stream_assoc.service.instruments import Instruments
from stream_assoc.settings import Settings
from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError
from stream_assoc.stores.cache.exceptions import CacheConfigurationError, CacheUnavailableError
from stream_assoc.wiring.daemon import open_daemon
from tests.contents import LEDGER, columns
from tests.pipeline.skies import night
from tests.security.certificates import Authority
from tests.security.conftest import PASSWORD, Secured

pytestmark = pytest.mark.integration


def test_a_night_over_tls_with_least_permissions(secured: Secured) -> None:
    batches = night()
    administrator = secured.administrator()
    administrator.send(batches[:-2])
    deployment = dataclasses.replace(administrator, settings=Settings(**secured.sections()))
    deployment.process_everything()

    # The last two come as a client with a certificate instead of a password.
    certified: dict[str, Any] = {
        "bootstrap_servers": secured.kafka.ssl,
        "security_protocol": "SSL",
        "sasl_mechanism": None,
        "sasl_username": None,
        "sasl_password": None,
        "ssl_certificate_file": secured.client.certificate,
        "ssl_key_file": secured.client.key,
    }
    administrator.send(batches[-2:])
    settings = Settings(**secured.sections(kafka=certified))
    dataclasses.replace(administrator, settings=settings).process_everything()

    assert sorted((one.visit, one.detector) for one in administrator.metrics()) == sorted(one.id for one in batches)
    assert administrator.dead_letters() == []
    assert sorted(columns(settings.apdb.connection_url(), LEDGER, "visit", "detector")) == sorted(
        one.id for one in batches
    )


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"apdb": {"password": "wrong"}}, ApdbConfigurationError, "check the user in apdb.url and apdb.password"),
        ({"apdb": {"ssl_ca_file": "STRANGER"}}, ApdbConfigurationError, "set apdb.ssl_ca_file to the authority"),
        (
            {"apdb": {"ssl_mode": "disable", "ssl_ca_file": None}},
            ApdbConfigurationError,
            "check apdb.ssl_mode: verify-full encrypts",
        ),
        ({"redis": {"password": "wrong"}}, CacheConfigurationError, "(or redis.username and redis.password)"),
        ({"redis": {"prefix": "other"}}, CacheConfigurationError, "on the keys of redis.prefix"),
        ({"redis": {"ssl_ca_file": "STRANGER"}}, CacheConfigurationError, "set redis.ssl_ca_file to the authority"),
        (
            {"redis": {"ssl_certificate_file": None, "ssl_key_file": None}},
            CacheUnavailableError,
            "redis.ssl_certificate_file and redis.ssl_key_file",
        ),
        (
            {
                "redis": {
                    "url": "PLAIN",
                    "ssl_ca_file": None,
                    "ssl_certificate_file": None,
                    "ssl_key_file": None,
                }
            },
            CacheUnavailableError,
            "does it speak TLS where redis.url says so?",
        ),
        ({"kafka": {"sasl_password": "wrong"}}, KafkaConfigurationError, "sasl_username and sasl_password"),
        ({"kafka": {"ssl_ca_file": "STRANGER"}}, KafkaConfigurationError, "check kafka.security_protocol"),
    ],
)
def test_who_is_refused_is_told_why(
    secured: Secured,
    tmp_path_factory: pytest.TempPathFactory,
    changes: dict[str, dict[str, object]],
    error: type[StreamAssocError],
    words: str,
) -> None:
    stranger = Authority.in_folder(tmp_path_factory.mktemp("stranger") / "authority")
    special = {"STRANGER": stranger.file, "PLAIN": f"redis://localhost:{secured.redis_port}/0"}
    changes = {
        section: {name: special.get(str(value), value) for name, value in settings.items()}
        for section, settings in changes.items()
    }
    settings = Settings(**secured.sections(**changes))
    instruments = Instruments()
    with pytest.raises(error) as caught, open_daemon(settings, instruments, StopRequest(1.0)):
        pass
    assert words in str(caught.value)
    told = "".join(traceback.format_exception(caught.value)) + generate_latest(instruments.registry).decode()
    assert PASSWORD not in told
    assert "hunter2" not in told


def test_plain_text_to_a_port_of_tls_is_an_outage_that_names_the_setting(
    secured: Secured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_topics, "REQUEST_TIMEOUT_SECONDS", 3.0)
    kafka: dict[str, Any] = {
        "security_protocol": "PLAINTEXT",
        "sasl_mechanism": None,
        "sasl_username": None,
        "sasl_password": None,
    }
    settings = Settings(**secured.sections(kafka={**kafka, "ssl_ca_file": None}))
    with pytest.raises(RetriableError, match=r"kafka\.security_protocol"):
        kafka_topics.ensure_topics(settings.kafka)
