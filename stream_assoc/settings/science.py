"""Settings that decide results: association, new objects, statistics, sky."""

import difflib
from typing import Annotated, Self, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from stream_assoc.core.model.types import BAD_FLAGS
from stream_assoc.settings.secrets import redacted
from stream_assoc.settings.section import Section


def _are_flags(names: tuple[str, ...]) -> tuple[str, ...]:
    if set(names) <= set(BAD_FLAGS):
        return names
    # The schema takes as long to read as all settings together, and few set another flag than these.
    from stream_assoc.core.model.schema import apdb_table

    flags = [column.name for column in apdb_table("DiaSource").columns if column.datatype == "boolean"]
    for name in names:
        if name not in flags:
            near = difflib.get_close_matches(name, flags, n=1, cutoff=0.0)[0]
            raise ValueError(f"{redacted(name)!r} is no flag column of DiaSource; did you mean {near}?")
    return names


FlagColumns: TypeAlias = Annotated[tuple[str, ...], AfterValidator(_are_flags)]
"""Names of DiaSource's flags, each of which the schema has."""


class AssociationSettings(Section):
    """How sources are matched with objects."""

    max_distance_arcsec: float = Field(default=1.0, gt=0, le=60, description="Largest separation of a match, arcsec.")
    sigma_floor_arcsec: float = Field(
        default=0.05, gt=0, le=60, description="Smallest combined position error of a pair in the score, arcsec."
    )
    fallback_sigma_arcsec: float = Field(
        default=0.2, gt=0, le=60, description="Position error assumed where a catalogue gives none, arcsec."
    )
    solar_system_radius_arcsec: float = Field(
        default=1.0, gt=0, le=60, description="Largest separation from a predicted solar-system object, arcsec."
    )
    max_candidate_pairs: int = Field(
        default=2_000_000,
        ge=1,
        le=100_000_000,
        description="Most pairs of a source and an object within these separations; a batch with more becomes a dead"
        " letter. A million pairs take a second and 200 MB.",
    )
    keep_solar_system_ids: bool = Field(
        default=True,
        description="Whether a source that carries an ssObjectId belongs to that object, so that it neither joins "
        "nor creates a DIAObject. Off: the producer's ssObjectId is ignored.",
    )


class NewObjectSettings(Section):
    """Which unmatched sources create objects."""

    bad_flags: FlagColumns = Field(
        default=BAD_FLAGS, description="DiaSource flag columns; a source with one of them set creates no object."
    )
    min_reliability: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Lowest reliability of a source that creates an object, 0 to 1. 0: no cut.",
    )
    min_snr: float | None = Field(
        default=None,
        ge=0,
        description="Lowest signal-to-noise ratio of a source that creates an object. Unset: no cut.",
    )
    max_new_dia_objects: int | None = Field(
        default=None,
        ge=1,
        description="Most objects that one batch may create; a batch that would create more becomes a dead letter. "
        "Unset: no limit.",
    )


class StatisticsSettings(Section):
    """Which summary statistics objects carry."""

    plugins: tuple[str, ...] | None = Field(
        default=None,
        description="Names of the statistics plugins to run, in any order. An empty list: only those that always "
        "run. Unset: the production set.",
    )
    flag_columns: FlagColumns = Field(
        default=(),
        description="DiaSource flag columns; an object is flagged when one of them is set in any of its sources.",
    )
    checkpoint_every: int = Field(
        default=16,
        ge=0,
        le=10_000,
        description="An object's state is kept in the APDB once in so many sources, so that one that is not in Redis "
        "is folded from the sources since. 0: never.",
    )


class SkySettings(Section):
    """How the sky is divided. An APDB remembers its levels; `apdb init --repartition` changes them."""

    tile_level: int = Field(
        default=10, ge=2, le=20, description="HTM level of the tiles that positions are cached in."
    )
    cell_level: int = Field(
        default=8, ge=2, le=13, description="HTM level of the cells that locks cover; at most tile_level."
    )
    angle_margin_arcsec: float = Field(
        default=20.0, ge=0, le=3600, description="Margin around a footprint when objects are loaded, arcsec."
    )

    @model_validator(mode="after")
    def _cells_hold_tiles(self) -> Self:
        if self.cell_level > self.tile_level:
            raise ValueError(
                f"sky.cell_level ({self.cell_level}) must not exceed sky.tile_level ({self.tile_level}): "
                "a cell holds whole tiles"
            )
        return self
