"""What a visit's pipeline takes and gives, by upstream's names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

VISIT: Final = ("instrument", "visit", "detector")
GROUP: Final = ("instrument", "group", "detector")
"""Dimensions of what is loaded before the shutter closes, when the visit has no number yet."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A named input or output.

    Attributes
    ----------
    name : `str`
        The dataset type of Rubin's Butler, with the templates ``coaddName``
        and ``fakesType``.
    kind : ``"input"`` or ``"output"``
    storageClass : `str`
        Its type in the Butler.
    dimensions : `tuple` [`str`, ...]
        What it is one of.
    place : `str`
        Where it comes from, or goes to, here.
    """

    name: str
    kind: Literal["input", "output"]
    storageClass: str
    dimensions: tuple[str, ...]
    place: str


CONNECTIONS: Final[Mapping[str, Connection]] = {
    "diaSourceTable": Connection(
        "{fakesType}{coaddName}Diff_diaSrcTable",
        "input",
        "DataFrame",
        VISIT,
        "diaSources of the batch message, or the first argument of DiaPipelineTask.run",
    ),
    "solarSystemObjectTable": Connection(
        "preloaded_SsObjects",
        "input",
        "ArrowAstropy",
        GROUP,
        "solarSystemObjects of the batch message; positions at the midpoint, already predicted",
    ),
    "diffIm": Connection(
        "{fakesType}{coaddName}Diff_differenceExp",
        "input",
        "ExposureF",
        VISIT,
        "visit, detector, band, midpoint and footprint of the batch message; the pixels by differenceImageUri",
    ),
    "exposure": Connection(
        "{fakesType}calexp", "input", "ExposureF", VISIT, "the pixels by scienceImageUri of the batch message"
    ),
    "preloadedDiaObjects": Connection(
        "preloaded_diaObjects", "input", "DataFrame", GROUP, "the cached tiles, else DiaObjectLast of the APDB"
    ),
    "preloadedDiaSources": Connection(
        "preloaded_diaSources",
        "input",
        "DataFrame",
        GROUP,
        "the cached states of the objects that matched, else DiaSource of the APDB",
    ),
    "apdbMarker": Connection(
        "apdb_marker", "output", "Config", VISIT, "the row of StreamAssocLedger; apdbMarker of the result"
    ),
    "associatedDiaSources": Connection(
        "{fakesType}{coaddName}Diff_assocDiaSrc", "output", "ArrowAstropy", VISIT, "DiaSource of the APDB"
    ),
    "associatedSsSources": Connection(
        "{fakesType}{coaddName}Diff_associatedSsSources",
        "output",
        "ArrowAstropy",
        VISIT,
        "rows of DiaSource with an ssObjectId",
    ),
    "unassociatedSsObjects": Connection(
        "ssUnassociatedObjects", "output", "ArrowAstropy", VISIT, "unassociatedSsObjects of the result"
    ),
    "diaForcedSources": Connection(
        "{fakesType}{coaddName}Diff_diaForcedSrc", "output", "ArrowAstropy", VISIT, "DiaForcedSource of the APDB"
    ),
    "diaObjects": Connection(
        "{fakesType}{coaddName}Diff_diaObject",
        "output",
        "ArrowAstropy",
        VISIT,
        "DiaObject and DiaObjectLast of the APDB, and the topic dia-objects",
    ),
    "newDiaSources": Connection(
        "{fakesType}new_dia_source",
        "output",
        "ArrowAstropy",
        VISIT,
        "rows of DiaSource whose diaObjectId is their diaSourceId",
    ),
    "marginalDiaSources": Connection(
        "{fakesType}marginal_new_dia_source",
        "output",
        "ArrowAstropy",
        VISIT,
        "marginalDiaSources of the result; counted in the metrics, not stored",
    ),
}
"""Every connection of upstream's DiaPipelineConnections that has a place here."""


class DiaPipelineConnections:
    """The inputs and outputs of `DiaPipelineTask`, as it is configured.

    Parameters
    ----------
    solar_system : `bool`
        Whether known solar-system objects are associated.
    forced_photometry : `bool`
        Whether fluxes are measured at the positions of the objects.
    filter_sources : `bool`
        Whether unmatched sources are judged before they become objects.

    Attributes
    ----------
    inputs, outputs : `dict` [`str`, `Connection`]
        By upstream's names.

    Notes
    -----
    Upstream's ``template`` and ``preloadedDiaForcedSources`` serve its alert
    packets only, and have no place here.
    """

    def __init__(
        self, *, solar_system: bool = True, forced_photometry: bool = True, filter_sources: bool = True
    ) -> None:
        left_out: set[str] = set()
        if not solar_system:
            left_out |= {"solarSystemObjectTable", "associatedSsSources", "unassociatedSsObjects"}
        if not forced_photometry:
            left_out |= {"exposure", "diaForcedSources"}
        if not filter_sources:
            left_out |= {"marginalDiaSources"}
        present = {name: connection for name, connection in CONNECTIONS.items() if name not in left_out}
        self.inputs = {name: connection for name, connection in present.items() if connection.kind == "input"}
        self.outputs = {name: connection for name, connection in present.items() if connection.kind == "output"}
