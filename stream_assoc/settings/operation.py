"""Settings of running programs: batch limits, retries, metrics, logging, the dashboard, operators."""

from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from stream_assoc.core.model.times import EARLIEST_MJD, LATEST_MJD
from stream_assoc.core.model.types import BANDS
from stream_assoc.settings.secrets import redacted
from stream_assoc.settings.section import Section


class BatchSettings(Section):
    """Which batches are accepted. The others become dead letters that name the reason."""

    bands: tuple[str, ...] = Field(
        default=BANDS, min_length=1, description=f"Bands accepted, out of {', '.join(BANDS)}."
    )
    max_sources: int = Field(default=100_000, ge=1, description="Most sources of one batch.")
    max_bytes: int = Field(default=64 * 1024**2, ge=1024, description="Largest encoded batch, bytes.")
    max_footprint_vertices: int = Field(default=1000, ge=3, description="Most vertices of one batch's footprint.")
    max_solar_system_objects: int = Field(
        default=10_000, ge=1, description="Most predicted solar-system objects of one batch."
    )
    max_cells: int = Field(
        default=1000,
        ge=1,
        description="Most cells of the sky (`sky.cell_level`) that the footprint and the sources of one batch may "
        "cover. Each is a lock in PostgreSQL.",
    )

    @field_validator("bands")
    @classmethod
    def _are_known(cls, bands: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [band for band in bands if band not in BANDS]
        if unknown:
            named = ", ".join(repr(redacted(band)) for band in unknown)
            raise ValueError(f"{named} not among the bands {', '.join(BANDS)}")
        return bands


class DaemonSettings(Section):
    """How the daemon forms micro-batches, retries after failures, and stops."""

    micro_batch_messages: int = Field(
        default=64,
        ge=1,
        le=100_000,
        description="Most messages of one micro-batch, which share a transaction. With images.roots set, at most 8, "
        "and a batch with images has a transaction of its own.",
    )
    micro_batch_cells: int = Field(
        default=2000,
        ge=1,
        description="Most cells of the sky locked in one transaction; messages that together need more are divided. "
        "At least batch.max_cells.",
    )
    poll_timeout_seconds: float = Field(
        default=1.0, gt=0, description="Longest wait of one poll for a message, seconds."
    )
    retry_initial_seconds: float = Field(
        default=0.5, gt=0, description="Wait after the first failure of a service, seconds."
    )
    retry_max_seconds: float = Field(
        default=30.0,
        gt=0,
        description="Longest wait between two attempts, seconds; each wait is twice the one before, up to this.",
    )
    retry_jitter: float = Field(default=0.2, ge=0, le=1, description="Random part of each wait, as a fraction of it.")
    restart_budget: int = Field(
        default=20,
        ge=0,
        description="How often the daemon restarts within restart_window_seconds before it gives up.",
    )
    restart_window_seconds: float = Field(
        default=600.0, gt=0, description="Time over which restarts are counted, seconds."
    )
    trial_seconds: float = Field(
        default=600.0,
        gt=0,
        description="Time limit of a trial, seconds. A message that was being processed when two daemons died is "
        "tried in a process of its own. If it ends that process or exceeds this limit, it becomes a dead"
        " letter.",
    )
    drain_deadline_seconds: float = Field(
        default=30.0, gt=0, description="Longest time to finish the current micro-batch after SIGTERM, seconds."
    )
    wedged_after_seconds: float = Field(
        default=300.0,
        ge=30.0,
        le=86_400.0,
        description="/healthz fails when the main loop has made no progress for so long, seconds. Waiting for "
        "messages or for a service that is away counts as progress.",
    )
    probe_seconds: float = Field(
        default=5.0,
        gt=0,
        le=86_400.0,
        description="Time between two checks that the APDB and Redis answer, for /readyz, seconds. A store that does"
        " not answer for three times as long counts as away.",
    )
    pin_clock_mjd: float | None = Field(
        default=None,
        ge=EARLIEST_MJD,
        le=LATEST_MJD,
        description="Fixed processing time written into the APDB, MJD TAI, so that two replays give the same bytes. "
        "Unset: the time of the clock.",
    )

    @model_validator(mode="after")
    def _waits_grow(self) -> Self:
        if self.retry_initial_seconds > self.retry_max_seconds:
            raise ValueError("daemon.retry_initial_seconds must not exceed daemon.retry_max_seconds")
        return self


class MetricsSettings(Section):
    """Where the daemon answers over HTTP: /metrics, /healthz and /readyz."""

    prometheus_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="HTTP port of /metrics, /healthz and /readyz; 0 picks a free one. Unset: none.",
    )
    prometheus_host: str = Field(
        default="127.0.0.1", description="Address the metrics port listens on; 0.0.0.0 for all."
    )


class LoggingSettings(Section):
    """How the daemon logs, on standard error."""

    format: Literal["json", "console"] = Field(
        default="console", description="`json`, one object a line, or `console`, for people."
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Lowest level that is written."
    )

    @field_validator("level", mode="before")
    @classmethod
    def _in_lower_case(cls, level: object) -> object:
        return level.lower() if isinstance(level, str) else level


class DashboardSettings(Section):
    """The web page that shows what happens and what is stored."""

    enabled: bool = Field(
        default=False, description="Whether `serve` serves the dashboard too; `stream-assoc dashboard` always does."
    )
    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address it listens on. The dashboard has no passwords: behind any address but this machine's "
        "own, put a proxy that asks for one.",
    )
    port: int = Field(default=8765, ge=0, le=65535, description="HTTP port; 0 picks a free one.")
    allowed_hosts: tuple[str, ...] = Field(
        default=(),
        description="Further host names under which browsers may reach it, beside localhost and dashboard.host. A "
        "request with another Host header is rejected.",
    )
    history: int = Field(
        default=2000, ge=1, le=100_000, description="Most batches kept in memory and shown when a page opens."
    )


class OperatorSettings(Section):
    """Who may replace a batch by another, or release one from quarantine."""

    secret: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="Signs the headers stream_assoc.reprocessing and stream_assoc.release. The daemons, `stream-"
        "assoc dlq` and producers that re-process visits share it. Unset: nobody may use these headers.",
    )
    trust_unsigned: bool = Field(
        default=False,
        description="Whether these headers are accepted without a signature. Set it only where nobody but operators "
        "can write to kafka.input_topic.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.secret is not None and self.trust_unsigned:
            raise ValueError("operators.secret signs nothing that matters with operators.trust_unsigned; keep one")
        return self
