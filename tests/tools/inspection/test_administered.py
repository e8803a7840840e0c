"""What dax_apdb's administrator may do is no fault: it awaits the next batch over the tile, and is right after it."""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import astropy.time
import pytest
from lsst.dax.apdb.recordIds import DiaForcedSourceId, DiaObjectId, DiaSourceId
from lsst.dax.apdb.sql import ApdbSql

from stream_assoc.stores.apdb.reading.open import open_inspection
from tests.pipeline.photometers import with_images
from tests.pipeline.skies import processed_from
from tests.pipeline.test_reprocessing import stars
from tests.stores.apdb.sql_urls import sql_url
from tests.tools.inspection.skies import KEPT, MADE_AGAIN, Tampering, inspected, services_on

pytestmark = pytest.mark.integration

Client: TypeAlias = Any
LATER = astropy.time.Time(62_001.0, format="mjd", scale="tai")
HERE: dict[str, Any] = {"ra": 150.0, "dec": 2.0}


def source_id(identifier: int) -> DiaSourceId:
    return DiaSourceId(diaSourceId=identifier, midpointMjdTai=61_001.25, **HERE)


def merge_two_objects(client: Client) -> None:
    client.reassignDiaSourcesToDiaObjects({source_id(MADE_AGAIN): KEPT})
    assert client.setValidityEnd([DiaObjectId(diaObjectId=MADE_AGAIN, **HERE)], LATER) == 1


def reassign_and_count_nothing(client: Client) -> None:
    client.reassignDiaSourcesToDiaObjects(
        {source_id(KEPT): MADE_AGAIN}, increment_nDiaSources=False, decrement_nDiaSources=False
    )


def give_a_source_to_an_asteroid(client: Client) -> None:
    client.reassignDiaSources({KEPT: 77})


def withdraw_one_source_of_two(client: Client) -> None:
    client.withdrawDiaSources([source_id(KEPT)], timeWithdrawn=LATER)


def withdraw_the_only_source(client: Client) -> None:
    client.withdrawDiaSources([source_id(MADE_AGAIN)], timeWithdrawn=LATER)


def withdraw_a_forced_source(client: Client) -> None:
    one = DiaForcedSourceId(diaObjectId=KEPT, visit=1, detector=0, midpointMjdTai=61_001.25, **HERE)
    client.withdrawDiaForcedSources([one], timeWithdrawn=LATER)


@pytest.fixture
def client(apdb: Tampering) -> Iterator[Client]:
    made = ApdbSql(sql_url(apdb.url).dax_config())  # type: ignore[arg-type]
    yield made
    made._engine.dispose()


def n_awaiting(apdb: Tampering) -> int:
    with open_inspection(apdb.url) as inspection:
        return inspection.n_awaiting()


@pytest.mark.parametrize(
    "administer",
    [
        merge_two_objects,
        reassign_and_count_nothing,
        give_a_source_to_an_asteroid,
        withdraw_one_source_of_two,
        withdraw_the_only_source,
        withdraw_a_forced_source,
    ],
)
def test_an_administered_object_awaits_its_batch_and_is_right_after_it(
    apdb: Tampering, client: Client, administer: Callable[[Client], None]
) -> None:
    administer(client)
    assert inspected(apdb.url) == []
    assert n_awaiting(apdb) > 0
    with services_on(apdb.url) as services:
        processed_from(services, 40, with_images(stars(3, [0.1])))
    assert inspected(apdb.url) == []
    assert n_awaiting(apdb) == 0
