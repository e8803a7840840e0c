"""One session of secured servers, and a daemon's accounts on them with the least permissions it needs."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from stream_assoc.messaging.kafka.topics import ensure_topics
from stream_assoc.settings import Settings
from stream_assoc.settings.kafka import KafkaSettings
from stream_assoc.stores.apdb.create import init
from stream_assoc.tools.embedded.valkey import EmbeddedValkey
from tests.integration.deployment import Deployment
from tests.manifests import acl_rules
from tests.security.certificates import Authority, Certificate
from tests.security.registry import SecuredRegistry
from tests.security.servers import HOST, SecuredKafka, SecuredPostgresql, tls_front
from tests.services import ServiceUnavailableError

PASSWORD = "hunter2:/?#[]@!%41 +&=é"
"""With everything in it that a URL gives a meaning to."""

DAEMON, ADMINISTRATOR, AUTOSCALER = "stream-assoc-daemon", "stream-assoc-administrator", "stream-assoc-autoscaler"
"""The users of Kafka that the Kubernetes manifests have, with what these allow them."""

PREFIX = "night"
REDIS_RULES = ("on", "resetkeys", f"~{PREFIX}:*", "resetchannels", "-@all", "+mget", "+mset", "+ping", "+info")
GRANTS = (
    "REVOKE ALL ON DATABASE apdb FROM PUBLIC",
    "GRANT CONNECT, TEMPORARY ON DATABASE apdb TO stream_assoc",
)
TABLE_GRANTS = (
    "GRANT USAGE ON SCHEMA public TO stream_assoc",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO stream_assoc",
    "REVOKE INSERT, UPDATE, DELETE ON metadata FROM stream_assoc",
)


@dataclass(frozen=True, slots=True)
class Secured:
    """The servers, and what clients need to be let in."""

    authority: Authority
    client: Certificate
    kafka: SecuredKafka
    registry: SecuredRegistry
    postgresql: SecuredPostgresql
    redis_port: int

    def sections(self, **changes: dict[str, Any]) -> dict[str, Any]:
        """Return the settings of a daemon, some of them changed."""
        tls = {"ssl_ca_file": self.authority.file}
        own = {"ssl_certificate_file": self.client.certificate, "ssl_key_file": self.client.key}
        sections: dict[str, dict[str, Any]] = {
            "kafka": {
                **self._schemas(),
                "bootstrap_servers": self.kafka.sasl_ssl,
                "security_protocol": "SASL_SSL",
                "sasl_mechanism": "SCRAM-SHA-512",
                "sasl_username": DAEMON,
                "sasl_password": PASSWORD,
                "group_instance_id": "stream-assoc-0",
                "leave_group_on_stop": True,
                **tls,
            },
            "redis": {
                "url": f"rediss://{HOST}:{self.redis_port}/0",
                "username": "daemon",
                "password": PASSWORD,
                "prefix": PREFIX,
                **tls,
                **own,
            },
            "apdb": {
                "url": self.postgresql.url("stream_assoc", "apdb"),
                "password": PASSWORD,
                "ssl_mode": "verify-full",
                **tls,
            },
            "daemon": {"poll_timeout_seconds": 0.2},
        }
        return {name: {**section, **changes.get(name, {})} for name, section in sections.items()}

    def administrator(self) -> Deployment:
        """Return the deployment as its administrator sees Kafka."""
        kafka = KafkaSettings(bootstrap_servers=self.kafka.bootstrap_servers, partitions=2, **self._schemas())
        return Deployment(Settings(kafka=kafka))

    def _schemas(self) -> dict[str, Any]:
        return {
            "schema_registry_url": self.registry.url,
            "schema_registry_user": DAEMON,
            "schema_registry_password": PASSWORD,
            "schema_registry_ca_file": self.authority.file,
        }


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with ExitStack() as stack:
        try:
            # PostgreSQL runs as another user, who cannot enter pytest's own folder.
            folder = Path(stack.enter_context(_folder()))
            authority = Authority.in_folder(folder / "authority")
            server = authority.issue("server")
            kafka = stack.enter_context(SecuredKafka(authority, server))
            registry = stack.enter_context(SecuredRegistry(server, DAEMON, PASSWORD))
            postgresql = stack.enter_context(SecuredPostgresql(folder / "postgresql", server))
        except ServiceUnavailableError as error:
            pytest.skip(str(error))
        valkey = stack.enter_context(EmbeddedValkey())
        port = stack.enter_context(tls_front(server, authority, valkey.url.removeprefix("unix://")))
        with redis.Redis.from_url(valkey.url) as administrator:
            administrator.execute_command("ACL", "SETUSER", "default", "off")
            administrator.execute_command("ACL", "SETUSER", "daemon", *REDIS_RULES, f">{PASSWORD}")
        for user in (DAEMON, ADMINISTRATOR, AUTOSCALER):
            kafka.add_user(user, PASSWORD)
            kafka.allow(user, acl_rules(user))
        kafka.allow("CN=client", acl_rules(DAEMON))
        secret = PASSWORD.replace("'", "''")
        postgresql.run("CREATE DATABASE apdb", f"CREATE ROLE stream_assoc LOGIN PASSWORD '{secret}'", *GRANTS)
        init(postgresql.admin_url.replace("/postgres?", "/apdb?"))
        postgresql.run(*TABLE_GRANTS, database="apdb")
        deployment = Secured(authority, authority.issue("client"), kafka, registry, postgresql, port)
        as_administrator = {"sasl_username": ADMINISTRATOR, "partitions": 2}
        ensure_topics(Settings(**deployment.sections(kafka=as_administrator)).kafka)
        yield deployment


def _folder() -> "tempfile.TemporaryDirectory[str]":
    folder = tempfile.TemporaryDirectory(prefix="stream_assoc_security_")
    Path(folder.name).chmod(0o711)
    return folder
