"""Which unmatched sources are good enough to become DIAObjects."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stream_assoc.core.exceptions import AssociationConfigError, TooManyNewObjectsError
from stream_assoc.core.model.schema import apdb_table
from stream_assoc.core.model.types import BAD_FLAGS, BoolArray, FloatArray

__all__ = ["NewObjectConfig", "TooManyNewObjectsError", "eligible"]


@dataclass(frozen=True, slots=True)
class NewObjectConfig:
    """Settings of object creation; the defaults are upstream's.

    Attributes
    ----------
    bad_flags : `tuple` [`str`, ...]
        DiaSource flags none of which a new object's source may carry.
    min_reliability : `float` or `None`
        Least reliability; `None` for no cut.
    min_snr : `float` or `None`
        Least abs(flux / error); `None` for no cut.
    low_reliability_snr, low_snr_reliability : `float` or `None`
        A source below both, in signal-to-noise and in reliability, is not
        good enough; `None` in either for no such cut.
    flux_column : `str`
        The flux of the signal-to-noise cuts; its error is the column of that
        name with ``Err``.
    max_new_dia_objects : `int` or `None`
        A batch that would make more is refused; `None` for no limit.

    Raises
    ------
    AssociationConfigError
        If a column is not one of the DiaSource schema, or not of the kind needed.
    """

    bad_flags: tuple[str, ...] = BAD_FLAGS
    min_reliability: float | None = 0.1
    min_snr: float | None = None
    low_reliability_snr: float | None = None
    low_snr_reliability: float | None = None
    flux_column: str = "apFlux"
    max_new_dia_objects: int | None = None

    def __post_init__(self) -> None:
        flags = {column.name for column in apdb_table("DiaSource").columns if column.datatype == "boolean"}
        unknown = [name for name in self.bad_flags if name not in flags]
        if unknown:
            raise AssociationConfigError(f"new_objects.bad_flags names no DiaSource flag: {', '.join(unknown)}")
        names = apdb_table("DiaSource").names
        if self.flux_column not in names or f"{self.flux_column}Err" not in names:
            raise AssociationConfigError(
                f"new_objects.flux_column = {self.flux_column!r}: DiaSource has no such flux with an error"
            )


def eligible(sources: pa.RecordBatch, config: NewObjectConfig) -> BoolArray:
    """Tell which sources may become new DIAObjects.

    Parameters
    ----------
    sources : `pyarrow.RecordBatch`
        DIASources with the columns that the settings name.
    config : `NewObjectConfig`

    Returns
    -------
    mask : `numpy.ndarray` [bool], shape (n_sources,)

    Notes
    -----
    As in upstream's ``DiaPipelineTask.filterSources``, only what is known to be
    bad counts against a source: a flag that is null counts as not set, and a
    reliability or signal-to-noise ratio that is null or NaN fails no cut,
    because it compares as not less than any threshold.
    """
    bad = np.zeros(sources.num_rows, dtype=np.bool_)
    for name in config.bad_flags:
        flags = sources.column(name)
        if flags.true_count:
            bad |= pc.fill_null(flags, False).to_numpy(zero_copy_only=False)
    if config.min_reliability is not None:
        bad |= _floats(sources, "reliability") < config.min_reliability
    if config.min_snr is not None:
        bad |= _snr(sources, config.flux_column) < config.min_snr
    if config.low_reliability_snr is not None and config.low_snr_reliability is not None:
        faint = _snr(sources, config.flux_column) < config.low_reliability_snr
        bad |= faint & (_floats(sources, "reliability") < config.low_snr_reliability)
    return ~bad


def _snr(sources: pa.RecordBatch, flux_column: str) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.abs(_floats(sources, flux_column) / _floats(sources, f"{flux_column}Err"))


def _floats(sources: pa.RecordBatch, name: str) -> FloatArray:
    values = sources.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.asarray(values, dtype=np.float64)
