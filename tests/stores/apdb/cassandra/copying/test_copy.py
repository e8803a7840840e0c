"""A copied APDB is as if its batches had been stored there, and a daemon that goes on finds nothing else."""

from contextlib import closing

import numpy as np
import pytest
from lsst.dax.apdb import Apdb, DiaSourceId

from stream_assoc.stores.apdb.backends import parse_url
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.cassandra.batch_rows import RowKeys
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.tables import (
    BATCH_ROWS,
    CHECKPOINT,
    CONTENTS,
    LEASE,
    OBJECT,
    PLACE,
    RENEWED,
    SKY,
    VISIT,
)
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE
from tests.cassandra.prepared import written
from tests.contents import ALL_TABLES, columns, contents
from tests.pipeline.skies import night
from tests.stores.apdb.cassandra.copying.nights import (
    N_COPIED,
    SETTINGS,
    copy,
    live_before_the_copy,
    live_on,
    rows_of,
)
from tests.tools.inspection.skies import inspected, live_through_a_night

pytestmark = pytest.mark.integration

SAME = (OBJECT, PLACE, SKY, VISIT, CONTENTS, CHECKPOINT)
"""Our tables that must be the same, row for row."""
DAX = ("DiaObjectLastToPartition", "DiaObjectDedup", "ApdbVisitDetector")


def test_it_is_as_if_the_batches_had_been_stored_there(
    source: str, target: str, other_apdb: CassandraUrl, connection: Connection
) -> None:
    live_before_the_copy(written(other_apdb))
    copy(source, target)
    assert contents(target, *ALL_TABLES) == contents(source, *ALL_TABLES)
    with closing(other_apdb.connect(DEFAULT_PATIENCE)) as other:
        for table in (*SAME, *DAX):
            assert rows_of(connection, table) == rows_of(other, table), table
        assert keys_of_batches(connection) == keys_of_batches(other)
        assert renewed(connection) == renewed(other)
        assert versions_of_tiles(connection) == versions_of_tiles(other)


def test_a_daemon_goes_on(source: str, target: str) -> None:
    copy(source, target)
    assert inspected(target, settings=SETTINGS) == []
    on_sql = live_on(source, night(), N_COPIED, len(night()))
    on_cassandra = live_on(target, night(), N_COPIED, len(night()))
    assert on_cassandra == on_sql
    assert contents(target, *ALL_TABLES, CHECKPOINT) == contents(source, *ALL_TABLES, CHECKPOINT)


def test_from_postgresql(postgresql_apdb_url: str, target: str) -> None:
    live_before_the_copy(postgresql_apdb_url)
    copy(postgresql_apdb_url, target)
    assert contents(target, *ALL_TABLES, CHECKPOINT) == contents(postgresql_apdb_url, *ALL_TABLES, CHECKPOINT)


def test_what_was_measured_reprocessed_closed_and_changed_by_others(
    sqlite_apdb_url: str, target: str, connection: Connection
) -> None:
    live_through_a_night(sqlite_apdb_url)
    client = Apdb.from_config(parse_url(sqlite_apdb_url).dax_config())
    ((identifier, ra, dec, time),) = columns(
        sqlite_apdb_url, "DiaSource", "diaSourceId", "ra", "dec", "midpointMjdTai"
    )[:1]
    client.withdrawDiaSources([DiaSourceId(diaSourceId=identifier, ra=ra, dec=dec, midpointMjdTai=time)])
    copy(sqlite_apdb_url, target)
    assert contents(target, *ALL_TABLES, CHECKPOINT) == contents(sqlite_apdb_url, *ALL_TABLES, CHECKPOINT)
    assert outdated(target) == outdated(sqlite_apdb_url) != []
    # On Cassandra those that wait for a batch are told as well.
    assert {find.key.get("diaObjectId") for find in inspected(target)} == set(outdated(target))
    records = columns(sqlite_apdb_url, "ApdbUpdateRecordChunks", "update_time_ns", "update_payload")
    assert sorted(records) == rows_of(connection, "ApdbUpdateRecordChunks", "update_time_ns", "update_payload")


def outdated(url: str) -> list[int]:
    """Return the objects that the next batch over all of the sky has to give another version."""
    with closing(open_apdb(url)) as apdb:
        tiles = apdb.known_tiles()
        with apdb.exclusive(np.unique(tiles >> 4)) as session:
            changed = session.read_snapshot([], tiles).changed
    return sorted(changed.diaObjectId[changed.is_outdated].tolist())


def keys_of_batches(connection: Connection) -> dict[tuple[object, ...], tuple[list[int], ...]]:
    """Return the keys of the rows of each batch, but in which replica subchunk each is noted."""
    rows = {
        (visit, detector, kind): RowKeys.unpacked(keys)
        for visit, detector, kind, keys in rows_of(connection, BATCH_ROWS)
    }
    return {
        key: tuple(getattr(row, name).tolist() for name in ("identifiers", "parts", "time_parts", "chunks"))
        for key, row in rows.items()
    }


def renewed(connection: Connection) -> dict[float, frozenset[int]]:
    """Return the objects that got a version, by time: the pinned clock gives several batches the same."""
    found: dict[float, frozenset[int]] = {}
    for _, _, time, *_, packed in rows_of(connection, RENEWED):
        found[time] = found.get(time, frozenset()) | frozenset(np.frombuffer(packed, np.int64).tolist())
    return found


def versions_of_tiles(connection: Connection) -> dict[int, object]:
    rows = connection.read(f'SELECT cell, tile_versions, last_batches FROM "{LEASE}"')
    return {cell: (dict(versions), dict(batches or {})) for cell, versions, batches in rows if versions}
