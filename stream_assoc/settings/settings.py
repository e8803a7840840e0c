"""All settings as one frozen value."""

from typing import Any

from pydantic import Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from stream_assoc.settings.images import ForcedPhotometrySettings, ImageSettings
from stream_assoc.settings.kafka import KafkaSettings
from stream_assoc.settings.operation import BatchSettings, DaemonSettings, LoggingSettings, MetricsSettings
from stream_assoc.settings.science import AssociationSettings, NewObjectSettings, SkySettings, StatisticsSettings
from stream_assoc.settings.stores import ApdbSettings, RedisSettings


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
    images: ImageSettings = Field(default_factory=ImageSettings)
    forced_photometry: ForcedPhotometrySettings = Field(default_factory=ForcedPhotometrySettings)
    daemon: DaemonSettings = Field(default_factory=DaemonSettings)
    metrics: MetricsSettings = Field(default_factory=MetricsSettings)
    logging: LoggingSettings = Field(default_factory=LoggingSettings)

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
