"""The answers behind the pages of objects and visits, and behind the search."""

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stream_assoc.apps.web.encoding import plain, rows_of
from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.changes import LedgerEntry
from stream_assoc.core.model.further_statistics import further_statistics
from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.schema import apdb_table
from stream_assoc.core.model.states import ObjectHistories, SourcePoints
from stream_assoc.core.model.types import BANDS, FloatArray
from stream_assoc.core.statistics.calculator import StatisticsCalculator
from stream_assoc.stores.apdb.reading.port import ApdbReader, NotStoredError

_RECENT: Final = 2000
_SHOWN: Final = 60
_POINTS: Final = 10_000
"""Most sources of one object that are read."""
_SHOWN_VERSIONS: Final = 500
_SHOWN_SOURCES: Final = 2000
_RADII_ARCSEC: Final = (5.0, 30.0, 300.0, 3600.0)
_SOURCE_COLUMNS: Final = (
    *("diaSourceId", "visit", "detector", "band", "midpointMjdTai", "timeProcessedMjdTai", "timeWithdrawnMjdTai"),
    *("ra", "dec", "psfFlux", "psfFluxErr", "scienceFlux", "scienceFluxErr", "snr", "reliability"),
)
_FORCED_COLUMNS: Final = (
    *("visit", "detector", "band", "midpointMjdTai", "timeWithdrawnMjdTai"),
    *("psfFlux", "psfFluxErr", "scienceFlux", "scienceFluxErr"),
)
_LISTED_COLUMNS: Final = (
    *("diaObjectId", "ra", "dec", "nDiaSources", "validityStartMjdTai", "lastDiaSourceMjdTai"),
    *(f"{band}_psfFlux{name}" for band in BANDS for name in ("Mean", "Ndata")),
)
_BATCH_COLUMNS: Final = (
    *("diaSourceId", "diaObjectId", "ssObjectId", "band", "midpointMjdTai"),
    *("ra", "dec", "psfFlux", "psfFluxErr", "snr", "reliability"),
)


def recent_objects(reader: ApdbReader) -> dict[str, Any]:
    """Return recently changed objects, those with most sources first."""
    recent = reader.recent_objects(_RECENT)
    chosen = recent.sort_by([("nDiaSources", "descending"), ("validityStartMjdTai", "descending")])
    return {"objects": rows_of(chosen.slice(0, _SHOWN).select(list(_LISTED_COLUMNS)))}


def search_position(reader: ApdbReader, ra: float, dec: float) -> dict[str, Any]:
    """Return the objects nearest to a position; the radius grows until there are some."""
    for radius_arcsec in _RADII_ARCSEC:
        nearby = reader.near(ra, dec, radius_arcsec / 3600.0, _SHOWN)
        if len(nearby.objects):
            break
    columns = {**_columns(nearby.objects), "separation_arcsec": nearby.separation_arcsec.tolist()}
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return plain(
        {
            "kind": "position",
            "ra": ra,
            "dec": dec,
            "radius_arcsec": radius_arcsec,
            "isComplete": nearby.is_complete,
            "objects": rows,
        }
    )


def search_id(reader: ApdbReader, identifier: int) -> dict[str, Any]:
    """Return whether an id names an object, a source or a visit.

    Raises
    ------
    NotStoredError
        If it names none of these.
    """
    if reader.first_version(identifier) is not None:
        return plain({"kind": "object", "diaObjectId": identifier})
    if reader.source(identifier).num_rows:
        return plain({"kind": "source", "diaSourceId": identifier})
    if reader.batches_of_visit(identifier, 1):
        return plain({"kind": "visit", "visit": identifier})
    raise NotStoredError(
        f"the APDB holds neither an object nor a source nor a visit {identifier}. "
        "Marginal and dropped sources are not stored"
    )


def search_batch(reader: ApdbReader, batch: BatchId) -> dict[str, Any]:
    """Return the answer of the search for a visit and detector.

    Raises
    ------
    NotStoredError
        If it has not been processed.
    """
    _processings(reader, batch)
    return plain({"kind": "batch", "visit": batch.visit, "detector": batch.detector})


def visit_page(reader: ApdbReader, visit: int) -> dict[str, Any]:
    """Return the detectors of a visit, each with its last processing.

    Raises
    ------
    NotStoredError
        If the ledger has no entry for it.
    """
    latest = {entry.id.detector: entry for entry in reader.batches_of_visit(visit)}
    if not latest:
        raise NotStoredError(f"visit {visit} has not been processed")
    first = reader.sources_of_batch(next(iter(latest.values())).id, limit=1, columns=_BATCH_COLUMNS)
    return plain(
        {
            "visit": visit,
            "band": first["band"][0].as_py() if first.num_rows else None,
            "midpointMjdTai": first["midpointMjdTai"][0].as_py() if first.num_rows else None,
            "detectors": [
                {
                    "detector": detector,
                    "revision": entry.revision,
                    "timeProcessedMjdTai": entry.timeProcessedMjdTai,
                    "n_sources": entry.n_sources,
                    "n_stored": entry.n_stored,
                }
                for detector, entry in latest.items()
            ],
        }
    )


def object_page(reader: ApdbReader, diaObjectId: int) -> dict[str, Any]:
    """Return the latest version of an object, and what its columns mean.

    Raises
    ------
    NotStoredError
        If no such object was ever stored.
    """
    latest = reader.versions(diaObjectId, 1)
    if not latest.num_rows:
        raise NotStoredError(f"there is no object {diaObjectId} in the APDB")
    (row,) = rows_of(latest)
    columns = {column.name: column for column in (*apdb_table("DiaObject").columns, *further_statistics())}
    return {
        "diaObjectId": row["diaObjectId"],
        "isOpen": row["validityEndMjdTai"] is None,
        "latest": row,
        "columns": {name: {"unit": one.unit, "description": one.description} for name, one in columns.items()},
    }


def versions(reader: ApdbReader, diaObjectId: int) -> dict[str, Any]:
    """Return the versions of an object, the latest first, without columns that are always NULL."""
    table = reader.versions(diaObjectId, _SHOWN_VERSIONS + 1)
    shown = table.slice(0, _SHOWN_VERSIONS)
    filled = [name for name in shown.column_names if shown[name].null_count < shown.num_rows]
    kept = list(dict.fromkeys([*filled, "validityEndMjdTai"]))
    return {"versions": rows_of(shown.select(kept)), "isComplete": table.num_rows <= _SHOWN_VERSIONS}


def light_curve(reader: ApdbReader, diaObjectId: int) -> dict[str, Any]:
    """Return the sources and forced sources of an object."""
    sources = reader.sources_of_objects(np.array([diaObjectId]), _POINTS + 1, _SOURCE_COLUMNS)
    forced = reader.forced_sources(diaObjectId, _POINTS + 1, _FORCED_COLUMNS)
    return {
        "sources": rows_of(sources.slice(0, _POINTS)),
        "forced": rows_of(forced.slice(0, _POINTS)),
        "isComplete": sources.num_rows <= _POINTS and forced.num_rows <= _POINTS,
    }


def recomputed_statistics(
    reader: ApdbReader, diaObjectId: int, calculator: StatisticsCalculator, flag_columns: tuple[str, ...]
) -> dict[str, Any]:
    """Return every statistic of an object, computed now from its sources, with a column in DiaObject or without.

    For an object with more sources than one query reads there are none: they
    would be wrong.
    """
    sources = reader.sources_of_objects(np.array([diaObjectId]), _POINTS + 1)
    if sources.num_rows > _POINTS:
        return {"nDiaSources": None, "statistics": {}, "isComplete": False}
    counted = sources.filter(pc.is_null(sources["timeWithdrawnMjdTai"]))
    if not counted.num_rows:
        return {"nDiaSources": 0, "statistics": {}, "isComplete": True}
    states = calculator.rebuild(_history(counted, diaObjectId, flag_columns))
    values = {name: column[0].item() for name, column in calculator.statistics(states).items()}
    return plain({"nDiaSources": counted.num_rows, "statistics": values, "isComplete": True})


def batch_page(reader: ApdbReader, batch: BatchId) -> dict[str, Any]:
    """Return the sources of a visit and detector that count, and its processings.

    Raises
    ------
    NotStoredError
        If the ledger has no entry for it.
    """
    processings = _processings(reader, batch)
    sources = reader.sources_of_batch(batch, limit=_SHOWN_SOURCES + 1, columns=_BATCH_COLUMNS)
    return {
        **plain({"visit": batch.visit, "detector": batch.detector}),
        "processings": [
            plain(
                {
                    "revision": one.revision,
                    "timeProcessedMjdTai": one.timeProcessedMjdTai,
                    "n_sources": one.n_sources,
                    "n_stored": one.n_stored,
                    "digest": one.digest.hex()[:16],
                }
            )
            for one in processings
        ],
        "sources": rows_of(sources.slice(0, _SHOWN_SOURCES)),
        "isComplete": sources.num_rows <= _SHOWN_SOURCES,
    }


def _processings(reader: ApdbReader, batch: BatchId) -> tuple[LedgerEntry, ...]:
    processings = reader.processings(batch)
    if not processings:
        raise NotStoredError(f"visit {batch.visit} detector {batch.detector} has not been processed")
    return processings


def _columns(objects: ObjectPositions) -> dict[str, list[Any]]:
    names = ("diaObjectId", "ra", "dec", "nDiaSources")
    return {name: getattr(objects, name).tolist() for name in names}


def _history(sources: pa.Table, diaObjectId: int, flag_columns: tuple[str, ...]) -> ObjectHistories:
    n = sources.num_rows
    flag = np.zeros(n, np.bool_)
    for name in flag_columns:
        flag |= np.asarray(pc.fill_null(sources[name], False).to_numpy(), np.bool_)
    points = SourcePoints(
        ra=_floats(sources, "ra"),
        dec=_floats(sources, "dec"),
        midpointMjdTai=_floats(sources, "midpointMjdTai"),
        psfFlux=_floats(sources, "psfFlux"),
        psfFluxErr=_floats(sources, "psfFluxErr"),
        scienceFlux=_floats(sources, "scienceFlux"),
        scienceFluxErr=_floats(sources, "scienceFluxErr"),
        band=np.array([BANDS.index(band) for band in sources["band"].to_pylist()], np.int64),
        flag=flag,
    )
    nothing = np.full(1, np.nan, np.float32)
    return ObjectHistories(
        diaObjectId=np.array([diaObjectId]),
        validityStartMjdTai=np.full(1, np.nan),
        raErr=nothing,
        decErr=nothing,
        ra_dec_Cov=nothing,
        offsets=np.array([0, n]),
        points=points,
    )


def _floats(table: pa.Table, name: str) -> FloatArray:
    return np.asarray(table[name].cast(pa.float64()).to_numpy(), np.float64)
