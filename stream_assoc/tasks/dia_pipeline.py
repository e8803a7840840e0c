"""``DiaPipelineTask``: one visit, from its sources to the APDB, without Kafka.

Counterpart of ``lsst.ap.association.diaPipe`` (June 2026). The work is done by
`stream_assoc.pipeline.process`, which the daemon runs too.
"""

from dataclasses import dataclass, replace
from types import TracebackType
from typing import ClassVar, Self

import numpy as np
import pandas as pd
import pyarrow as pa

from stream_assoc.core.exceptions import InvalidBatchError
from stream_assoc.core.model.batch import Batch, SolarSystemObjects
from stream_assoc.core.model.batch_checks import check_batch
from stream_assoc.core.model.changes import LedgerEntry
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.pipeline.batches import Arrival, Outcome, Processed, Rejected, arrive
from stream_assoc.pipeline.process import process_batches
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.cache.memory import MemoryCache
from stream_assoc.tasks.agreement import check_agreement
from stream_assoc.tasks.dia_pipeline_config import DiaPipelineConfig
from stream_assoc.tasks.exceptions import CatalogError, ExposureError, TaskConfigError, VisitProcessedError
from stream_assoc.tasks.exposure import Exposure
from stream_assoc.tasks.tables import Catalog, arrow_table, data_frame, dia_source_batch, floats, identifier_column
from stream_assoc.tasks.visit_apdb import Stored, UpstreamLimits, VisitApdb
from stream_assoc.tools.transform.batches import content_digest
from stream_assoc.wiring.pipeline import calculator_of, layout_of, services_of


@dataclass(frozen=True, slots=True)
class DiaPipelineResult:
    """What became of a visit; names as in upstream's result.

    Identifiers are int64 or ``Int64``, never floats.

    Attributes
    ----------
    apdbMarker : `~stream_assoc.core.model.changes.LedgerEntry`
        The row that makes the visit count once.
    associatedDiaSources : `pandas.DataFrame`
        The stored sources: every column of DiaSource, and ``pixelId``.
    diaObjects : `pandas.DataFrame`
        The new versions of the objects that were updated or created, and only
        these: every column of DiaObject, and ``pixelId``.
    diaForcedSources : `pandas.DataFrame`
    newDiaSources, associatedSsSources : `pandas.DataFrame`
        The stored sources that became objects, and those of known
        solar-system objects.
    marginalDiaSources : `pandas.DataFrame`
        Unmatched sources that were not good enough, with their measured
        columns; not stored.
    unassociatedSsObjects : `pandas.DataFrame`
        Expected solar-system objects that were not seen: ``ssObjectId``,
        ``ra``, ``dec``.
    metrics : `~stream_assoc.core.model.metrics.AssociationMetrics`
        What the daemon would have published.
    """

    apdbMarker: LedgerEntry
    associatedDiaSources: pd.DataFrame
    diaObjects: pd.DataFrame
    diaForcedSources: pd.DataFrame
    newDiaSources: pd.DataFrame
    associatedSsSources: pd.DataFrame
    marginalDiaSources: pd.DataFrame
    unassociatedSsObjects: pd.DataFrame
    metrics: AssociationMetrics


class DiaPipelineTask:
    """Associate, summarise and store one visit and detector after the other.

    It may run beside a daemon on the same APDB: both hold the same locks, and
    what it changes makes the daemon's cached tiles out of date. It has no
    cache of its own between visits.

    Parameters
    ----------
    config : `DiaPipelineConfig`, optional
        Read once, here.

    Raises
    ------
    TaskConfigError
        If ``history_window`` or ``purge_edge`` makes no sense.
    ApdbSchemaError
        If the database is no APDB prepared for this version.
    ApdbUnavailableError
        If it cannot be reached.
    """

    ConfigClass: ClassVar = DiaPipelineConfig

    def __init__(self, config: DiaPipelineConfig | None = None) -> None:
        self.config = replace(config) if config is not None else DiaPipelineConfig()
        if self.config.history_window is not None and not self.config.history_window > 0:
            raise TaskConfigError(
                f"history_window must be above 0 days, not {self.config.history_window}; unset: all"
            )
        if not 0 <= self.config.purge_edge <= 3600:
            raise TaskConfigError(f"purge_edge must be from 0 to 3600 arcsec, not {self.config.purge_edge}")
        settings = self.config.settings()
        self._apdb = open_apdb(
            self.config.apdb_url,
            self.config.apdb_namespace,
            tile_level=settings.sky.tile_level,
            flag_columns=settings.statistics.flag_columns,
        )
        self._apdb.expect_statistics(calculator_of(settings).plugin_columns)
        self._services = services_of(settings, self._apdb, MemoryCache(layout_of(settings)))
        photometer = self.config.diaForcedSource.photometer
        if self.config.doRunForcedMeasurement and photometer is not None:
            self._services = replace(self._services, photometer=photometer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the database."""
        self._apdb.close()

    def run(
        self,
        diaSourceTable: Catalog,
        exposure: Exposure,
        solarSystemObjectTable: Catalog | None = None,
    ) -> DiaPipelineResult:
        """Process the sources of an exposure.

        Parameters
        ----------
        diaSourceTable : `pandas.DataFrame`, `pyarrow.Table` or `astropy.table.Table`
            Columns named as in the DiaSource table, such as `MapDiaSourceTask`
            makes; see `dia_source_batch`. One that says what unit it is in is
            converted; one that does not is in Rubin's.
        exposure : `Exposure`
            The visit and where it looked.
        solarSystemObjectTable : the same types, optional
            ``ssObjectId``, ``ra`` and ``dec`` (degrees) at the midpoint. Rows
            that cannot be matched are set aside and counted
            (``numDroppedSsObjects``): no positive ``ssObjectId``, no position,
            an object listed twice.

        Returns
        -------
        result : `DiaPipelineResult`
            All of it is stored.

        Raises
        ------
        CatalogError
            If a catalogue lacks what is needed, a ``diaSourceId`` is not
            positive or occurs twice, or the catalogue has a visit, detector,
            band or time of its own that is not the exposure's.
        ExposureError
            If the band is not among ``validBands``.
        VisitProcessedError
            If the visit and detector have been processed before. Nothing was changed.
        PoisonError
            If the visit cannot be processed, for example because more objects
            would be created than allowed. Nothing was changed.
        RetriableError
            If the database went away. Run the same visit again: it counts once.
        """
        if exposure.band not in self.config.validBands:
            raise ExposureError(
                f"band {exposure.band!r} is not among validBands, {', '.join(self.config.validBands)}"
            )
        check_agreement(diaSourceTable, exposure)
        batch = Batch(
            id=exposure.id,
            band=exposure.band,
            midpointMjdTai=exposure.midpointMjdTai,
            exposureTime=exposure.exposureTime,
            footprint=np.asarray(exposure.footprint, np.float64),
            diaSources=dia_source_batch(diaSourceTable),
            digest=b"",
            solar_system_objects=_solar_system_objects(solarSystemObjectTable),
            images=exposure.images,
        )
        try:
            check_batch(batch, self.config.validBands)
        except InvalidBatchError as error:
            raise CatalogError(str(error)) from None
        return self.run_batch(replace(batch, digest=content_digest(batch)))

    def run_batch(self, batch: Batch) -> DiaPipelineResult:
        """Process a batch, such as a message holds; see `run`.

        Raises
        ------
        InvalidBatchError
            If something in it is out of range; see `~stream_assoc.core.model.batch_checks.check_batch`.
        """
        check_batch(batch, self.config.validBands)
        if not self.config.doSolarSystemAssociation:
            batch = replace(batch, solar_system_objects=SolarSystemObjects.none())
        arrival = arrive(batch, self._services)
        apdb = VisitApdb(self._apdb, self._limits(arrival))
        services = replace(self._services, apdb=apdb, cache=MemoryCache(self._services.layout))
        (outcome,) = process_batches([arrival], services)
        self._forget_outputs(outcome)
        return _result(arrival, outcome, apdb.stored)

    def _limits(self, arrival: Arrival) -> UpstreamLimits:
        window = self.config.history_window
        return UpstreamLimits(
            history_begin=None if window is None else arrival.batch.midpointMjdTai - window,
            footprint=arrival.region.footprint,
            edge_arcsec=self.config.purge_edge,
        )

    def _forget_outputs(self, outcome: Outcome) -> None:
        """Take the outputs out of the outbox, unless they belong to a message that a daemon has still to publish."""
        if isinstance(outcome, Rejected):
            return
        kept = self._apdb.outbox_entry(outcome.key)
        if kept is not None and kept.entry.position is None:
            self._apdb.mark_published([outcome.key])


def _result(arrival: Arrival, outcome: Outcome, stored: Stored | None) -> DiaPipelineResult:
    batch = arrival.batch
    if isinstance(outcome, Rejected):
        raise outcome.error
    if not isinstance(outcome, Processed) or stored is None:
        raise VisitProcessedError(
            f"visit {batch.id.visit} detector {batch.id.detector} was processed before; nothing was changed"
        )
    changes = stored.changes
    sources = data_frame(changes.dia_sources)
    has_owner = np.isin(batch.diaSourceId, sources["diaSourceId"].to_numpy(np.int64))
    marginal = ~has_owner & arrival.region.usable
    moving, seen = batch.solar_system_objects.usable(), sources["ssObjectId"].dropna().to_numpy(np.int64)
    unseen = ~np.isin(moving.ssObjectId, seen)
    return DiaPipelineResult(
        apdbMarker=changes.entry,
        associatedDiaSources=sources,
        diaObjects=data_frame(changes.dia_objects),
        diaForcedSources=data_frame(changes.forced_sources),
        newDiaSources=sources[(sources["diaObjectId"] == sources["diaSourceId"]).fillna(False).astype(bool)],
        associatedSsSources=sources[sources["ssObjectId"].notna()],
        marginalDiaSources=data_frame(batch.diaSources.filter(pa.array(marginal))),
        unassociatedSsObjects=pd.DataFrame(
            {"ssObjectId": moving.ssObjectId[unseen], "ra": moving.ra[unseen], "dec": moving.dec[unseen]}
        ),
        metrics=stored.corrected(outcome.metrics),
    )


def _solar_system_objects(catalog: Catalog | None) -> SolarSystemObjects:
    if catalog is None:
        return SolarSystemObjects.none()
    table = arrow_table(catalog, ("ssObjectId", "ra", "dec"))
    if len(catalog) == 0:
        return SolarSystemObjects.none()
    return SolarSystemObjects(
        # A missing one names no object, as 0 does, and is set aside with it.
        identifier_column(table, "ssObjectId", missing=0),
        floats(table, "ra", "deg"),
        floats(table, "dec", "deg"),
    )
