"""An administrator works with `lsst.dax.apdb` while a daemon stands still at a step of a batch: all stays sound.

What the administrator does is decided on what the database holds at that moment,
as his programs do it. Afterwards the whole APDB is inspected, and the cache
compared with it.
"""

import functools
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import astropy.time
import numpy as np
import pytest
from lsst.dax.apdb import DiaForcedSourceId, DiaObjectId, DiaSourceId
from lsst.dax.apdb.sql import ApdbSql, ApdbSqlConfig

from stream_assoc.failpoints import FAILPOINTS
from stream_assoc.stores.apdb.backends import parse_url
from stream_assoc.tools.maintenance.stores import Stores
from stream_assoc.tools.maintenance.verify import Verification, verify
from stream_assoc.wiring.pipeline import calculator_of, partition_of
from stream_assoc.wiring.stores import open_stores
from tests.chaos.nights import SECTIONS, Night
from tests.contents import columns
from tests.integration.deployment import deploy
from tests.pipeline.exposed import exposed_night
from tests.tools.inspection.skies import inspected

pytestmark = [pytest.mark.integration, pytest.mark.chaos]


NOW = astropy.time.Time(62_001.0, format="mjd", scale="tai")


class Administrator:
    """Does to random objects what `Apdb` of `lsst.dax.apdb` offers."""

    def __init__(self, url: str) -> None:
        config = parse_url(url).dax_config()
        assert isinstance(config, ApdbSqlConfig)
        self._url, self._apdb = url, ApdbSql(config)
        # Later than all that the night's pinned clock tells.
        self._apdb._current_time = lambda: NOW  # type: ignore[method-assign]
        self._random = np.random.default_rng(15)

    def merge(self) -> None:
        """Give the sources of one object to another, and close it."""
        one, other = self._objects(2)
        self._apdb.reassignDiaSourcesToDiaObjects(dict.fromkeys(self._sources(one), other.diaObjectId))
        assert self._apdb.setValidityEnd([one], NOW, raise_on_missing_id=True) == 1

    def reassign(self) -> None:
        one, other = self._objects(2)
        self._apdb.reassignDiaSourcesToDiaObjects(dict.fromkeys(self._sources(one)[:1], other.diaObjectId))

    def give_to_the_solar_system(self) -> None:
        (one,) = self._objects(1)
        self._apdb.reassignDiaSources({source.diaSourceId: 77 for source in self._sources(one)})

    def share(self) -> None:
        """Give a source of an object with several to another with several: no batch closes either meanwhile."""
        several = self._objects(2, lambda n_sources: n_sources > 1)
        if len(several) < 2:
            return
        one, other = several
        self._apdb.reassignDiaSourcesToDiaObjects(dict.fromkeys(self._sources(one)[:1], other.diaObjectId))

    def withdraw(self) -> None:
        for one in self._objects(5):
            self._apdb.withdrawDiaSources(self._sources(one)[:1])

    def withdraw_forced(self) -> None:
        rows = columns(
            self._url, "DiaForcedSource", "diaObjectId", "visit", "detector", "ra", "dec", "midpointMjdTai"
        )
        names = ("diaObjectId", "visit", "detector", "ra", "dec", "midpointMjdTai")
        chosen = self._random.choice(len(rows), 5, replace=False)
        rows.sort()
        self._apdb.withdrawDiaForcedSources(
            [DiaForcedSourceId(**dict(zip(names, rows[row], strict=True))) for row in chosen]
        )

    def withdraw_the_only_one(self) -> None:
        """Withdraw of objects that `share` leaves alone."""
        for one in self._objects(5, lambda n_sources: n_sources == 1):
            self._apdb.withdrawDiaSources(self._sources(one))

    def _objects(self, count: int, is_meant: Callable[[int], bool] = lambda _: True) -> list[DiaObjectId]:
        rows = columns(self._url, "DiaObjectLast", "diaObjectId", "ra", "dec", "nDiaSources")
        found = [
            DiaObjectId(diaObjectId=identifier, ra=ra, dec=dec)
            for identifier, ra, dec, n_sources in sorted(rows)
            if is_meant(n_sources)
        ]
        return [found[row] for row in self._random.permutation(len(found))[:count]]

    def _sources(self, owner: DiaObjectId) -> list[DiaSourceId]:
        names = ("diaSourceId", "ra", "dec", "midpointMjdTai")
        rows = sorted(columns(self._url, "DiaSource", "diaObjectId", "timeWithdrawnMjdTai", *names), key=str)
        return [
            DiaSourceId(**dict(zip(names, row, strict=True)))
            for object_id, withdrawn, *row in rows
            if object_id == owner.diaObjectId and withdrawn is None
        ]


UPDATES: tuple[Callable[[Administrator], None], ...] = (
    Administrator.merge,
    Administrator.reassign,
    Administrator.give_to_the_solar_system,
    Administrator.withdraw,
    Administrator.withdraw_forced,
)


@pytest.fixture(params=["sqlite", "postgresql"])
def night(request: pytest.FixtureRequest, kafka_bootstrap: str, valkey_url: str, tmp_path: Path) -> Night:
    """A night with images, some of whose batches have counted."""
    images = tmp_path / "images"
    images.mkdir()
    batches = exposed_night(images)
    sections: dict[str, dict[str, Any]] = {**SECTIONS, "images": {"roots": (str(images),)}}
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'apdb.sqlite3'}"
    else:
        url = str(request.getfixturevalue("postgresql_database"))
    deployment = deploy(kafka_bootstrap, valkey_url, url, **{name: dict(one) for name, one in sections.items()})
    deployment.send(batches)
    night = Night(deployment, tmp_path, n_batches=len(batches))
    night.die_at("after-cache-write", count=2)
    return night


def test_every_update_at_every_step(night: Night) -> None:
    administrator = Administrator(night.apdb_url)
    steps = [step for step in FAILPOINTS if step not in ("in-kafka-transaction", "after-mark-published")]
    for update, step in zip(itertools.cycle(UPDATES), steps, strict=False):
        night.while_stopped_at(step, 1, functools.partial(update, administrator))
    night.finish()
    assert_sound(night)


def test_updates_while_batches_flow(night: Night) -> None:
    administrator = Administrator(night.apdb_url)
    # Between a look of lsst-dax-apdb and its update a batch may close an object that has lost all of its sources.
    updates = itertools.cycle(
        (Administrator.share, Administrator.withdraw_the_only_one, Administrator.withdraw_forced)
    )
    n_made = 0
    with night.life() as process:
        while night.n_counted() < night.n_batches:
            next(updates)(administrator)
            n_made += 1
        night.finish_life(process)
    assert n_made >= 3
    assert_sound(night)


def assert_sound(night: Night) -> None:
    """Check the whole APDB and the whole cache."""
    settings = night.deployment.settings
    assert inspected(night.apdb_url, settings=settings) == []
    with open_stores(settings) as (apdb, cache):
        stores = Stores(apdb, cache, calculator_of(settings), partition_of(settings))
        found = sum(verify(stores, apdb.known_tiles()), Verification())
    assert found.n_left == 0
