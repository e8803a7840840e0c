"""Settings of the cache's warming ahead of announced visits."""

from pydantic import Field

from stream_assoc.settings.section import Section


class WarmingSettings(Section):
    """How the cache is filled ahead of announced visits (kafka.next_visits_topic)."""

    enabled: bool = Field(
        default=False,
        description="Whether `serve` warms too, in a process of its own; `stream-assoc cache warm --follow` always "
        "does.",
    )
    group_id: str | None = Field(
        default=None,
        min_length=1,
        description="Consumer group of those who warm: each visit is warmed by one. Unset: kafka.group_id and "
        "`-warming`.",
    )
    radius_deg: float = Field(
        default=1.9,
        gt=0,
        le=20,
        description="Radius of the sky around an announced position, degrees. Rubin's field of view has 1.75; the "
        "camera's rotation does not matter then.",
    )
    instruments: tuple[str, ...] = Field(
        default=(),
        description="Cameras whose visits are warmed, by the `instrument` of the announcement; it may be left out "
        "there. None: every camera's.",
    )
    share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Largest share of the time that is spent on warming; the rest of it is a pause after each tenth "
        "of a second or so. Inside `serve` it also waits for the batches in hand.",
    )
    ahead_seconds: float = Field(
        default=600.0,
        gt=0,
        description="Earliest time before a visit begins at which its sky is warmed, seconds. Announcements of a "
        "whole night may come at once.",
    )
    past_after_seconds: float = Field(
        default=120.0,
        gt=0,
        description="A visit that began so long ago is past, and its announcement dropped, seconds. Without a "
        "`startTime` the visit begins when it is announced.",
    )
