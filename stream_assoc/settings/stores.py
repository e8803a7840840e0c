"""Settings of the two stores: the cache (Redis or Valkey) and the APDB."""

import re
from typing import Literal, Self
from urllib.parse import SplitResult, parse_qs, quote, urlencode, urlsplit

from pydantic import Field, FilePath, SecretStr, field_validator, model_validator

from stream_assoc.settings.secrets import SecretUrl, redacted
from stream_assoc.settings.section import Section, require_pair

REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
APDB_SCHEMES = ("sqlite:///", "postgresql://", "cassandra://")
_POSTGRESQL_PARAMETERS = {
    "password": "password",
    "ssl_mode": "sslmode",
    "ssl_ca_file": "sslrootcert",
    "ssl_certificate_file": "sslcert",
    "ssl_key_file": "sslkey",
}


class RedisSettings(Section):
    """Where DIAObjects are cached."""

    url: SecretUrl = Field(
        default=SecretUrl("redis://localhost:6379/0"),
        description="Redis or Valkey: redis://[user:password@]host:port/db, rediss:// for TLS, unix:///path?db=0. "
        "Several hosts, host1:port,host2:port, are nodes of a cluster, or Sentinels.",
    )
    username: str | None = Field(
        default=None, min_length=1, description="ACL user, instead of one in the URL. Unset: the default user."
    )
    password: SecretStr | None = Field(
        default=None, min_length=1, description="The user's password, instead of one in the URL."
    )
    ssl_ca_file: FilePath | None = Field(
        default=None,
        description="PEM file of the authorities that may sign the server's certificate. Unset: the system's.",
    )
    ssl_certificate_file: FilePath | None = Field(
        default=None, description="PEM file of the client's own certificate, for a server that asks for one."
    )
    ssl_key_file: FilePath | None = Field(default=None, description="PEM file of that certificate's private key.")
    prefix: str = Field(
        default="stream_assoc", pattern=r"^[^\s{}]+$", description="First part of every key; no braces or spaces."
    )
    cluster: bool = Field(
        default=False,
        description="Whether the URL names nodes of a Redis Cluster. One that is up is enough: the others are found "
        "by it.",
    )
    sentinel_service: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9._-]+$",
        description="Name of the service that Redis Sentinels watch. The URL then names the Sentinels, and they say "
        "which server is the primary; user, password and database are that server's, rediss:// is for both.",
    )
    sentinel_username: str | None = Field(
        default=None, min_length=1, description="ACL user of the Sentinels. Unset: the default user."
    )
    sentinel_password: SecretStr | None = Field(
        default=None, min_length=1, description="Password of that user, where Sentinels ask for one."
    )
    connect_timeout_seconds: float = Field(default=5.0, gt=0, description="Longest wait for a connection, seconds.")
    timeout_seconds: float = Field(default=10.0, gt=0, description="Longest wait for one answer, seconds.")

    @field_validator("url")
    @classmethod
    def _names_a_server(cls, url: SecretUrl) -> SecretUrl:
        _with_scheme(url, REDIS_SCHEMES)
        text = url.get_secret_value()
        if text.startswith("unix://"):
            if not urlsplit(text).path.strip("/"):
                raise ValueError("the URL names no socket; write unix:///path")
        elif not all(parts.hostname and _has_port(parts) for parts in map(urlsplit, _urls_of_hosts(text))):
            scheme = text.partition("://")[0]
            raise ValueError(f"{redacted(text)} names no host, or an invalid port; write {scheme}://host:port/db")
        if not re.fullmatch(r"\d*", _redis_database(text), re.ASCII):
            raise ValueError(f"{redacted(text)} names no database; the database of Redis is a number, such as 0")
        return url

    @model_validator(mode="after")
    def _security_is_complete(self) -> Self:
        url = self.url.get_secret_value()
        require_pair(self, "redis", "ssl_certificate_file", "ssl_key_file")
        for name in ("ssl_ca_file", "ssl_certificate_file"):
            if getattr(self, name) is not None and not url.startswith("rediss://"):
                raise ValueError(f"redis.{name} needs a redis.url that begins with rediss://")
        if self.username is not None and self.password is None:
            raise ValueError("redis.username needs redis.password")
        if self.password is not None and "@" in url:
            raise ValueError("redis.url holds a user or a password, and so does redis.password; keep one of them")
        if self.cluster and (url.startswith("unix://") or _redis_database(url) not in {"", "0"}):
            raise ValueError("redis.cluster needs a redis.url of host:port and database 0, the only one of a cluster")
        return self

    @model_validator(mode="after")
    def _hosts_are_of_one_kind(self) -> Self:
        if self.sentinel_service is None:
            if self.sentinel_username is not None or self.sentinel_password is not None:
                raise ValueError("redis.sentinel_username and redis.sentinel_password need redis.sentinel_service")
            if len(self.urls()) > 1 and not self.cluster:
                raise ValueError(
                    f"redis.url names {len(self.urls())} hosts: set redis.cluster to true if they are nodes of a "
                    "cluster, redis.sentinel_service if they are Sentinels, or name one server"
                )
            return self
        if self.cluster:
            raise ValueError(
                "redis.cluster and redis.sentinel_service exclude each other: a cluster has no Sentinels"
            )
        if self.url.get_secret_value().startswith("unix://"):
            raise ValueError("redis.sentinel_service needs a redis.url that names Sentinels, host1:port,host2:port")
        if self.sentinel_username is not None and self.sentinel_password is None:
            raise ValueError("redis.sentinel_username needs redis.sentinel_password")
        return self

    def urls(self) -> tuple[str, ...]:
        """Return a URL for each host that is named, otherwise the same, passwords in plain text."""
        return _urls_of_hosts(self.url.get_secret_value())

    def sentinel_options(self) -> dict[str, str]:
        """Return user and password for the Sentinels, in plain text."""
        password = self.sentinel_password
        options = {
            "username": self.sentinel_username,
            "password": None if password is None else password.get_secret_value(),
        }
        return {name: value for name, value in options.items() if value is not None}

    def client_options(self) -> dict[str, str]:
        """Return what clients are made with beside the URL, the password in plain text."""
        options = {
            "username": self.username,
            "password": None if self.password is None else self.password.get_secret_value(),
            "ssl_ca_certs": self.ssl_ca_file,
            "ssl_certfile": self.ssl_certificate_file,
            "ssl_keyfile": self.ssl_key_file,
        }
        return {name: str(value) for name, value in options.items() if value is not None}


class ApdbSettings(Section):
    """The database that holds sources, objects and what has been processed."""

    url: SecretUrl = Field(
        default=SecretUrl("sqlite:///stream-assoc.sqlite3"),
        description="The APDB: sqlite:///relative.db, sqlite:////absolute.db (percent-encoded, no parameters), "
        "postgresql://user:password@host:5432/database or cassandra://user:password@host1,host2/keyspace.",
    )
    password: SecretStr | None = Field(
        default=None, min_length=1, description="Password of the user in the URL, instead of one there."
    )
    ssl_mode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] | None = Field(
        default=None,
        description="Encryption of the connection to PostgreSQL; only `verify-full` verifies the server's identity. "
        "Unset: `prefer`, which accepts an unencrypted connection. To Cassandra: `verify-full` or "
        "`verify-ca`; unset: none.",
    )
    ssl_ca_file: FilePath | None = Field(
        default=None,
        description="PEM file of the authorities that may sign PostgreSQL's certificate, or those of "
        "Cassandra's nodes.",
    )
    ssl_certificate_file: FilePath | None = Field(
        default=None, description="PEM file of the client's own certificate, for a server that asks for one."
    )
    ssl_key_file: FilePath | None = Field(
        default=None, description="PEM file of that certificate's private key, readable by its owner only."
    )
    namespace: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="PostgreSQL schema that holds the tables. Unset: the first in the search path with an APDB.",
    )
    connect_timeout_seconds: float = Field(
        default=10.0, ge=2, description="Longest wait for a connection to PostgreSQL, whole seconds."
    )
    timeout_seconds: float = Field(
        default=30.0,
        gt=0,
        description="Longest time without an answer from PostgreSQL, seconds, beyond the wait for a lock. After that"
        " the connection counts as lost.",
    )
    lock_timeout_seconds: float = Field(
        default=30.0,
        gt=0,
        description="Longest wait for a lock of another session, seconds: on cells of the sky, or on an SQLite file.",
    )
    idle_timeout_seconds: float = Field(
        default=300.0,
        gt=0,
        description="How long a daemon may hold cells of the sky and ask PostgreSQL for nothing, seconds. Then the "
        "server ends its session, and other daemons go on: it stands still, or computes for longer than any batch "
        "should. PostgreSQL before version 14 waits for ever.",
    )
    replica_chunk_seconds: int = Field(
        default=600,
        # On Cassandra a chunk is held by what would be one a second before it.
        ge=2,
        le=600,
        description="Length of a replica chunk, seconds: the same as in dax_apdb's configuration of this APDB.",
    )
    replica_lag_seconds: float = Field(
        default=86400.0,
        ge=900,
        description="How far a PPDB may be behind, seconds. That an object is closed sooner than this after its last "
        "change is not noted for it, because its replicator might stop: see docs/explanation/replication.md.",
    )

    @field_validator("url")
    @classmethod
    def _has_known_scheme(cls, url: SecretUrl) -> SecretUrl:
        return _with_scheme(url, APDB_SCHEMES)

    @model_validator(mode="after")
    def _security_is_complete(self) -> Self:
        url = self.url.get_secret_value()
        given = [name for name in _POSTGRESQL_PARAMETERS if getattr(self, name) is not None]
        given += ["namespace"] if self.namespace is not None else []
        if url.startswith("sqlite:///") and given:
            raise ValueError(f"apdb.{given[0]} is for PostgreSQL; apdb.url names an SQLite file")
        if url.startswith("cassandra://"):
            _fit_cassandra(given, self.ssl_mode)
        in_url = parse_qs(urlsplit(url).query)
        for name in given:
            if (parameter := _POSTGRESQL_PARAMETERS.get(name)) in in_url:
                raise ValueError(f"apdb.url holds {parameter}, and so does apdb.{name}; keep one of them")
        if self.password is not None and ":" in urlsplit(url).netloc.rpartition("@")[0]:
            raise ValueError("apdb.url holds a password, and so does apdb.password; keep one of them")
        require_pair(self, "apdb", "ssl_certificate_file", "ssl_key_file")
        mode = self.ssl_mode or in_url.get("sslmode", ["prefer"])[0]
        if self.ssl_ca_file is not None and not mode.startswith("verify-"):
            raise ValueError(
                f"apdb.ssl_ca_file has no effect with apdb.ssl_mode {mode}; set that to verify-full (or verify-ca)"
            )
        if self.ssl_mode in {"verify-ca", "verify-full"} and self.ssl_ca_file is None and "sslrootcert" not in in_url:
            raise ValueError(f"apdb.ssl_mode {self.ssl_mode} needs apdb.ssl_ca_file")
        return self

    def connection_url(self) -> str:
        """Return the URL with everything that clients need to connect, the password in plain text."""
        url = self.url.get_secret_value()
        given = {parameter: getattr(self, name) for name, parameter in _POSTGRESQL_PARAMETERS.items()}
        parameters = {
            parameter: value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            for parameter, value in given.items()
            if value is not None
        }
        # Not as a form's query: libpq takes a plus for a plus.
        query = urlencode(parameters, quote_via=quote)
        return f"{url}{'&' if '?' in url else '?'}{query}" if query else url


def _fit_cassandra(given: list[str], ssl_mode: str | None) -> None:
    """Return if these settings are for Cassandra too."""
    if "namespace" in given:
        raise ValueError("apdb.namespace is for PostgreSQL; apdb.url names a keyspace of Cassandra")
    if any(name.startswith("ssl_") for name in given) and ssl_mode not in {"verify-ca", "verify-full"}:
        raise ValueError("an encrypted connection to Cassandra needs apdb.ssl_mode verify-full, or verify-ca")


def _redis_database(url: str) -> str:
    parts = urlsplit(_urls_of_hosts(url)[0])
    path = "" if parts.scheme == "unix" else parts.path.removeprefix("/")
    return parse_qs(parts.query, keep_blank_values=True).get("db", [path])[0]


def _urls_of_hosts(url: str) -> tuple[str, ...]:
    """Return a URL for each host that one names: `urlsplit` reads no list of them."""
    scheme, _, rest = url.partition("://")
    if scheme == "unix":
        return (url,)
    end = min((place for place in map(rest.find, "/?") if place >= 0), default=len(rest))
    credentials, at, hosts = rest[:end].rpartition("@")
    return tuple(f"{scheme}://{credentials}{at}{host}{rest[end:]}" for host in hosts.split(","))


def _has_port(parts: SplitResult) -> bool:
    """Tell whether the port of a URL, where it has one, is one."""
    try:
        return parts.port != 0
    except ValueError:
        return False


def _with_scheme(url: SecretUrl, schemes: tuple[str, ...]) -> SecretUrl:
    if not url.get_secret_value().startswith(schemes):
        raise ValueError(f"{redacted(url.get_secret_value())} does not begin with {' or '.join(schemes)}")
    return url
