"""The totals of the demo, each with its expected value."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow.compute as pc

from stream_assoc.apps.demo.night import NightReport
from stream_assoc.apps.demo.stage import APDB_FILE
from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.tools.simulation.config import SimulationConfig
from stream_assoc.tools.simulation.detections import Light
from stream_assoc.tools.simulation.files import IMAGES_NAME, read_config, read_light, read_truth
from stream_assoc.tools.simulation.truth import score_against

LEAST_PURITY: Final = 0.99
LEAST_COMPLETENESS: Final = 0.97
LEAST_ASTEROIDS: Final = 0.97
GREATEST_BIAS: Final = 0.05
"""Of forced fluxes, in units of their errors; four standard errors of the mean come on top."""


MODEL_ERROR: Final = 0.0003
"""Relative error of the expected fluxes."""

EDGE_PIXELS: Final = 4.0
"""Fluxes nearer than this to the edge of an image are not compared."""

_COLUMNS: Final = ("visit", "detector", "ra", "dec", "psfFlux", "psfFluxErr", "scienceFlux", "scienceFluxErr")


@dataclass(frozen=True, slots=True)
class Total:
    """One line of the totals.

    Attributes
    ----------
    name, value, expected : `str`
        What was counted, its value, and the expected value.
    is_right : `bool`
    """

    name: str
    value: str
    expected: str
    is_right: bool


@dataclass(frozen=True, slots=True)
class StoredNight:
    """The contents of the APDB after the night.

    Attributes
    ----------
    diaSourceId, diaObjectId, ssObjectId : `numpy.ndarray` [int64], shape (n,)
        Every stored source and its object; 0 for none.
    n_ledger, n_object_versions, n_outbox : `int`
        Rows of the ledger, of DiaObject and of the outbox.
    """

    diaSourceId: IntArray
    diaObjectId: IntArray
    ssObjectId: IntArray
    n_ledger: int
    n_object_versions: int
    n_outbox: int


def read_apdb(folder: Path) -> StoredNight:
    """Read the APDB of the demo."""
    with closing(sqlite3.connect(folder / APDB_FILE)) as connection:
        rows = connection.execute(
            'SELECT "diaSourceId", coalesce("diaObjectId", 0), coalesce("ssObjectId", 0) FROM "DiaSource"'
        ).fetchall()
        counts = (
            connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]
            for table in ("StreamAssocLedger", "DiaObject", "StreamAssocOutbox")
        )
        columns = np.array(rows, np.int64).reshape(-1, 3).T
        return StoredNight(columns[0], columns[1], columns[2], *counts)


def totals(folder: Path, night: NightReport) -> list[Total]:
    """Return the totals of a night: what was sent, stored and published, and how good the association is."""
    truth = read_truth(folder)
    stored = read_apdb(folder)
    marginal = sum(metrics.numMarginalDiaSources for metrics in night.metrics)
    dropped = sum(metrics.numDroppedDiaSources for metrics in night.metrics)
    score = score_against(stored.diaSourceId, stored.diaObjectId, truth)
    known = truth.filter(pc.not_equal(truth["ssObjectId"], 0))
    found = dict(zip(stored.diaSourceId.tolist(), stored.ssObjectId.tolist(), strict=True))
    recognised = sum(
        found.get(source) == ssObjectId
        for source, ssObjectId in zip(known["diaSourceId"].to_pylist(), known["ssObjectId"].to_pylist(), strict=True)
    )
    account = [
        _equal("batches in the ledger", stored.n_ledger, night.n_sent),
        _equal("batches with published metrics", len(night.metrics), night.n_sent),
        _equal("dead letters", len(night.dead_letters), 0),
        _equal("sources stored + marginal + dropped", len(found) + marginal + dropped, truth.num_rows),
        _equal("sources stored twice", len(stored.diaSourceId) - len(found), 0),
        _equal("object versions published", night.n_objects, stored.n_object_versions),
        _equal("outputs left in the outbox", stored.n_outbox, 0),
        _at_least("purity of objects", score.purity, LEAST_PURITY),
        _at_least("completeness of variables and transients", score.completeness, LEAST_COMPLETENESS),
        _at_least("known asteroids recognised", recognised / max(1, known.num_rows), LEAST_ASTEROIDS),
    ]
    return account + _forced_totals(folder, night) if night.settings.images.roots else account


def _forced_totals(folder: Path, night: NightReport) -> list[Total]:
    measured = sum(metrics.numForcedSources for metrics in night.metrics)
    owned = sum(metrics.numNewDiaObjects + metrics.numUpdatedDiaObjects for metrics in night.metrics)
    failed = sum(metrics.forcedPhotometryError is not None for metrics in night.metrics)
    found = pulls(folder)
    return [
        _equal("forced sources stored", count_forced_sources(folder), measured),
        _equal("forced sources published", night.n_forced_sources, measured),
        _equal("batches whose images failed", failed, 0),
        # A visit also measures known objects inside its outline that gained no source.
        Total("forced sources of objects not seen", f"{measured - owned:,}", "above 0", measured > owned),
        _within("mean pull of forced fluxes", found.mean, 0.0, GREATEST_BIAS, found.n),
        _within("width of their pulls", found.width, 1.0, GREATEST_BIAS, found.n),
    ]


@dataclass(frozen=True, slots=True)
class Pulls:
    """How far measured fluxes are from the true ones, in units of their errors.

    Attributes
    ----------
    mean, width : `float`
        Of all pulls; the width is their standard deviation.
    n : `int`
        Number of fluxes compared.
    """

    mean: float
    width: float
    n: int


def count_forced_sources(folder: Path) -> int:
    """Return the number of stored forced sources."""
    with closing(sqlite3.connect(folder / APDB_FILE)) as connection:
        return int(connection.execute('SELECT count(*) FROM "DiaForcedSource"').fetchone()[0])


def pulls(folder: Path) -> Pulls:
    """Compare the stored forced sources with the true fluxes at their positions."""
    from stream_assoc.tools.simulation.images import pixels_to_edge

    config, light = read_config(folder), read_light(folder)
    with closing(sqlite3.connect(folder / APDB_FILE)) as connection:
        names = ", ".join(f'"{name}"' for name in _COLUMNS)
        rows = connection.execute(
            f'SELECT {names} FROM "DiaForcedSource" WHERE "psfFlux" IS NOT NULL AND "scienceFlux" IS NOT NULL'
        ).fetchall()
    # Visits are above 2**53 in no survey, so a float holds them.
    table = np.array(rows, np.float64).reshape(-1, len(_COLUMNS))
    parts = [np.empty(0)]
    for visit, detector in np.unique(table[:, :2], axis=0).tolist():
        measured = table[(table[:, 0] == visit) & (table[:, 1] == detector)]
        shining = light.filter(
            pc.and_(pc.equal(light["visit"], int(visit)), pc.equal(light["detector"], int(detector)))
        )
        batch = BatchId(int(visit), int(detector))
        inside = pixels_to_edge(folder / IMAGES_NAME, batch, measured[:, 2], measured[:, 3]) > EDGE_PIXELS
        parts.append(_pulls(config, Light.of(shining), measured[inside]))
    every = np.concatenate(parts)
    return Pulls(float(np.mean(every)), float(np.std(every)), len(every)) if len(every) else Pulls(0.0, 0.0, 0)


def _pulls(config: SimulationConfig, light: Light, measured: FloatArray) -> FloatArray:
    from stream_assoc.tools.simulation.images import expected_fluxes

    expected = expected_fluxes(config, light, measured[:, 2], measured[:, 3])
    pairs = zip(expected, ((4, 5), (6, 7)), strict=True)
    return np.concatenate(
        [
            (measured[:, flux] - true) / np.hypot(measured[:, error], MODEL_ERROR * np.abs(true))
            for true, (flux, error) in pairs
        ]
    )


def _equal(name: str, value: int, expected: int) -> Total:
    return Total(name, f"{value:,}", f"{expected:,}", value == expected)


def _within(name: str, value: float, centre: float, tolerance: float, n: int) -> Total:
    reach = tolerance + 4.0 / max(1, n) ** 0.5
    return Total(name, f"{value:.3f}", f"{centre:g} ± {reach:.3f}", n > 0 and abs(value - centre) <= reach)


def _at_least(name: str, value: float, least: float) -> Total:
    return Total(name, f"{value:.2%}", f"at least {least:.0%}", value >= least)
