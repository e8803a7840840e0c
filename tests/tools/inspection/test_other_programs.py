"""An APDB that dax_apdb's own store wrote, and one that it wrote before a daemon did."""

from pathlib import Path
from typing import Any

import astropy.time
import pandas as pd
import pytest
from lsst.dax.apdb.recordIds import DiaObjectId
from lsst.dax.apdb.sql import ApdbSql

from stream_assoc.stores.apdb.create import extend
from stream_assoc.stores.apdb.reading.inspection import Fault
from stream_assoc.stores.apdb.reading.open import open_inspection
from stream_assoc.testing.rows import BIG, dia_object, forced, source, table
from tests.stores.apdb.sql_urls import sql_url
from tests.tools.inspection.skies import Tampering, inspected, live_through_a_night

pytestmark = pytest.mark.integration

OURS = {
    Fault.WRONG_STATISTICS,
    Fault.STATISTICS_WITHOUT_VERSION,
    Fault.TILE_WITHOUT_VERSION,
    Fault.TILE_OF_UNKNOWN_BATCH,
    Fault.WRONG_SINGLE_SOURCE_COUNT,
    Fault.BATCH_NOT_IN_LEDGER,
    Fault.WRONG_N_STORED,
    Fault.MISSING_REVISION,
    Fault.OUTBOX_ENTRY_NOT_IN_LEDGER,
}
"""What only an APDB with this package's tables can be asked."""


def time(mjd: float) -> astropy.time.Time:
    return astropy.time.Time(mjd, format="mjd", scale="tai")


def frame(name: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    made: pd.DataFrame = table(name, rows).to_pandas()
    kept: pd.DataFrame = made.drop(columns=["pixelId", "validityStartMjdTai", "validityEndMjdTai"], errors="ignore")
    return kept


@pytest.fixture(params=["sqlite", "postgresql"])
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Tampering:
    """An APDB of dax_apdb in which two visits saw two objects, and a third of them was seen once."""
    is_file = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/other.sqlite3" if is_file else request.getfixturevalue("postgresql_database")
    client = ApdbSql(
        ApdbSql.init_database(
            db_url=sql_url(url).sqlalchemy_url, dia_object_index="last_object_table", enable_replica=True
        )
    )
    for visit, ids in ((1, [BIG, BIG + 1, BIG + 2]), (2, [BIG, BIG + 1])):
        mjd = 60_000.0 + visit
        owners = [
            source(10 * visit + k, diaObjectId=identifier, visit=visit, detector=3, timeProcessedMjdTai=mjd)
            for k, identifier in enumerate(ids)
        ]
        client.store(
            time(mjd),
            frame("DiaObject", [dia_object(identifier, mjd, nDiaSources=visit) for identifier in ids]),
            frame("DiaSource", [*owners, source(10 * visit + 9, diaObjectId=0, visit=visit, detector=3)]),
            frame("DiaForcedSource", [forced(k, identifier, visit, 3) for k, identifier in enumerate(ids)]),
        )
    client._engine.dispose()
    return Tampering(url)


def test_nothing_is_wrong_in_it_and_what_cannot_be_asked_is_told(other: Tampering) -> None:
    assert inspected(other.url) == []
    with open_inspection(other.url) as inspection:
        assert set(Fault) - inspection.answers == OURS


def test_an_object_that_was_closed_with_its_sources_is_found(other: Tampering) -> None:
    client = ApdbSql(sql_url(other.url).dax_config())  # type: ignore[arg-type]
    client.setValidityEnd([DiaObjectId(diaObjectId=BIG, ra=10.0, dec=-5.0)], time(60_010.0))
    client._engine.dispose()
    found = [(find.fault, find.key["diaSourceId"]) for find in inspected(other.url)]
    assert found == [(Fault.SOURCE_OF_CLOSED_OBJECT, 10), (Fault.SOURCE_OF_CLOSED_OBJECT, 20)]


def test_a_closed_object_that_is_written_to_again_is_found(other: Tampering) -> None:
    other.run(f'UPDATE "DiaObject" SET "validityEndMjdTai" = 60001.5 WHERE "validityEndMjdTai" = 60002 '
              f'AND "diaObjectId" = {BIG}')  # fmt: skip
    assert [(find.fault, dict(find.key)) for find in inspected(other.url)] == [
        (Fault.GAP_BETWEEN_VERSIONS, {"diaObjectId": BIG})
    ]


def test_what_was_there_before_the_first_batch_is_not_asked_for_tiles_and_statistics(other: Tampering) -> None:
    extend(other.url)
    assert inspected(other.url) == []
    live_through_a_night(other.url)
    assert inspected(other.url) == []
