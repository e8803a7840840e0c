"""What an administrator does with `lsst.dax.apdb` between and during batches counts in the next one."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import astropy.time
import pytest
from lsst.dax.apdb import DiaObjectId, DiaSourceId
from lsst.dax.apdb.sql import ApdbSql, ApdbSqlConfig

from stream_assoc.pipeline import commit
from stream_assoc.pipeline.batches import Processed, Redelivered, arrive
from stream_assoc.pipeline.exceptions import TilesChangedError
from stream_assoc.pipeline.process import process_batches
from stream_assoc.pipeline.services import Services
from stream_assoc.settings import Settings
from stream_assoc.stores.apdb.backends import parse_url
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.cache.memory import MemoryCache
from stream_assoc.tools.maintenance.stores import Stores
from stream_assoc.tools.maintenance.verify import Verification, verify
from stream_assoc.wiring.pipeline import layout_of, services_of
from tests.contents import COUNTER, columns, contents
from tests.pipeline.skies import ARCSEC, PINNED, batch, processed_from, square

RA, DEC = 150.0, 2.0
A, B, C = 0.0, 3.0, 40.0
"""Three stars, so many arcsec north of a point."""
N_VISITS = 4
WITHDRAWN = astropy.time.Time(62_000.5, format="mjd", scale="tai")

DATABASES = ["sqlite_apdb_url", pytest.param("postgresql_apdb_url", marks=pytest.mark.integration)]


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def services(url: str) -> Iterator[Services]:
    sections: dict[str, Any] = PINNED
    settings = Settings(**sections)
    made = services_of(settings, open_apdb(url), MemoryCache(layout_of(settings)))
    yield made
    made.apdb.close()


@pytest.fixture
def administrator(url: str) -> ApdbSql:
    config = parse_url(url).dax_config()
    assert isinstance(config, ApdbSqlConfig)
    return ApdbSql(config)


def stars(visit: int, *places: float, **values: Any) -> Any:
    return batch(
        visit, [RA] * len(places), [DEC + place * ARCSEC for place in places], footprint=square(RA, DEC), **values
    )


class Sky:
    """Three stars that were seen some times, as the administrator reads them."""

    def __init__(self, services: Services, url: str) -> None:
        self.services, self.url = services, url
        for visit in range(1, N_VISITS + 1):
            self.visit(visit, A, B, C)
        self.a, self.b, self.c = self.objects()

    def visit(self, visit: int, *places: float) -> Processed:
        (processed,) = processed_from(self.services, visit, stars(visit, *places))
        return processed

    def objects(self) -> list[int]:
        """Return the current objects from south to north."""
        rows = columns(self.url, "DiaObjectLast", "dec", "diaObjectId")
        return [identifier for _, identifier in sorted(rows)]

    def sources(self, owner: int) -> list[DiaSourceId]:
        rows = columns(self.url, "DiaSource", "diaObjectId", "diaSourceId", "ra", "dec", "midpointMjdTai")
        return [
            DiaSourceId(diaSourceId=identifier, ra=ra, dec=dec, midpointMjdTai=time)
            for object_id, identifier, ra, dec, time in sorted(rows, key=str)
            if object_id == owner
        ]

    def n_sources(self) -> dict[int, int]:
        return dict(columns(self.url, "DiaObjectLast", "diaObjectId", "nDiaSources"))


@pytest.fixture
def sky(services: Services, url: str) -> Sky:
    return Sky(services, url)


def merge(sky: Sky, administrator: ApdbSql) -> None:
    """Give all sources of one object to another, and close it."""
    administrator.reassignDiaSourcesToDiaObjects(dict.fromkeys(sky.sources(sky.a), sky.b))
    administrator.setValidityEnd([DiaObjectId(diaObjectId=sky.a, ra=RA, dec=DEC)], WITHDRAWN)


def reassign(sky: Sky, administrator: ApdbSql) -> None:
    administrator.reassignDiaSourcesToDiaObjects(dict.fromkeys(sky.sources(sky.a), sky.b))


def reassign_some(sky: Sky, administrator: ApdbSql) -> None:
    administrator.reassignDiaSourcesToDiaObjects(dict.fromkeys(sky.sources(sky.a)[:2], sky.b))


def reassign_to_solar_system(sky: Sky, administrator: ApdbSql) -> None:
    administrator.reassignDiaSources({one.diaSourceId: 77 for one in sky.sources(sky.a)[1:]})


def withdraw(sky: Sky, administrator: ApdbSql) -> None:
    administrator.withdrawDiaSources(sky.sources(sky.a)[:1], timeWithdrawn=WITHDRAWN)


def withdraw_all(sky: Sky, administrator: ApdbSql) -> None:
    administrator.withdrawDiaSources(sky.sources(sky.a), timeWithdrawn=WITHDRAWN)


def close_emptied(sky: Sky, administrator: ApdbSql) -> None:
    """Close an object that was emptied before."""
    withdraw_all(sky, administrator)
    assert administrator.setValidityEnd([DiaObjectId(diaObjectId=sky.a, ra=RA, dec=DEC)], WITHDRAWN) == 1


Update = Callable[[Sky, ApdbSql], None]
UPDATES: list[Update] = [
    merge,
    reassign,
    reassign_some,
    reassign_to_solar_system,
    withdraw,
    withdraw_all,
    close_emptied,
]


def live_sources(sky: Sky) -> Counter[int]:
    """Count the sources of each object that are not withdrawn."""
    return Counter(
        owner
        for owner, withdrawn in columns(sky.url, "DiaSource", "diaObjectId", "timeWithdrawnMjdTai")
        if withdrawn is None and owner
    )


def assert_sound(sky: Sky) -> None:
    """Check that versions, sources, the counter and the cache agree."""
    services = sky.services
    assert isinstance(services.cache, MemoryCache)
    stores = Stores(services.apdb, services.cache, services.calculator, services.partition)
    assert sum(verify(stores, services.apdb.known_tiles()), Verification()).n_left == 0
    last = sky.n_sources()
    assert last == live_sources(sky)
    versions = columns(sky.url, "DiaObject", "diaObjectId", "validityEndMjdTai")
    assert sorted(one for one, end in versions if end is None) == sorted(last)
    assert contents(sky.url, COUNTER)[COUNTER][0] == (list(last.values()).count(1),)
    assert contents(sky.url, "StreamAssocChanged")["StreamAssocChanged"] == []


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("is_warm", [True, False])
def test_between_two_batches(sky: Sky, administrator: ApdbSql, update: Update, is_warm: bool) -> None:
    update(sky, administrator)
    if not is_warm:
        assert isinstance(sky.services.cache, MemoryCache)
        sky.services.cache.flush()
    sky.visit(N_VISITS + 1, A, B, C)
    sky.visit(N_VISITS + 2, A, B, C)
    assert_sound(sky)


@pytest.mark.parametrize("update", UPDATES)
def test_during_a_batch(sky: Sky, administrator: ApdbSql, update: Update, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = [update]

    def before_store(reached: str) -> None:
        if reached == "before-store" and waiting:
            waiting.pop()(sky, administrator)

    monkeypatch.setattr(commit, "failpoint", before_store)
    sky.visit(N_VISITS + 1, A, B, C)
    assert not waiting
    assert_sound(sky)


@pytest.mark.parametrize("reprocessing", [False, True])
def test_under_a_sky_that_never_stands_still_a_batch_is_decided_some_times_only(
    sky: Sky, administrator: ApdbSql, monkeypatch: pytest.MonkeyPatch, reprocessing: bool
) -> None:
    reached: list[str] = []
    owners = itertools.cycle([sky.a, sky.c])

    def before_store(step: str) -> None:
        if step == "before-store":
            reached.append(step)
            administrator.reassignDiaSourcesToDiaObjects({sky.sources(next(owners))[0]: sky.b})

    monkeypatch.setattr(commit, "failpoint", before_store)
    visit = N_VISITS if reprocessing else N_VISITS + 1
    arrival = arrive(stars(visit, A, B, C, psfFlux=99.0), sky.services, reprocessing=reprocessing)
    with pytest.raises(TilesChangedError):
        process_batches([arrival], sky.services)
    assert len(reached) == commit.ATTEMPTS
    monkeypatch.undo()
    process_batches([arrival], sky.services)
    assert_sound(sky)


def test_the_merged_object_has_all_sources_and_the_other_stays_closed(sky: Sky, administrator: ApdbSql) -> None:
    merge(sky, administrator)
    outcome = sky.visit(N_VISITS + 1, B)
    assert sky.n_sources() == {sky.b: 2 * N_VISITS, sky.c: N_VISITS} | {
        object_id: 1 for object_id in sky.objects() if object_id not in (sky.b, sky.c)
    }
    assert outcome.metrics.numClosedDiaObjects == 0
    ends = [end for one, end in columns(sky.url, "DiaObject", "diaObjectId", "validityEndMjdTai") if one == sky.a]
    assert None not in ends


def test_an_emptied_object_is_closed_by_the_next_batch_and_told(sky: Sky, administrator: ApdbSql) -> None:
    withdraw_all(sky, administrator)
    outcome = sky.visit(N_VISITS + 1, B)
    assert outcome.metrics.numClosedDiaObjects == 1
    assert sky.n_sources() == {sky.b: N_VISITS + 1, sky.c: N_VISITS}


def test_an_object_that_no_source_matches_is_folded_anew_all_the_same(sky: Sky, administrator: ApdbSql) -> None:
    withdraw(sky, administrator)
    sky.visit(N_VISITS + 1, B)
    assert sky.n_sources() == {sky.a: N_VISITS - 1, sky.b: N_VISITS + 1, sky.c: N_VISITS}
    assert_sound(sky)


def test_a_redelivered_batch_stays_one(sky: Sky, administrator: ApdbSql) -> None:
    reassign(sky, administrator)
    again = stars(1, A, B, C)
    (outcome,) = process_batches([arrive(again, sky.services)], sky.services)
    assert isinstance(outcome, Redelivered)


def test_an_object_that_was_closed_ahead_of_our_clock_is_made_again_after_its_end(
    sky: Sky, administrator: ApdbSql
) -> None:
    close_emptied(sky, administrator)
    again = arrive(stars(1, A, B, C, psfFlux=99.0), sky.services, reprocessing=True)
    process_batches([again], sky.services)
    rows = columns(sky.url, "DiaObject", "diaObjectId", "validityStartMjdTai", "validityEndMjdTai")
    closed, made_again = sorted(row[1:] for row in rows if row[0] == sky.a)[-2:]
    assert closed[1] == WITHDRAWN.tai.mjd
    assert made_again[0] > closed[1]
    assert made_again[1] is None


def test_an_object_that_was_closed_with_living_sources_is_not_made_again_beside_them(
    sky: Sky, administrator: ApdbSql
) -> None:
    assert administrator.setValidityEnd([DiaObjectId(diaObjectId=sky.a, ra=RA, dec=DEC)], WITHDRAWN) == 1
    process_batches([arrive(stars(1, A, B, C, psfFlux=99.0), sky.services, reprocessing=True)], sky.services)
    assert sky.a not in sky.objects()
    sky.visit(N_VISITS + 1, A, B, C)
    left = {owner: count for owner, count in live_sources(sky).items() if owner != sky.a}
    assert sky.n_sources() == left


def test_several_batches_at_once(sky: Sky, administrator: ApdbSql) -> None:
    reassign_some(sky, administrator)
    processed_from(sky.services, 50, *(stars(visit, A, B, C) for visit in range(50, 54)))
    assert_sound(sky)
