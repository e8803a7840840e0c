"""How clients reach Kafka: brokers, encryption, identity, and any further librdkafka option."""

import re
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, FilePath, SecretStr, field_validator, model_validator

from stream_assoc.settings.secrets import ClientOptions, redacted, reveal
from stream_assoc.settings.section import Section, require_pair

RESERVED_OPTIONS: Final = {
    "bootstrap.servers": "set kafka.bootstrap_servers instead",
    "group.id": "set kafka.group_id instead",
    "group.instance.id": "set kafka.group_instance_id instead",
    "transactional.id": "set kafka.transactional_id instead",
    "enable.auto.commit": "offsets are committed with the outputs, in one transaction",
    "enable.auto.offset.store": "offsets are committed with the outputs, in one transaction",
    "enable.idempotence": "a transactional producer is always idempotent",
    "isolation.level": "inputs are always read_committed",
    "metadata.broker.list": "set kafka.bootstrap_servers instead",
    "partition.assignment.strategy": "partitions are always assigned cooperatively",
    "enable.partition.eof": "the end of a partition is no event for the daemon",
    "statistics.interval.ms": "readiness is read from the statistics, every two seconds",
    "delivery.report.only.error": "only failed deliveries are reported",
}
"""librdkafka keys that cannot be passed through: they have a setting, or a guarantee depends on their value."""

SECURITY_OPTIONS: Final = {
    "security_protocol": "security.protocol",
    "sasl_mechanism": "sasl.mechanism",
    "sasl_username": "sasl.username",
    "sasl_password": "sasl.password",
    "ssl_ca_file": "ssl.ca.location",
    "ssl_certificate_file": "ssl.certificate.location",
    "ssl_key_file": "ssl.key.location",
    "ssl_key_password": "ssl.key.password",
}
"""Our settings and what librdkafka calls them."""

_ALIASES: Final = {"sasl.mechanisms": "sasl.mechanism"}

_BROKER: Final = re.compile(
    r"(?:(?:PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL)://)?(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
)
_MAX_PORT: Final = 65_535


class KafkaConnectionSettings(Section):
    """Brokers, encryption and identity."""

    bootstrap_servers: str = Field(
        default="localhost:9092", min_length=1, description="Initial brokers, comma-separated host:port."
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] | None = Field(
        default=None, description="Protocol of the connection to brokers; SSL is TLS. Unset: PLAINTEXT."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        default=None, description="How the user is authenticated. For Kerberos and OAuth use `librdkafka` below."
    )
    sasl_username: str | None = Field(default=None, min_length=1, description="User of SASL.")
    sasl_password: SecretStr | None = Field(default=None, min_length=1, description="The user's password.")
    ssl_ca_file: FilePath | None = Field(
        default=None,
        description="PEM file of the authorities that may sign the brokers' certificates. Unset: the system's.",
    )
    ssl_certificate_file: FilePath | None = Field(
        default=None, description="PEM file of the client's own certificate, for brokers that ask for one."
    )
    ssl_key_file: FilePath | None = Field(default=None, description="PEM file of that certificate's private key.")
    ssl_key_password: SecretStr | None = Field(
        default=None, min_length=1, description="Password of that private key, if it is encrypted."
    )
    librdkafka: ClientOptions = Field(
        default_factory=dict,
        description='librdkafka options for every client, by their own names, such as `"fetch.min.bytes"`. In the '
        "environment, underscores replace the dots: `STREAM_ASSOC_KAFKA__LIBRDKAFKA__FETCH_MIN_BYTES`.",
    )
    librdkafka_consumer: ClientOptions = Field(
        default_factory=dict, description="librdkafka options for consumers only."
    )
    librdkafka_producer: ClientOptions = Field(
        default_factory=dict, description="librdkafka options for producers only."
    )

    @field_validator("bootstrap_servers")
    @classmethod
    def _are_addresses(cls, servers: str) -> str:
        for server in servers.split(","):
            address = _BROKER.fullmatch(server.strip())
            if address is None or not 1 <= int(address["port"] or 1) <= _MAX_PORT:
                raise ValueError(f"{redacted(server.strip())!r} is not host:port, with a port from 1 to {_MAX_PORT}")
        return servers

    @field_validator("librdkafka", "librdkafka_consumer", "librdkafka_producer")
    @classmethod
    def _leaves_reserved_alone(cls, options: ClientOptions) -> ClientOptions:
        for key in options:
            if key in RESERVED_OPTIONS:
                raise ValueError(f"{key} cannot be passed through: {RESERVED_OPTIONS[key]}")
        return options

    @model_validator(mode="after")
    def _is_said_once(self) -> Self:
        ours = {
            option: f"kafka.{name}" for name, option in SECURITY_OPTIONS.items() if getattr(self, name) is not None
        }
        for table in ("librdkafka", "librdkafka_consumer", "librdkafka_producer"):
            for key in getattr(self, table):
                if (name := ours.get(_ALIASES.get(key, key))) is not None:
                    raise ValueError(f"{name} and kafka.{table} {key} say the same thing; keep one of them")
        return self

    @model_validator(mode="after")
    def _security_is_complete(self) -> Self:
        options = {_ALIASES.get(key, key): value for key, value in self._shared_options().items()}
        protocol = str(options.get("security.protocol", "PLAINTEXT")).upper()
        for name, option in SECURITY_OPTIONS.items():
            kind = name.partition("_")[0].upper()
            if kind in {"SASL", "SSL"} and getattr(self, name) is not None and kind not in protocol.split("_"):
                raise ValueError(
                    f"kafka.{name} has no effect with kafka.security_protocol {protocol}; "
                    f"set that to {'SASL_SSL' if kind == 'SASL' else 'SSL or SASL_SSL'}, or leave out {option}"
                )
        if (self.security_protocol or "").startswith("SASL") and "sasl.mechanism" not in options:
            raise ValueError(f"kafka.security_protocol {protocol} needs kafka.sasl_mechanism, such as SCRAM-SHA-512")
        for name in ("sasl_username", "sasl_password"):
            if self.sasl_mechanism is not None and SECURITY_OPTIONS[name] not in options:
                raise ValueError(f"kafka.sasl_mechanism {self.sasl_mechanism} needs kafka.{name}")
        require_pair(self, "kafka", "ssl_certificate_file", "ssl_key_file")
        if self.ssl_key_password is not None and self.ssl_key_file is None:
            raise ValueError("kafka.ssl_key_password needs kafka.ssl_key_file")
        return self

    def _shared_options(self) -> ClientOptions:
        ours = {option: getattr(self, name) for name, option in SECURITY_OPTIONS.items()}
        return {
            **{
                option: str(value) if isinstance(value, Path) else value
                for option, value in ours.items()
                if value is not None
            },
            **self.librdkafka,
        }

    def client_options(self) -> dict[str, str | bool | int | float]:
        """Return what every client is made with, secrets in plain text."""
        return {"bootstrap.servers": self.bootstrap_servers, **reveal(self._shared_options())}

    def consumer_options(self) -> dict[str, str | bool | int | float]:
        """Return the user's options of a consumer; group and isolation are the caller's."""
        return {**self.client_options(), **reveal(self.librdkafka_consumer)}

    def producer_options(self) -> dict[str, str | bool | int | float]:
        """Return the user's options of a producer; the transactional id is the caller's."""
        return {**self.client_options(), **reveal(self.librdkafka_producer)}
