"""All settings as one frozen value."""

from typing import Any, Final, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from stream_assoc.settings.alerts import AlertSettings
from stream_assoc.settings.images import ForcedPhotometrySettings, ImageSettings
from stream_assoc.settings.kafka import KafkaSettings
from stream_assoc.settings.operation import (
    BatchSettings,
    DaemonSettings,
    DashboardSettings,
    LoggingSettings,
    MetricsSettings,
    OperatorSettings,
)
from stream_assoc.settings.science import AssociationSettings, NewObjectSettings, SkySettings, StatisticsSettings
from stream_assoc.settings.stores import ApdbSettings, RedisSettings
from stream_assoc.settings.warming import WarmingSettings

_EVERY_ADDRESS: Final = {"0.0.0.0", "::"}  # noqa: S104 - compared with, not listened on


class Settings(BaseSettings):
    """Everything that can be configured.

    Made directly, it holds what it is given and defaults, nothing of the
    environment; `stream_assoc.settings.load_settings` gathers every source.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        env_prefix="STREAM_ASSOC_",
        env_nested_delimiter="__",
        env_ignore_empty=True,
    )

    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    redis: RedisSettings = Field(default_factory=RedisSettings)
    apdb: ApdbSettings = Field(default_factory=ApdbSettings)
    association: AssociationSettings = Field(default_factory=AssociationSettings)
    new_objects: NewObjectSettings = Field(default_factory=NewObjectSettings)
    statistics: StatisticsSettings = Field(default_factory=StatisticsSettings)
    sky: SkySettings = Field(default_factory=SkySettings)
    batch: BatchSettings = Field(default_factory=BatchSettings)
    operators: OperatorSettings = Field(default_factory=OperatorSettings)
    images: ImageSettings = Field(default_factory=ImageSettings)
    forced_photometry: ForcedPhotometrySettings = Field(default_factory=ForcedPhotometrySettings)
    warming: WarmingSettings = Field(default_factory=WarmingSettings)
    alerts: AlertSettings = Field(default_factory=AlertSettings)
    daemon: DaemonSettings = Field(default_factory=DaemonSettings)
    metrics: MetricsSettings = Field(default_factory=MetricsSettings)
    dashboard: DashboardSettings = Field(default_factory=DashboardSettings)
    logging: LoggingSettings = Field(default_factory=LoggingSettings)

    @model_validator(mode="after")
    def _sections_agree(self) -> Self:
        faults = [*self._ports_in_conflict(), *self._waits_too_long(), *self._batches_that_do_not_fit()]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _ports_in_conflict(self) -> list[str]:
        metrics, dashboard = self.metrics, self.dashboard
        hosts = {metrics.prometheus_host, dashboard.host}
        if (
            dashboard.enabled
            and metrics.prometheus_port == dashboard.port != 0
            and (len(hosts) == 1 or hosts & _EVERY_ADDRESS)
        ):
            return [f"metrics.prometheus_port and dashboard.port are both {dashboard.port}; give each its own"]
        return []

    def _batches_that_do_not_fit(self) -> list[str]:
        if self.daemon.micro_batch_cells >= self.batch.max_cells:
            return []
        return [
            f"daemon.micro_batch_cells ({self.daemon.micro_batch_cells}) must not be below batch.max_cells "
            f"({self.batch.max_cells}): one batch must fit in"
        ]

    def _waits_too_long(self) -> list[str]:
        """Return a line for each wait that may keep the loop as long as `daemon.wedged_after_seconds`."""
        apdb, redis, daemon = self.apdb, self.redis, self.daemon
        waits = {
            "daemon.poll_timeout_seconds": daemon.poll_timeout_seconds,
            "daemon.retry_max_seconds": daemon.retry_max_seconds,
            "apdb.connect_timeout_seconds": apdb.connect_timeout_seconds,
            "apdb.timeout_seconds and apdb.lock_timeout_seconds together": apdb.timeout_seconds
            + apdb.lock_timeout_seconds,
            "redis.connect_timeout_seconds": redis.connect_timeout_seconds,
            "redis.timeout_seconds": redis.timeout_seconds,
            "images.timeout_seconds": self.images.timeout_seconds,
        }
        limit = daemon.wedged_after_seconds
        return [
            f"{name} ({seconds:g}) must be less than daemon.wedged_after_seconds ({limit:g})"
            for name, seconds in waits.items()
            if seconds >= limit
        ]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take only what is passed in: `load_settings` layers the sources, so that an error can name its own."""
        return (init_settings,)

    def masked(self) -> dict[str, Any]:
        """Return every setting as plain values, the secrets in them replaced by asterisks."""
        return self.model_dump(mode="json")
