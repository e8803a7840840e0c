"""Programs that write the APDB beside us: `lsst.dax.apdb`'s own client."""

from collections.abc import Callable
from typing import Any

import astropy.time
import numpy as np
import pandas
import pytest
from lsst.dax.apdb import DiaForcedSourceId, DiaObjectId, DiaSourceId

from stream_assoc.pipeline.exceptions import TilesChangedError
from stream_assoc.pipeline.ports.reader import SessionSnapshot
from stream_assoc.stores.apdb.backend import OpenApdb
from stream_assoc.testing.case import ApdbCase, DaxClient
from stream_assoc.testing.rows import (
    BIG,
    CELLS,
    FIRST,
    SECOND,
    TILES,
    changes,
    dia_object,
    forced,
    source,
    store,
    table,
)

NOW = astropy.time.Time(60001.0, format="mjd", scale="tai")
KEPT, OTHER = BIG, BIG + 2
"""Two objects with one source each, of the same ids."""


def _source_id(identifier: int) -> DiaSourceId:
    return DiaSourceId(diaSourceId=identifier, ra=10.0, dec=-5.0, midpointMjdTai=60000.5)


def _reassign(client: DaxClient) -> None:
    client.reassignDiaSourcesToDiaObjects({_source_id(OTHER): KEPT})


def _reassign_to_solar_system(client: DaxClient) -> None:
    client.reassignDiaSources({OTHER: 77})


def _close(client: DaxClient) -> None:
    assert client.setValidityEnd([DiaObjectId(diaObjectId=OTHER, ra=10.0, dec=-5.0)], NOW) == 1


def _withdraw(client: DaxClient) -> None:
    client.withdrawDiaSources([_source_id(OTHER)], timeWithdrawn=NOW)


def _withdraw_forced(client: DaxClient) -> None:
    one = DiaForcedSourceId(
        diaObjectId=OTHER, visit=FIRST.visit, detector=FIRST.detector, ra=10.0, dec=-5.0, midpointMjdTai=60000.5
    )
    client.withdrawDiaForcedSources([one], timeWithdrawn=NOW)


def _frame(name: str, rows: list[dict[str, Any]]) -> pandas.DataFrame:
    frame: pandas.DataFrame = table(name, rows).drop_columns(["pixelId"]).to_pandas()
    return frame


UPDATES = {
    "reassign": (_reassign, [KEPT, OTHER]),
    "reassign_to_solar_system": (_reassign_to_solar_system, [OTHER]),
    "close": (_close, []),
    "withdraw": (_withdraw, [OTHER]),
    "withdraw_forced": (_withdraw_forced, [OTHER]),
}
"""Every update that the client offers, and the objects that are out of date after it."""


class OtherWritersTests(ApdbCase):
    """What other programs change is noticed by whoever reads or commits next."""

    @pytest.fixture(params=UPDATES)
    def name(self, request: pytest.FixtureRequest) -> str:
        """Return an update. Override it where the client leaves no trace of some."""
        return str(request.param)

    @pytest.fixture
    def update(self, name: str) -> Callable[[DaxClient], None]:
        return UPDATES[name][0]

    @staticmethod
    def store_two(apdb: OpenApdb) -> None:
        """Store two objects with a source and a forced source each."""
        ids = (KEPT, OTHER)
        objects = [dia_object(one, 60000.6) for one in ids]
        sources = [source(one) for one in ids]
        store(apdb, changes(FIRST, sources, objects, [forced(one, one, *FIRST) for one in ids], delta=2))

    @staticmethod
    def snapshot(apdb: OpenApdb) -> SessionSnapshot:
        with apdb.exclusive(CELLS) as session:
            return session.read_snapshot([FIRST], TILES)

    def test_our_own_batches_note_nothing(self, apdb: OpenApdb) -> None:
        self.store_two(apdb)
        snapshot = self.snapshot(apdb)
        assert (snapshot.tile_versions.tolist(), len(snapshot.changed)) == ([1], 0)

    def test_an_update_raises_the_tile_and_tells_the_objects(
        self, apdb: OpenApdb, client: DaxClient, name: str
    ) -> None:
        self.store_two(apdb)
        update, outdated = UPDATES[name]
        update(client)
        snapshot = self.snapshot(apdb)
        assert snapshot.tile_versions[0] > 1
        assert snapshot.changed.outdated(TILES).tolist() == outdated

    def test_a_commit_that_has_not_seen_an_update_is_refused(
        self, apdb: OpenApdb, client: DaxClient, update: Callable[[DaxClient], None]
    ) -> None:
        self.store_two(apdb)
        before = apdb.count_rows()
        with apdb.exclusive(CELLS) as session:
            session.read_snapshot([SECOND], TILES)
            update(client)
            with pytest.raises(TilesChangedError, match="1 of 1 tiles"):
                session.commit([changes(SECOND, [source(BIG + 4)], [dia_object(BIG + 4, 60000.7)])])
        after = apdb.count_rows()
        assert {name: after[name] for name in ("DiaSource", "DiaObject")} == {
            name: before[name] for name in ("DiaSource", "DiaObject")
        }

    def test_so_is_one_that_only_read_the_tile(self, apdb: OpenApdb, client: DaxClient) -> None:
        self.store_two(apdb)
        with apdb.exclusive(CELLS) as session:
            session.read_snapshot([SECOND], TILES)
            _withdraw(client)
            with pytest.raises(TilesChangedError):
                session.commit([changes(SECOND, tiles=[])])

    def test_a_new_version_ends_the_note(self, apdb: OpenApdb, client: DaxClient) -> None:
        self.store_two(apdb)
        _reassign(client)
        with apdb.exclusive(CELLS) as session:
            session.read_snapshot([SECOND], TILES)
            renewed = dia_object(KEPT, 60001.0, nDiaSources=2)
            session.commit([changes(SECOND, [], [renewed], closed=[OTHER], time=60001.0)])
        snapshot = self.snapshot(apdb)
        assert len(snapshot.changed) == 0
        assert self.select(client, "DiaObjectLast", "diaObjectId", "nDiaSources") == [(KEPT, 2)]

    def test_objects_with_a_single_source_are_counted_on(self, apdb: OpenApdb, client: DaxClient) -> None:
        self.store_two(apdb)
        _reassign(client)
        assert self.snapshot(apdb).n_single_source == 0
        _close(client)
        assert self.snapshot(apdb).n_single_source == 0
        client.setValidityEnd([DiaObjectId(diaObjectId=KEPT, ra=10.0, dec=-5.0)], NOW)
        assert self.snapshot(apdb).n_single_source == 0

    def test_closing_an_object_with_a_single_source_is_counted(self, apdb: OpenApdb, client: DaxClient) -> None:
        self.store_two(apdb)
        _close(client)
        assert self.snapshot(apdb).n_single_source == 1

    def test_notes_are_told_by_their_tile(self, apdb: OpenApdb, client: DaxClient) -> None:
        self.store_two(apdb)
        _withdraw(client)
        with apdb.exclusive(CELLS) as session:
            elsewhere = session.read_snapshot([], np.setdiff1d(np.arange(8, 16), TILES))
        assert len(elsewhere.changed) == 0


class UnannouncedWritersTests(OtherWritersTests):
    """What other programs add without a word is noticed too."""

    def test_rows_that_others_add_are_noticed_too(self, apdb: OpenApdb, client: DaxClient) -> None:
        self.store_two(apdb)
        batch = {"visit": SECOND.visit, "detector": SECOND.detector}
        owners = {BIG + 6: BIG + 6, BIG + 8: KEPT}
        sources = [source(one, diaObjectId=owner, **batch) for one, owner in owners.items()]
        objects = [dia_object(BIG + 6, 60001.0), dia_object(KEPT, 60001.0, nDiaSources=2)]
        client.store(NOW, _frame("DiaObject", objects), _frame("DiaSource", sources))
        snapshot = self.snapshot(apdb)
        assert snapshot.tile_versions[0] > 1
        assert snapshot.changed.diaObjectId.tolist() == [KEPT, BIG + 6]
        # The other pipeline gave them versions with all they have.
        assert len(snapshot.changed.outdated(TILES)) == 0
        with apdb.exclusive(CELLS) as session:
            assert BIG + 6 in session.load_tiles(TILES).positions.diaObjectId

    def test_a_source_that_no_version_counts_makes_its_object_outdated(
        self, apdb: OpenApdb, client: DaxClient
    ) -> None:
        self.store_two(apdb)
        added = source(BIG + 6, diaObjectId=KEPT, visit=SECOND.visit, detector=SECOND.detector)
        client.store(NOW, _frame("DiaObject", []), _frame("DiaSource", [added]))
        assert self.snapshot(apdb).changed.outdated(TILES).tolist() == [KEPT]
