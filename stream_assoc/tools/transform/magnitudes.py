"""Magnitudes of a difference image, and the fluxes they stand for."""

from typing import Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, model_validator

from stream_assoc.core.model.types import FloatArray
from stream_assoc.tools.transform.conversion import plain

AB_OF_1_NJY: Final = 31.4
"""AB magnitude of 1 nJy: its zero point of 48.6, at 3631 Jy, in other units."""

_PER_MAGNITUDE: Final = np.log(10.0) / 2.5


class AbFlux(BaseModel):
    """A flux in nJy, its error, or the ratio of both, of an AB magnitude.

    Attributes
    ----------
    magnitude : `str`
        The column with the magnitude.
    error : `str`, optional
        The column with its standard deviation, in magnitudes.
    sign : `str`, optional
        The column that tells whether the source is brighter than the
        template, or fainter; by default all are brighter.
    negative : `tuple`, optional
        Values of ``sign`` of those that are fainter: their flux is negative.
    gives : ``"flux"``, ``"error"`` or ``"snr"``
        What the result is. The last two are positive.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    magnitude: str
    error: str | None = None
    sign: str | None = None
    negative: tuple[bool | int | float | str, ...] = ()
    gives: Literal["flux", "error", "snr"] = "flux"

    @model_validator(mode="after")
    def _error_is_given(self) -> "AbFlux":
        if self.gives != "flux" and self.error is None:
            raise ValueError(f"{self.gives} of a magnitude needs its error")
        if (self.sign is None) != (not self.negative):
            raise ValueError("give both sign and negative, or neither")
        return self

    @property
    def inputs(self) -> tuple[str, ...]:
        """Every column that is read."""
        return tuple(name for name in (self.magnitude, self.error, self.sign) if name is not None)

    def evaluate(self, table: pa.Table) -> pa.Array:
        """Return float64, null where a column is."""
        flux = 10.0 ** ((AB_OF_1_NJY - _numbers(table, self.magnitude)) / 2.5)
        if self.sign is not None:
            sign = plain(table.column(self.sign))
            fainter = pc.is_in(sign, pa.array(self.negative).cast(sign.type))
            factor = pc.if_else(sign.is_valid(), pc.if_else(fainter, -1.0, 1.0), None)
            flux *= np.asarray(factor.to_numpy(zero_copy_only=False), np.float64)
        if self.gives != "flux" and self.error is not None:
            share = _numbers(table, self.error) * _PER_MAGNITUDE
            with np.errstate(divide="ignore"):
                flux = np.abs(flux) * share if self.gives == "error" else 1.0 / share
        return pa.array(flux, mask=~np.isfinite(flux))


def _numbers(table: pa.Table, column: str) -> FloatArray:
    values = plain(table.column(column)).cast(pa.float64())
    return np.asarray(values.to_numpy(zero_copy_only=False), np.float64)
