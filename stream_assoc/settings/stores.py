"""Settings of the two stores: the cache (Redis or Valkey) and the APDB."""

from pydantic import Field, field_validator

from stream_assoc.settings.secrets import SecretUrl, mask_url
from stream_assoc.settings.section import Section

REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
APDB_SCHEMES = ("sqlite:///", "postgresql://")


class RedisSettings(Section):
    """Where DIAObjects are cached."""

    url: SecretUrl = Field(
        default=SecretUrl("redis://localhost:6379/0"),
        description="Redis or Valkey: redis://[user:password@]host:port/db, rediss:// for TLS, unix:///path?db=0.",
    )
    prefix: str = Field(
        default="stream_assoc", pattern=r"^[^\s{}]+$", description="First part of every key; no braces or spaces."
    )
    cluster: bool = Field(default=False, description="Whether the URL names a node of a Redis Cluster.")
    connect_timeout_seconds: float = Field(default=5.0, gt=0, description="Longest wait for a connection, seconds.")
    timeout_seconds: float = Field(default=10.0, gt=0, description="Longest wait for one answer, seconds.")

    @field_validator("url")
    @classmethod
    def _has_known_scheme(cls, url: SecretUrl) -> SecretUrl:
        return _with_scheme(url, REDIS_SCHEMES)


class ApdbSettings(Section):
    """Where everything is kept."""

    url: SecretUrl = Field(
        default=SecretUrl("sqlite:///stream-assoc.sqlite3"),
        description="The APDB: sqlite:///relative.db, sqlite:////absolute.db or postgresql://user:password@host:5432/database.",
    )
    namespace: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="PostgreSQL schema that holds the tables. Unset: the default one.",
    )

    @field_validator("url")
    @classmethod
    def _has_known_scheme(cls, url: SecretUrl) -> SecretUrl:
        return _with_scheme(url, APDB_SCHEMES)


def _with_scheme(url: SecretUrl, schemes: tuple[str, ...]) -> SecretUrl:
    if not url.get_secret_value().startswith(schemes):
        raise ValueError(f"{mask_url(url.get_secret_value())} does not begin with {' or '.join(schemes)}")
    return url
