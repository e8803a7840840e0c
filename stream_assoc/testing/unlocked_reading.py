"""Readers that hold nothing."""

import contextlib

import numpy as np
import pytest

from stream_assoc.pipeline.ports.reader import SessionReader
from stream_assoc.stores.apdb.backend import ApdbUrl, OpenApdb
from stream_assoc.stores.apdb.exceptions import ApdbSchemaError
from stream_assoc.stores.apdb.patience import Patience
from stream_assoc.testing.case import ApdbCase, DaxClient
from stream_assoc.testing.checkpoints import LAYOUT, with_checkpoints
from stream_assoc.testing.other_writers import UPDATES
from stream_assoc.testing.rows import (
    BIG,
    CELLS,
    FIRST,
    SECOND,
    TILES,
    changes,
    dia_object,
    forced,
    new_objects,
    source,
    store,
)

IMPATIENT = Patience(lock_seconds=0.2)
"""Whoever has to wait for a reader, or a reader for somebody, fails."""

BATCH = with_checkpoints(
    changes(
        SECOND,
        [source(9, diaObjectId=BIG, timeProcessedMjdTai=60001.0, psfFlux=5.0)],
        [dia_object(BIG, 60001.0, ra=10.0001, nDiaSources=2)],
        [forced(1, BIG, *SECOND, timeProcessedMjdTai=60001.0)],
        time=60001.0,
    ),
    {BIG: b"a state"},
)
"""Changes everything that is read of an object."""


def everything(reader: SessionReader) -> list[object]:
    """Return what a state and a tile are made of, and the version that they carry."""
    ids = np.array([BIG])
    snapshot = reader.read_snapshot([SECOND], TILES)
    tiles, histories = reader.load_tiles(TILES), reader.load_histories(ids)
    later = reader.load_later_points(ids, np.array([60000.6]))
    checkpoints = reader.load_checkpoints(ids, LAYOUT)
    points = reader.load_forced_points(ids, np.array([-np.inf]), np.array([np.inf]))
    return [
        len(snapshot.entries),
        snapshot.tile_versions.tolist(),
        snapshot.changed.diaObjectId.tolist(),
        tiles.positions.ra.tolist(),
        tiles.positions.validityStartMjdTai.tolist(),
        histories.validityStartMjdTai.tolist(),
        histories.points.psfFlux.tolist(),
        len(later.points.psfFlux),
        [bytes(blob) for blob in checkpoints.blobs],
        len(points),
        reader.latest_versions(ids).positions.validityStartMjdTai.tolist(),
    ]


class UnlockedReadingTests(ApdbCase):
    """Readers that hold nothing: they wait for nobody, and nobody waits for them."""

    def test_the_ledger_is_read_alone(self, apdb: OpenApdb) -> None:
        store(apdb, new_objects(FIRST, [7]))
        store(apdb, changes(FIRST, time=60001.0, revision=1))
        with apdb.reading() as reader:
            entries = reader.read_snapshot([FIRST, SECOND], np.empty(0, np.int64)).entries
        assert {key: [one.revision for one in revisions] for key, revisions in entries.items()} == {FIRST: [0, 1]}

    def test_no_cell_is_taken_and_none_waited_for(self, apdb: OpenApdb, place: ApdbUrl) -> None:
        store(apdb, new_objects(FIRST, [BIG]))
        with contextlib.closing(self.open(place, IMPATIENT)) as other:
            with other.exclusive(CELLS), apdb.reading() as reader:
                assert len(reader.load_tiles(TILES)) == 1
            with apdb.reading() as reader:
                everything(reader)
                with other.exclusive(CELLS) as session:
                    session.commit([BATCH])
                assert len(reader.load_tiles(TILES)) == 1

    def test_several_read_at_the_same_time(self, apdb: OpenApdb) -> None:
        store(apdb, new_objects(FIRST, [BIG]))
        with apdb.reading() as one, apdb.reading() as other:
            assert everything(one) == everything(other)

    def test_an_error_ends_the_reading(self, apdb: OpenApdb) -> None:
        store(apdb, new_objects(FIRST, [BIG]))
        with pytest.raises(LookupError), apdb.reading() as reader:
            raise LookupError(everything(reader))
        store(apdb, BATCH)
        with apdb.reading() as reader:
            assert everything(reader)[1] == [2]

    def test_an_apdb_that_was_divided_anew_is_not_read(self, apdb: OpenApdb, place: ApdbUrl) -> None:
        place.administration().repartition(tile_level=11, cell_level=8)
        with pytest.raises(ApdbSchemaError, match="start it anew"), apdb.reading():
            pass


class OneMomentTests(ApdbCase):
    """Readers that hold nothing and see one moment, where the database has snapshots."""

    def test_a_batch_that_commits_meanwhile_is_not_seen(self, apdb: OpenApdb, place: ApdbUrl) -> None:
        store(apdb, new_objects(FIRST, [BIG]))
        with contextlib.closing(self.open(place, IMPATIENT)) as other:
            with other.reading() as reader:
                before = everything(reader)
                with apdb.exclusive(CELLS) as session:
                    session.commit([BATCH])
                assert everything(reader) == before
            with other.reading() as reader:
                after = everything(reader)
        assert before[1] == [1]
        assert after[1] == [2]
        assert all(one != other for one, other in zip(before, after, strict=True) if one != []), after

    @pytest.mark.parametrize("name", UPDATES)
    def test_nor_is_another_program(self, apdb: OpenApdb, client: DaxClient, name: str) -> None:
        store(
            apdb,
            changes(
                FIRST,
                [source(one) for one in (BIG, BIG + 2)],
                [dia_object(one, 60000.6) for one in (BIG, BIG + 2)],
                [forced(one, one, *FIRST) for one in (BIG, BIG + 2)],
                delta=2,
            ),
        )
        update, _ = UPDATES[name]
        with apdb.reading() as reader:
            before = everything(reader)
            update(client)
            assert everything(reader) == before
        with apdb.reading() as reader:
            assert everything(reader)[1] != before[1]
