"""What a statistics plugin is, and how its loops are compiled.

A plugin owns some float64 *fields* of every state and folds new points into
them. It is stateless itself: an immutable value, shared by all calculators.

``name`` and ``version`` go into the calculator's layout digest. Raise the
version whenever the meaning of a field changes, so that states cached by an
older version are rebuilt and not misread.
"""

import math
from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias, TypeVar, cast, runtime_checkable

import numba

from stream_assoc.core.model.states import LightCurves, SourcePoints
from stream_assoc.core.model.types import FloatArray, IntArray


class Plugin(Protocol):
    """What the two kinds of plugin have in common."""

    @property
    def name(self) -> str:
        """The name users ask for it by."""

    @property
    def version(self) -> int:
        """The version of the meaning of its fields."""

    @property
    def fields(self) -> Mapping[str, float]:
        """Its fields in order, with the value each has before the first point."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Its output columns; those of a band plugin lack the ``<band>_`` prefix."""

    def values(self, fields: FloatArray) -> dict[str, FloatArray]:
        """Return each output column from the fields.

        Parameters
        ----------
        fields : `numpy.ndarray` [float64], shape (n, k)

        Returns
        -------
        values : `dict` [`str`, `numpy.ndarray`], each of shape (n,)
            NaN where the statistic is undefined.
        """


@runtime_checkable
class BandPlugin(Plugin, Protocol):
    """A statistic of each object in each band.

    One that keeps all it needs in its fields says so with a class attribute
    ``needs_history = False``. Where every chosen plugin does, no light curve
    is kept, and a new source costs the same whatever came before it.
    """

    def fold(self, fields: FloatArray, curves: LightCurves, starts: IntArray) -> None:
        """Fold new points into the fields, in place and in order.

        The result must depend only on the sequence of a slot's points, not on
        how many calls it took to fold them: bit for bit.

        Parameters
        ----------
        fields : `numpy.ndarray` [float64], shape (n_slots, k)
            A view, in general not contiguous.
        curves : `LightCurves`
            All points of every slot, the new ones last; for a plugin that
            needs no history perhaps only the new ones.
        starts : `numpy.ndarray` [int64], shape (n_slots,)
            Slot ``i`` has folded its points ``offsets[i]:starts[i]`` before;
            ``starts[i]:offsets[i + 1]`` are new.
        """


@runtime_checkable
class ForcedPlugin(BandPlugin, Protocol):
    """A statistic of each object in each band that takes in its DIAForcedSources.

    They are folded when the object gets a new version, those of visits that
    did not update it included.
    """

    def fold_forced(self, fields: FloatArray, slots: IntArray, flux: FloatArray, error: FloatArray) -> None:
        """Fold new forced sources into the fields, in place and in order; the promise is that of `BandPlugin.fold`.

        Parameters
        ----------
        fields : `numpy.ndarray` [float64], shape (n_slots, k)
            A view, in general not contiguous.
        slots : `numpy.ndarray` [int64], shape (n,)
            The object and band of each measurement, as a row of ``fields``.
        flux, error : `numpy.ndarray` [float64], shape (n,)
            ``psfFlux`` and ``psfFluxErr``, nJy, NaN where missing.
        """


@runtime_checkable
class ObjectPlugin(Plugin, Protocol):
    """A statistic of each object over all bands."""

    def fold_sources(self, fields: FloatArray, points: SourcePoints, offsets: IntArray) -> None:
        """Fold new sources into the fields, in place and in order.

        Parameters
        ----------
        fields : `numpy.ndarray` [float64], shape (n, k)
            A view, in general not contiguous.
        points : `SourcePoints`
            The new sources.
        offsets : `numpy.ndarray` [int64], shape (n + 1,)
            Object ``i`` owns the sources ``offsets[i]:offsets[i + 1]``.
        """


@runtime_checkable
class LightCurvePlugin(Plugin, Protocol):
    """A statistic of each object that needs its light curves in all bands at once."""

    def fold_light_curves(self, fields: FloatArray, curves: LightCurves, starts: IntArray) -> None:
        """Fold new points into the fields, in place; the promise is that of `BandPlugin.fold`.

        Parameters
        ----------
        fields : `numpy.ndarray` [float64], shape (n, k)
            One row an object, as for an `ObjectPlugin`; ``columns`` carry
            their band prefix themselves.
        curves : `LightCurves`
            All points, the new ones of a slot last: object ``i`` in band ``b`` is slot ``i * 6 + b``.
        starts : `numpy.ndarray` [int64], shape (n * 6,)
            Slot ``i`` has folded its points ``offsets[i]:starts[i]`` before.
        """


AnyPlugin: TypeAlias = BandPlugin | ObjectPlugin | LightCurvePlugin


def needs_history(plugin: AnyPlugin) -> bool:
    """Tell whether a plugin reads points that it has folded before."""
    return not isinstance(plugin, ObjectPlugin) and bool(getattr(plugin, "needs_history", True))


Function = TypeVar("Function", bound=Callable[..., object])


def kernel(function: Function) -> Function:
    """Compile a function with numba, on first use, and keep the result on disk.

    Division follows IEEE 754 (``error_model="numpy"``) and there is no
    fast-math: the same sequence of points must always give the same bits.

    numba notices a change of the file a kernel stands in, not of the kernels
    it calls in other files: after editing one of those, delete ``__pycache__``.
    """
    return cast("Function", numba.njit(cache=True, error_model="numpy")(function))


@kernel
def is_usable(flux: float, error: float) -> bool:
    """Tell whether a flux can be weighted by the inverse square of its error."""
    return math.isfinite(flux) and error > 0.0 and math.isfinite(1.0 / (error * error)) and math.isfinite(error)
