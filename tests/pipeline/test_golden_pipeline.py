"""Ten visits over 420 days: the objects that upstream's DiaPipelineTask makes, with the same statistics."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from astropy.wcs import WCS

from stream_assoc.core.model.batch import Batch, BatchId
from stream_assoc.pipeline.batches import Processed
from tests.pipeline.bench import APDB_FILE, batch_of, process, services_in

DATA = Path(__file__).parents[1] / "data" / "pipeline"
DETECTOR = 23
UPSTREAM_WINDOW_DAYS = 360.0
"""Upstream reads back twelve months of thirty days of history; here all of it counts."""

INFO = json.loads((DATA / "info.json").read_text())["visits"]
EXPECTED_SOURCES = pd.read_parquet(DATA / "expected_association.parquet")
EXPECTED_OBJECTS = pd.read_parquet(DATA / "expected_updated_objects.parquet")


def footprint() -> np.ndarray:
    header = json.loads((DATA / "info.json").read_text())["wcs"]
    width, height = header.pop("width"), header.pop("height")
    header["CTYPE1"], header["CTYPE2"] = header.pop("CTYPE").split("/")
    corners = [[-0.5, -0.5], [width - 0.5, -0.5], [width - 0.5, height - 0.5], [-0.5, height - 0.5]]
    return np.asarray(WCS({**header, "NAXIS": 2}).wcs_pix2world(corners, 0))


def visits() -> list[Batch]:
    sources, corners = pd.read_parquet(DATA / "dia_sources.parquet"), footprint()
    return [
        batch_of(
            sources[sources.visit == visit["visit"]],
            BatchId(visit["visit"], DETECTOR),
            visit["band"],
            visit["mjd"],
            corners,
        )
        for visit in INFO
    ]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory):
    """The outcomes of the ten visits, and the tables they left."""
    folder = tmp_path_factory.mktemp("golden")
    services = services_in(folder)
    outcomes = [process(services, batch)[0] for batch in visits()]
    services.apdb.close()
    with sqlite3.connect(folder / APDB_FILE) as connection:
        tables = {name: pd.read_sql(f'SELECT * FROM "{name}"', connection) for name in ("DiaSource", "DiaObject")}
    return outcomes, tables


def sources_of_objects_upstream_lost() -> "pd.Index[Any]":
    """Sources whose object upstream did not store, and those that later fell to another object for it.

    At the very edge of the image upstream makes an object, gives its source
    the id, and then stores no DiaObject row, so that the next detection makes
    another object of the same thing. Here nothing is lost, so they differ.
    """
    stored = set(zip(EXPECTED_OBJECTS.visit, EXPECTED_OBJECTS.diaObjectId, strict=True))
    keys = zip(EXPECTED_SOURCES.visit, EXPECTED_SOURCES.diaObjectId, strict=True)
    lost = EXPECTED_SOURCES[[key not in stored for key in keys]].diaObjectId
    ids: pd.Index[Any] = pd.Index(EXPECTED_SOURCES[EXPECTED_SOURCES.diaObjectId.isin(lost)].diaSourceId)
    return ids


def test_every_source_joins_the_object_upstream_gave_it(night) -> None:
    _, tables = night
    expected = EXPECTED_SOURCES.set_index("diaSourceId").diaObjectId.sort_index()
    ours = tables["DiaSource"].set_index("diaSourceId").diaObjectId.sort_index()
    pd.testing.assert_index_equal(ours.index, expected.index)
    excepted = sources_of_objects_upstream_lost()
    assert len(excepted) <= 5
    pd.testing.assert_series_equal(ours.drop(excepted), expected.drop(excepted))


def test_every_source_has_the_object_it_names(night) -> None:
    _, tables = night
    assert set(tables["DiaSource"].diaObjectId) == set(tables["DiaObject"].diaObjectId)


def test_the_counts_of_every_visit_are_upstream_s(night) -> None:
    outcomes, _ = night
    assert all(isinstance(outcome, Processed) for outcome in outcomes)
    for outcome, visit in zip(outcomes, INFO, strict=True):
        metrics = outcome.metrics
        assert metrics.numDiaSources == visit["nInput"]
        assert metrics.numMarginalDiaSources == visit["nMarginalRejected"]
        assert metrics.numNewDiaObjects + metrics.numUpdatedDiaObjects == visit["nAssociated"]


def test_the_statistics_are_upstream_s_where_its_window_does_not_cut(night) -> None:
    outcomes, tables = night
    first_seen = tables["DiaSource"].groupby("diaObjectId").midpointMjdTai.min()
    differing = set(tables["DiaSource"].set_index("diaSourceId").loc[sources_of_objects_upstream_lost()].diaObjectId)
    columns = [name for name in EXPECTED_OBJECTS.columns if name not in ("visit", "diaObjectId")]
    compared = 0
    for outcome, visit in zip(outcomes, INFO, strict=True):
        expected = EXPECTED_OBJECTS[EXPECTED_OBJECTS.visit == visit["visit"]].set_index("diaObjectId")
        version = tables["DiaObject"].validityStartMjdTai == outcome.metrics.timeProcessedMjdTai
        ours = tables["DiaObject"][version].set_index("diaObjectId")
        whole = first_seen.index[first_seen > visit["mjd"] - UPSTREAM_WINDOW_DAYS].difference(list(differing))
        rows = expected.index.intersection(whole)
        # In memory upstream leaves the counts of unseen bands undefined; its database holds 0.
        expected = expected.fillna({name: 0 for name in columns if name.endswith("Ndata")})
        for name in columns:
            np.testing.assert_allclose(
                ours.loc[rows, name].astype(float),
                expected.loc[rows, name].astype(float),
                rtol=1e-9 if name in ("ra", "dec", "nDiaSources") else 3e-6,
                err_msg=f"{name} after visit {visit['visit']}",
            )
        compared += len(rows)
    assert compared > 650
