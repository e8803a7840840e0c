"""``AssociationTask``: DIASources to DIAObjects, on data frames.

Counterpart of ``lsst.ap.association.association`` (June 2026). The work is that
of `stream_assoc.core.association`, which the daemon runs too.
"""

from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np
import pandas as pd

from stream_assoc.core.association.associator import AssociationConfig as AssociatorConfig
from stream_assoc.core.association.associator import Associator, SourcePositions
from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.positions import wrapped_ra
from stream_assoc.core.model.types import Float32Array, FloatArray, IntArray
from stream_assoc.tasks.exceptions import CatalogError
from stream_assoc.tasks.frames import floats, has_column, identifiers, with_plain_index


@dataclass(slots=True)
class AssociationConfig:
    """Settings of `AssociationTask`; the defaults are upstream's.

    Like upstream's, a configuration may be changed until a task is made of it.

    Attributes
    ----------
    maxDistArcSeconds : `float`
        Largest separation of a source and its object, arcseconds.
    sigmaFloorArcSeconds : `float`
        Least combined position error of a pair in either axis, arcseconds.
    fallbackSigmaArcSeconds : `float`
        Position error of a source or an object that has none, arcseconds.
    """

    maxDistArcSeconds: float = 1.0
    sigmaFloorArcSeconds: float = 0.05
    fallbackSigmaArcSeconds: float = 0.2


@dataclass(frozen=True, slots=True)
class AssociationResult:
    """What `AssociationTask.run` returns.

    Attributes
    ----------
    matchedDiaSources : `pandas.DataFrame`
        Sources that joined an object, its id in ``diaObjectId`` (int64).
    unAssocDiaSources : `pandas.DataFrame`
        Sources that did not, ``diaObjectId`` 0.
    nUpdatedDiaObjects : `int`
        Objects that were joined.
    nUnassociatedDiaObjects : `int`
        Objects that were not.
    """

    matchedDiaSources: pd.DataFrame
    unAssocDiaSources: pd.DataFrame
    nUpdatedDiaObjects: int
    nUnassociatedDiaObjects: int


class AssociationTask:
    """Associate new DIASources with existing DIAObjects.

    Parameters
    ----------
    config : `AssociationConfig`, optional

    Raises
    ------
    AssociationConfigError
        If a setting is not a positive number of arcseconds.
    """

    ConfigClass: ClassVar = AssociationConfig

    def __init__(self, config: AssociationConfig | None = None) -> None:
        self.config = config if config is not None else AssociationConfig()
        self._associator = Associator(
            AssociatorConfig(
                max_distance_arcsec=self.config.maxDistArcSeconds,
                sigma_floor_arcsec=self.config.sigmaFloorArcSeconds,
                fallback_sigma_arcsec=self.config.fallbackSigmaArcSeconds,
            )
        )

    def run(self, diaSources: pd.DataFrame, diaObjects: pd.DataFrame) -> AssociationResult:
        """Match every source with at most one object, and every object with at most one source.

        Parameters
        ----------
        diaSources : `pandas.DataFrame`
            New sources: ``ra``, ``dec``, and if there are ``raErr``,
            ``decErr``, all degrees. Not changed.
        diaObjects : `pandas.DataFrame`
            Existing objects: the same columns, and ``diaObjectId`` (int64) as
            column or index. Not changed. A frame without rows needs no columns,
            here and for sources: nothing is known yet, or nothing was seen.

        Returns
        -------
        result : `AssociationResult`
            All columns of ``diaSources`` in their types, rows in their order,
            indexed from 0. Sources without a position on the sphere are in
            neither frame.

        Raises
        ------
        MissingColumnError
            If a column is missing.
        CatalogError
            If ``diaObjectId`` is no integer, not positive, or occurs twice.
        TooManyCandidatesError
            If millions of pairs are within the radius.

        Notes
        -----
        What is matched is upstream's; see `~stream_assoc.core.association.associator.Associator`.
        """
        diaSources, diaObjects = _with_columns(diaSources), _with_columns(diaObjects, "diaObjectId")
        object_ids = _object_ids(diaObjects)
        result = self._associator.associate(_source_positions(diaSources), _object_positions(diaObjects, object_ids))
        matched = result.object_row >= 0
        ids = np.zeros(len(diaSources), np.int64)
        ids[matched] = object_ids[result.object_row[matched]]
        sources = with_plain_index(diaSources).assign(diaObjectId=ids)
        n_updated = int(np.count_nonzero(matched))
        return AssociationResult(
            matchedDiaSources=sources[matched].reset_index(drop=True),
            unAssocDiaSources=sources[~matched & ~result.dropped].reset_index(drop=True),
            nUpdatedDiaObjects=n_updated,
            nUnassociatedDiaObjects=len(diaObjects) - n_updated,
        )


def _with_columns(frame: pd.DataFrame, *identifiers: str) -> pd.DataFrame:
    """Return a frame; one without rows gets the columns that are read."""
    if len(frame):
        return frame
    missing = [name for name in (*identifiers, "ra", "dec") if not has_column(frame, name)]
    return frame.assign(**{name: np.empty(0, np.int64 if name in identifiers else np.float64) for name in missing})


def _object_ids(frame: pd.DataFrame) -> IntArray:
    ids = identifiers(frame, "diaObjectId")
    if len(ids) and ids.min() <= 0:
        raise CatalogError(f"diaObjectId {ids.min()} is not positive; zero and below mean that there is none")
    ordered = np.sort(ids)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(repeated):
        raise CatalogError(f"diaObjectId {repeated[0]} occurs more than once; give each object once, as it is now")
    return ids


def _source_positions(frame: pd.DataFrame) -> SourcePositions:
    return SourcePositions(wrapped_ra(floats(frame, "ra")), floats(frame, "dec"), *_errors(frame))


def _object_positions(frame: pd.DataFrame, object_ids: IntArray) -> ObjectPositions:
    raErr, decErr = _errors(frame)
    return ObjectPositions(
        diaObjectId=object_ids,
        ra=wrapped_ra(floats(frame, "ra")),
        dec=floats(frame, "dec"),
        # A frame may hold errors in float64, as upstream's do; rounding them would change its scores.
        raErr=cast("Float32Array", raErr),
        decErr=cast("Float32Array", decErr),
        validityStartMjdTai=np.full(len(frame), np.nan),
        nDiaSources=np.zeros(len(frame), np.int32),
    )


def _errors(frame: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    """Return both position errors: a catalogue without them is matched by distance, as upstream does."""
    if has_column(frame, "raErr") and has_column(frame, "decErr"):
        return floats(frame, "raErr"), floats(frame, "decErr")
    return np.full(len(frame), np.nan), np.full(len(frame), np.nan)
