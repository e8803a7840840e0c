"""Over TLS, as users with the least permissions: a night is processed, and whoever is refused is told why."""

import contextlib
import dataclasses
import traceback
from collections.abc import Sequence
from typing import Any, Final

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from prometheus_client import generate_latest

from stream_assoc.core.model.batch import Batch
from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.exceptions import RetriableError, StreamAssocError
from stream_assoc.messaging.avro.batch_encoder import BatchEncoder
from stream_assoc.messaging.avro.schemas import BATCH, load_schema
from stream_assoc.messaging.exceptions import RegistryConfigurationError
from stream_assoc.messaging.kafka import topics as kafka_topics
from stream_assoc.messaging.kafka.errors import KafkaConfigurationError
from stream_assoc.service.daemon.process import StopRequest
from stream_assoc.service.instruments import Instruments
from stream_assoc.settings import Settings
from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError
from stream_assoc.stores.cache.exceptions import CacheConfigurationError, CacheUnavailableError
from stream_assoc.wiring.daemon import open_daemon
from tests.contents import LEDGER, columns
from tests.integration.deployment import of_a_start
from tests.pipeline.skies import night
from tests.security.certificates import Authority
from tests.security.conftest import AUTOSCALER, PASSWORD, Secured

pytestmark = pytest.mark.integration

N_OUTPUT_SCHEMAS: Final = 3
"""Of objects, forced sources and metrics."""


def test_a_night_over_tls_with_least_permissions(secured: Secured) -> None:
    """Every part at once: Kafka with SCRAM, the Schema Registry, PostgreSQL with SCRAM, Valkey with a certificate."""
    batches = night()
    administrator = secured.administrator()
    encoder = BatchEncoder(secured.registry.register("dia-sources-value", load_schema(BATCH)))

    def send(some: Sequence[Batch]) -> None:
        topic = administrator.settings.kafka.input_topic
        administrator.send_raw([OutputMessage(topic, None, encoder.encode(one)) for one in some])

    send(batches[:-2])
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
    send(batches[-2:])
    settings = Settings(**secured.sections(kafka=certified))
    dataclasses.replace(administrator, settings=settings).process_everything()

    assert sorted((one.visit, one.detector) for one in administrator.metrics()) == sorted(one.id for one in batches)
    assert administrator.dead_letters() == []
    assert sorted(columns(settings.apdb.connection_url(), LEDGER, "visit", "detector")) == sorted(
        one.id for one in batches
    )
    # The producer's schema, and those of the outputs, which the daemon has registered.
    assert len(secured.registry.schemas) == 1 + N_OUTPUT_SCHEMAS
    assert secured.registry.n_refused == 0


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
        (
            {"kafka": {"schema_registry_password": "wrong"}},
            RegistryConfigurationError,
            "check kafka.schema_registry_url",
        ),
        (
            {"kafka": {"schema_registry_ca_file": "STRANGER"}},
            RegistryConfigurationError,
            "set kafka.schema_registry_ca_file",
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


def test_the_autoscaler_may_ask_how_far_the_group_is_behind_and_nothing_else(secured: Secured) -> None:
    kafka = Settings(**secured.sections(kafka={"sasl_username": AUTOSCALER})).kafka
    client = AdminClient(kafka.client_options())
    partition = TopicPartition(kafka.input_topic, 0)

    def answers() -> bool:
        asked = [ConsumerGroupTopicPartitions(kafka.group_id, [partition])]
        try:
            (committed,) = client.list_consumer_group_offsets(asked)[kafka.group_id].result(10.0).topic_partitions
        except KafkaException as error:
            if not of_a_start(error):
                raise
            return False
        assert committed.error is None
        return True

    secured.administrator().wait_until(answers)
    with contextlib.closing(Consumer({**kafka.client_options(), "group.id": kafka.group_id})) as consumer:
        assert consumer.get_watermark_offsets(partition, timeout=10.0) is not None
    with pytest.raises(KafkaException, match="TOPIC_AUTHORIZATION_FAILED"):
        client.delete_records([TopicPartition(kafka.input_topic, 0, 1)])[partition].result(10.0)


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
