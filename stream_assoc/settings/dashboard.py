"""Settings of the dashboard."""

from pydantic import Field

from stream_assoc.settings.section import Section


class DashboardSettings(Section):
    """The web page that shows what happens and what is stored."""

    enabled: bool = Field(
        default=False, description="Whether `serve` serves the dashboard too; `stream-assoc dashboard` always does."
    )
    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address it listens on. It asks nobody for a password: put a proxy that does before any other "
        "than this machine's own.",
    )
    port: int = Field(default=8765, ge=0, le=65535, description="HTTP port; 0 picks a free one.")
    allowed_hosts: tuple[str, ...] = Field(
        default=(),
        description="Names under which browsers may reach it, besides localhost and dashboard.host. A request with "
        "another Host header is refused.",
    )
    history: int = Field(
        default=2000, ge=1, le=100_000, description="Most batches kept in memory, and shown to a page that opens."
    )
