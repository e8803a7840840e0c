"""The metrics tasks of ``lsst.ap.association``, on the record that the daemon publishes.

Each task turns one field of `~stream_assoc.core.model.metrics.AssociationMetrics`
into a quantity with a unit. The record is that of `DiaPipelineTask`'s result or
of a message of the metrics topic, so the two can never disagree.
"""

from typing import ClassVar

import astropy.units as u
import numpy as np

from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.pipeline.ports.apdb import Apdb


class AssociationMetricTask:
    """One metric of a batch, from its association metrics.

    Attributes
    ----------
    metric : `str`
        Name of the metric, which is the field of the record.
    unit : `astropy.units.Unit`
    """

    metric: ClassVar[str]
    unit: ClassVar[u.UnitBase] = u.count

    def run(self, metrics: AssociationMetrics | None) -> u.Quantity | None:
        """Return the metric.

        Parameters
        ----------
        metrics : `~stream_assoc.core.model.metrics.AssociationMetrics` or `None`
            What association did; `None` when the batch was not associated.

        Returns
        -------
        measurement : `astropy.units.Quantity` or `None`
            `None` without metrics, and where the metric is undefined.
        """
        value = None if metrics is None else getattr(metrics, self.metric)
        return None if value is None else u.Quantity(value, self.unit)


class NumberNewDiaObjectsMetricTask(AssociationMetricTask):
    """Count of DIAObjects that the batch created."""

    metric = "numNewDiaObjects"


class NumberUnassociatedDiaObjectsMetricTask(AssociationMetricTask):
    """Count of known DIAObjects in the footprint that gained no DIASource."""

    metric = "numUnassociatedDiaObjects"


class FractionUpdatedDiaObjectsMetricTask(AssociationMetricTask):
    """Share of the known DIAObjects in the footprint that gained a DIASource.

    It is `None`, not 0, where no DIAObject was known: a fraction of nothing.
    """

    metric = "fracUpdatedDiaObjects"
    unit = u.dimensionless_unscaled


class TotalUnassociatedDiaObjectsMetricTask(AssociationMetricTask):
    """Count of DIAObjects of the whole APDB that have exactly one DIASource."""

    metric = "totalUnassociatedDiaObjects"

    def run_apdb(self, apdb: Apdb) -> u.Quantity:
        """Return the metric as the database knows it now.

        Parameters
        ----------
        apdb : `~stream_assoc.pipeline.ports.apdb.Apdb`
            The counter it keeps is read, no table is counted. On SQLite the
            call waits for the batch in hand.

        Raises
        ------
        ApdbUnavailableError
            If the database cannot be reached.
        """
        nothing = np.empty(0, np.int64)
        with apdb.exclusive(nothing) as session:
            return u.Quantity(session.read_snapshot([], nothing).n_single_source, self.unit)


class NumberSolarSystemObjectsMetricTask(AssociationMetricTask):
    """Count of known solar-system objects expected in the batch."""

    metric = "numTotalSolarSystemObjects"


class NumberAssociatedSolarSystemObjectsMetricTask(AssociationMetricTask):
    """Count of DIASources matched to a known solar-system object."""

    metric = "numAssociatedSsObjects"
