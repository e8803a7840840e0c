"""Settings of the alerts."""

from typing import Annotated, Literal

from pydantic import Field

from stream_assoc.settings.section import Section


class AlertSettings(Section):
    """How alert packets are made of what the daemons have stored (kafka.alerts_topic)."""

    enabled: bool = Field(
        default=False,
        description="Whether `serve` makes alerts too, in a process of its own; `stream-assoc alerts` always does.",
    )
    group_id: str | None = Field(
        default=None,
        min_length=1,
        description="Consumer group of those who make alerts: the alerts of a batch are made by one. Unset: "
        "kafka.group_id and `-alerts`.",
    )
    transactional_id: str | None = Field(
        default=None,
        min_length=1,
        description="Name of the transactions in which alerts are published, different for each process. Unset: that "
        "of kafka and `-alerts`.",
    )
    schema_version: Annotated[str, Field(pattern=r"^\d+\.\d+$")] = Field(
        default="11.1",
        description="Version of Rubin's alert schema (lsst-alert-packet) that is written, 7.4 and later.",
    )
    history_days: float = Field(
        default=365.0,
        gt=0,
        description="How far back from its visit an alert tells earlier sources and forced sources, days.",
    )
    solar_system: bool = Field(
        default=True, description="Whether sources of solar-system objects get an alert too; they have no DIAObject."
    )
    min_reliability: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Least reliability of a source that gets an alert; one without a reliability gets one. Unset: "
        "every source that is stored gets an alert, as upstream's does.",
    )
    cutouts: bool = Field(
        default=True,
        description="Whether stamps are cut from the images that a batch names, where images.roots allows it.",
    )
    image_patience_seconds: float = Field(
        default=30.0,
        ge=0,
        description="How long alerts wait for an image whose store does not answer, before they go without it.",
    )
    compression: Literal["none", "gzip", "lz4", "zstd", "snappy"] = Field(
        default="gzip",
        description="Codec of the alerts. Every Kafka client reads gzip; some need another package for the others.",
    )
    alerts_at_once: int = Field(
        default=500, ge=1, le=10_000, description="Most alerts whose history is read from the APDB at once."
    )
