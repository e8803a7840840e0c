"""Statistics of many objects at once: fold, rebuild, read out."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.forced import ForcedPoints
from stream_assoc.core.model.further_statistics import further_statistics
from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.states import N_BANDS, LightCurves, ObjectHistories, ObjectStates, SourcePoints
from stream_assoc.core.model.types import BANDS, Float32Array, FloatArray, IntArray
from stream_assoc.core.statistics import layout, rows
from stream_assoc.core.statistics.light_curves import append_one_each, compilable, curves_of, joined
from stream_assoc.core.statistics.plugin import (
    BandPlugin,
    ForcedPlugin,
    LightCurvePlugin,
    ObjectPlugin,
    needs_history,
)
from stream_assoc.core.statistics.registry import CORE_PLUGINS, PRODUCTION_PLUGINS, find_plugin


class StatisticsCalculator:
    """Folds sources into object states, and states into DiaObject rows.

    A state is a function of the sequence of its sources alone: `rebuild` over
    a history gives the very bits that `update` gave, source by source. All
    methods are pure; a calculator may be shared by threads.

    Parameters
    ----------
    plugins : `~collections.abc.Sequence` [`str`]
        Names from the registry. The position, the number of sources and the
        times of the first and the last one are always computed too.

    Attributes
    ----------
    layout : `str`
        Digest of what a state means: plugins, their versions and fields,
        and whether light curves are kept. States of different layouts must never meet.
    n_object_fields, n_band_fields : `int`
        Widths of the two field arrays.
    object_field_names, band_field_names : `tuple` [`str`, ...]
        What each column of the two field arrays is, as ``plugin.field``.
    initial_band_fields : `numpy.ndarray` [float64], shape (n_band_fields,)
        Fields of a band that has no point yet.
    plugin_columns : `tuple` [`str`, ...]
        Columns that only plugins of other packages have: neither DiaObject's
        nor `~stream_assoc.core.model.further_statistics`.
    computes_further : `bool`
        Whether any statistic is a column of `further_rows`.
    folds_forced : `bool`
        Whether forced sources count. If so, `fold_forced` follows every
        `update` and `rebuild`.

    Raises
    ------
    PluginError
        If a plugin is unknown, two of them make the same column, or a column
        cannot be one of a database.

    Notes
    -----
    Fluxes should come as the APDB stores them, float32 values widened to
    float64, or a rebuild from the database cannot reproduce the same bits.
    """

    def __init__(self, plugins: Sequence[str] = PRODUCTION_PLUGINS) -> None:
        chosen = [find_plugin(name) for name in dict.fromkeys((*CORE_PLUGINS, *plugins))]
        self._object_plugins = [plugin for plugin in chosen if not isinstance(plugin, BandPlugin)]
        self._band_plugins = [plugin for plugin in chosen if isinstance(plugin, BandPlugin)]
        self._object_places = layout.places(self._object_plugins)
        self._band_places = layout.places(self._band_plugins)
        # Sorted here once: what a protocol asks is slow to answer.
        self._folds_sources = [
            (plugin, place) for plugin, place in self._object_places if isinstance(plugin, ObjectPlugin)
        ]
        self._folds_curves = [
            (plugin, place) for plugin, place in self._object_places if isinstance(plugin, LightCurvePlugin)
        ]
        self._folds_forced = [
            (plugin, place) for plugin, place in self._band_places if isinstance(plugin, ForcedPlugin)
        ]
        layout.check_columns(self._object_plugins, self._band_plugins)
        computed = layout.column_names(self._object_plugins, self._band_plugins)
        ours = frozenset(column.name for column in further_statistics())
        self.plugin_columns = tuple(name for name in computed if name not in ours | rows.stored_columns())
        self.computes_further = not ours.union(self.plugin_columns).isdisjoint(computed)
        self.folds_forced = bool(self._folds_forced)
        self._keeps_curves = any(needs_history(plugin) for plugin in chosen)
        self._initial_object = layout.initial_fields(self._object_plugins)
        self.initial_band_fields = layout.initial_fields(self._band_plugins)
        self.object_field_names = layout.field_names(self._object_plugins)
        self.band_field_names = layout.field_names(self._band_plugins)
        self.n_object_fields = len(self._initial_object)
        self.n_band_fields = len(self.initial_band_fields)
        self.layout = layout.digest(self._object_plugins, self._band_plugins, self._keeps_curves)

    def new_states(
        self, diaObjectId: IntArray, raErr: Float32Array, decErr: Float32Array, ra_dec_Cov: Float32Array
    ) -> ObjectStates:
        """Return states of objects that have no source yet.

        Parameters
        ----------
        diaObjectId : `numpy.ndarray` [int64], shape (n,)
        raErr, decErr, ra_dec_Cov : `numpy.ndarray` [float32], shape (n,)
            Of the object's first source; NaN where missing.

        Returns
        -------
        states : `ObjectStates`
            ``validityStartMjdTai`` is NaN until the first update.
        """
        n = len(diaObjectId)
        return ObjectStates(
            diaObjectId=diaObjectId,
            validityStartMjdTai=np.full(n, np.nan),
            raErr=raErr,
            decErr=decErr,
            ra_dec_Cov=ra_dec_Cov,
            object_fields=np.tile(self._initial_object, (n, 1)),
            band_fields=np.tile(self.initial_band_fields, (n, N_BANDS, 1)),
            curves=LightCurves.empty(n * N_BANDS),
        )

    def no_states(self) -> ObjectStates:
        """Return the states of no object."""
        nothing = np.empty(0, np.float32)
        return self.new_states(np.empty(0, np.int64), nothing, nothing, nothing)

    def update(
        self, states: ObjectStates, points: SourcePoints, validityStartMjdTai: float, *, in_place: bool = False
    ) -> ObjectStates:
        """Return the states after one more source each.

        Parameters
        ----------
        states : `ObjectStates`
            Not changed, unless ``in_place``.
        points : `SourcePoints`
            Point ``i`` belongs to object ``i``.
        validityStartMjdTai : `float`
            The version that the new states belong to, MJD TAI.
        in_place : `bool`, optional
            Whether the field arrays of ``states``, which nobody needs any more, may become those of the new states.

        Raises
        ------
        ValueError
            If there is not exactly one point a state, or the states are of
            another layout.
        """
        if len(points) != len(states):
            raise ValueError(f"{len(points)} points for {len(states)} states: there must be one each")
        self._check_layout(states)
        points = compilable(points)
        n = len(points)
        curves = append_one_each(states.curves, points) if self._keeps_curves else states.curves
        updated = replace(
            states if in_place else states.with_own_fields(),
            validityStartMjdTai=np.full(n, validityStartMjdTai),
            curves=curves,
        )
        self._fold_sources(updated, points, np.arange(n + 1, dtype=np.int64))
        self._fold_one_each(updated, points)
        if self._folds_curves:
            self._fold_whole(updated, curves, curves.offsets[:-1] + np.diff(states.curves.offsets))
        return updated

    def rebuild(self, histories: ObjectHistories, onto: ObjectStates | None = None) -> ObjectStates:
        """Return the states that folding these histories source by source gives.

        Parameters
        ----------
        histories : `ObjectHistories`
            Sources of each object in the order they were processed.
        onto : `ObjectStates`, optional
            Earlier states of the same objects, in the same order, to which the
            sources are added; not changed. By default those without a source.

        Raises
        ------
        ValueError
            If the earlier states are of other objects or of another layout.
        """
        n = len(histories.diaObjectId)
        errors = histories.raErr, histories.decErr, histories.ra_dec_Cov
        before = self.new_states(histories.diaObjectId, *errors) if onto is None else onto.with_own_fields()
        self._check_layout(before)
        if not np.array_equal(before.diaObjectId, histories.diaObjectId):
            raise ValueError("the earlier states are not those of the objects whose histories are folded onto them")
        points = compilable(histories.points)
        offsets = np.require(histories.offsets, np.int64, ("C", "W"))
        owners = np.repeat(np.arange(n, dtype=np.int64), np.diff(offsets))
        curves = joined(before.curves, curves_of(points, owners, n))
        states = replace(
            before,
            validityStartMjdTai=histories.validityStartMjdTai,
            raErr=histories.raErr,
            decErr=histories.decErr,
            ra_dec_Cov=histories.ra_dec_Cov,
            curves=curves if self._keeps_curves else LightCurves.empty(curves.n_slots),
        )
        self._fold_sources(states, points, offsets)
        if len(points) > 0:
            starts = curves.offsets[:-1] + np.diff(before.curves.offsets)
            self._fold_bands(states.band_fields.reshape(n * N_BANDS, self.n_band_fields), curves, starts)
            self._fold_whole(states, curves, starts)
        return states

    def fold_forced(self, states: ObjectStates, points: ForcedPoints) -> ObjectStates:
        """Return the states after some forced sources more.

        Parameters
        ----------
        states : `ObjectStates`
            Not changed.
        points : `ForcedPoints`
            Of an object in the order of time; those of objects that are not
            among the states are passed over.
        """
        chosen, rows = _found(points.diaObjectId, states.diaObjectId)
        if not len(chosen):
            return states
        slots = rows * N_BANDS + points.band[chosen]
        band_fields = np.array(states.band_fields, order="C")
        flat = band_fields.reshape(len(states) * N_BANDS, self.n_band_fields)
        for plugin, fields in self._folds_forced:
            plugin.fold_forced(flat[:, fields], slots, points.psfFlux[chosen], points.psfFluxErr[chosen])
        return replace(states, band_fields=band_fields)

    def positions(self, states: ObjectStates) -> ObjectPositions:
        """Return the current mean positions, as the next association needs them."""
        values = self._object_values(states)
        return ObjectPositions(
            diaObjectId=states.diaObjectId,
            ra=values["ra"],
            dec=values["dec"],
            raErr=states.raErr,
            decErr=states.decErr,
            validityStartMjdTai=states.validityStartMjdTai,
            nDiaSources=values["nDiaSources"].astype(np.int32),
        )

    def statistics(self, states: ObjectStates) -> dict[str, FloatArray]:
        """Return every column the plugins compute, in float64, NaN where undefined.

        Returns
        -------
        statistics : `dict` [`str`, `numpy.ndarray`], each of shape (n,)
            Object columns, then those of each band in the order of ``BANDS``.
        """
        self._check_layout(states)
        statistics = self._object_values(states)
        by_field = layout.by_field(states.band_fields)
        by_column = {
            name: values.reshape(N_BANDS, len(states))
            for plugin, place in self._band_places
            for name, values in layout.values_of(plugin, by_field[:, place]).items()
        }
        for index, band in enumerate(BANDS):
            statistics |= {f"{band}_{name}": values[index] for name, values in by_column.items()}
        return statistics

    def rows(self, states: ObjectStates) -> tuple[pa.Table, pa.Table]:
        """Return the rows of the states in the APDB, one each, in order.

        Returns
        -------
        dia_objects : `pyarrow.Table`
            The APDB's columns of DiaObject and ``pixelId``; NaN becomes null,
            ``validityEndMjdTai`` and what no plugin computes is null.
        further : `pyarrow.Table`
            The statistics that DiaObject has no column for: those of
            `~stream_assoc.core.model.further_statistics`, and those of plugins
            of other packages, `plugin_columns`.

        Raises
        ------
        InvalidPositionError
            If an object has no position, which one with a valid source cannot be.
        """
        statistics = self.statistics(states)
        return rows.dia_object_rows(states, statistics), rows.further_rows(states, statistics, self.plugin_columns)

    def object_rows(self, states: ObjectStates) -> pa.Table:
        """Return the DiaObject rows of the states alone; see `rows`."""
        return self.rows(states)[0]

    def further_rows(self, states: ObjectStates) -> pa.Table:
        """Return the statistics that DiaObject has no column for alone; see `rows`."""
        return self.rows(states)[1]

    def _object_values(self, states: ObjectStates) -> dict[str, FloatArray]:
        return {
            name: values
            for plugin, place in self._object_places
            for name, values in layout.values_of(plugin, states.object_fields[:, place]).items()
        }

    def _fold_sources(self, states: ObjectStates, points: SourcePoints, offsets: IntArray) -> None:
        if len(points) > 0:
            for plugin, place in self._folds_sources:
                plugin.fold_sources(states.object_fields[:, place], points, offsets)

    def _fold_one_each(self, states: ObjectStates, points: SourcePoints) -> None:
        """Fold the last point of each object; its other bands are not looked at."""
        n = len(points)
        slots = np.arange(n, dtype=np.int64) * N_BANDS + points.band
        if self._keeps_curves:
            curves = states.curves.take(slots)
        else:
            curves = LightCurves(
                np.arange(n + 1, dtype=np.int64), *(getattr(points, name) for name in LightCurves.COLUMNS)
            )
        flat = states.band_fields.reshape(n * N_BANDS, self.n_band_fields)
        fields = flat[slots]
        self._fold_bands(fields, curves, curves.offsets[1:] - 1)
        flat[slots] = fields

    def _fold_bands(self, fields: FloatArray, curves: LightCurves, starts: IntArray) -> None:
        for plugin, place in self._band_places:
            plugin.fold(fields[:, place], curves, starts)

    def _fold_whole(self, states: ObjectStates, curves: LightCurves, starts: IntArray) -> None:
        for plugin, place in self._folds_curves:
            plugin.fold_light_curves(states.object_fields[:, place], curves, starts)

    def _check_layout(self, states: ObjectStates) -> None:
        widths = states.object_fields.shape[1], states.band_fields.shape[2]
        if widths != (self.n_object_fields, self.n_band_fields):
            raise ValueError(
                f"the states have {widths} object and band fields, this calculator ({self.layout}) "
                f"{self.n_object_fields, self.n_band_fields}: they come from other plugins"
            )


def _found(wanted: IntArray, ids: IntArray) -> tuple[IntArray, IntArray]:
    """Return which of the wanted are among the ids, and where."""
    order = np.argsort(ids)
    place = np.searchsorted(ids, wanted, sorter=order)
    within = np.flatnonzero(place < len(ids))
    rows = order[place[within]]
    same = ids[rows] == wanted[within]
    return within[same], rows[same]
