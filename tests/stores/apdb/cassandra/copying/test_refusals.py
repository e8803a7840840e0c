"""What a copy does not do, and what it says then."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stream_assoc.pipeline.exceptions import ApdbError
from stream_assoc.stores.apdb.backends import parse_url
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.copying import CopyStep
from stream_assoc.stores.apdb.create import init
from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError, ApdbDamagedError, ApdbSchemaError
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE
from stream_assoc.stores.apdb.rows.tables import quoted
from stream_assoc.testing.rows import BIG, CELLS, FIRST, new_objects, store
from tests.contents import contents, execute, n_rows
from tests.pipeline.skies import night
from tests.stores.apdb.cassandra.copying.nights import N_COPIED, copy, live_on

pytestmark = pytest.mark.integration

SOURCE_KEY = ("apdb_part", "apdb_time_part", "diaSourceId")


def steps_of(source: str, target: str) -> Iterator[CopyStep]:
    place = parse_url(source)
    return parse_url(target).copy_from(lambda: place.copy_source(DEFAULT_PATIENCE), DEFAULT_PATIENCE, print)


def begin(source: str, target: str) -> None:
    """Copy a stretch, and stop."""
    next(steps_of(source, target))


def copy_and(source: str, target: str, meddle: Callable[[], None]) -> None:
    """Copy an APDB, and do something once all is copied and nothing compared but the first rows."""
    steps = steps_of(source, target)
    while not next(steps).compares:
        continue
    meddle()
    list(steps)


def test_what_is_not_empty_stays_as_it_is(source: str, target: str) -> None:
    with closing(open_apdb(target)) as apdb:
        store(apdb, new_objects(FIRST, [BIG]))
        with pytest.raises(ApdbSchemaError, match=r"is not empty \(DiaObject has rows\).*apdb init"):
            copy(source, target)
        assert apdb.contains(FIRST)
    with closing(open_apdb(target)) as apdb:
        assert apdb.count_rows()["DiaSource"] == 1


def test_a_daemon_that_runs_on_it_stores_nothing_more(source: str, target: str) -> None:
    with closing(open_apdb(target)) as apdb:
        begin(source, target)
        with pytest.raises(ApdbSchemaError, match="start it anew"):
            store(apdb, new_objects(FIRST, [BIG]))
    with pytest.raises(ApdbSchemaError, match=r"holds a part of a copy: run `stream-assoc apdb copy` again"):
        open_apdb(target)


def test_a_session_that_is_open_when_it_begins_commits_nothing(source: str, target: str) -> None:
    with closing(open_apdb(target)) as apdb, apdb.exclusive(CELLS) as session:
        begin(source, target)
        with pytest.raises(ApdbError):
            session.commit([new_objects(FIRST, [BIG])])


def test_a_source_that_changes_between_two_runs(source: str, target: str) -> None:
    begin(source, target)
    live_on(source, night(), N_COPIED, N_COPIED + 2)
    with pytest.raises(ApdbSchemaError, match=r"the source has changed since the copy began: stop all daemons"):
        copy(source, target)


@pytest.mark.parametrize(
    "statement",
    [
        'DELETE FROM "StreamAssocOutbox" WHERE sequence = (SELECT max(sequence) FROM "StreamAssocOutbox")',
        'UPDATE "DiaSource" SET "timeWithdrawnMjdTai" = 62000.5 WHERE "diaSourceId" = (SELECT max("diaSourceId") '
        'FROM "DiaSource" WHERE "diaObjectId" > 0)',
    ],
    ids=["published", "withdrawn"],
)
def test_a_source_that_changes_meanwhile(source: str, target: str, statement: str) -> None:
    steps = steps_of(source, target)
    next(steps)
    execute(source, statement)
    with pytest.raises(ApdbSchemaError, match="the source has changed since the copy began"):
        list(steps)
    with pytest.raises(ApdbSchemaError, match="holds a part of a copy"):
        open_apdb(target)


def test_a_row_that_differs_is_named(source: str, target: str, connection: Connection) -> None:
    def meddle() -> None:
        ((*key, source_id),) = connection.read(f'SELECT {quoted(SOURCE_KEY)} FROM "DiaSource" LIMIT 1')
        where = " AND ".join(f'"{name}" = ?' for name in SOURCE_KEY)
        connection.write(f'UPDATE "DiaSource" SET "psfFlux" = 1.5 WHERE {where}', *key, source_id)

    with pytest.raises(ApdbDamagedError, match=r"DiaSource, .*: psfFlux\. Another program.*--drop"):
        copy_and(source, target, meddle)


def test_a_row_too_many_is_counted(source: str, target: str, connection: Connection) -> None:
    def meddle() -> None:
        connection.write('INSERT INTO "DiaObjectLast" (apdb_part, "diaObjectId") VALUES (7, 7)')

    n = n_rows(source, "DiaObjectLast")
    with pytest.raises(ApdbDamagedError, match=f"DiaObjectLast has {n + 1:,} rows, and {n:,} are copied"):
        copy_and(source, target, meddle)


def test_another_source(source: str, target: str, sqlite_apdb_url: str) -> None:
    begin(source, target)
    with pytest.raises(ApdbSchemaError, match="holds a copy of another APDB"):
        copy(sqlite_apdb_url, target)


def test_two_at_once(source: str, target: str) -> None:
    first = steps_of(source, target)
    next(first)
    begin(source, target)
    with pytest.raises(ApdbSchemaError, match="another process copies into this keyspace"):
        list(first)


def test_other_directions(source: str, target: str, sqlite_apdb_url: str) -> None:
    with pytest.raises(ApdbConfigurationError, match=r"an APDB is copied to Cassandra: write cassandra://"):
        copy(source, sqlite_apdb_url)
    with pytest.raises(ApdbConfigurationError, match="name one in SQLite or PostgreSQL"):
        copy(target, target)


def test_why_there_are_no_replica_chunks(tmp_path: Path, target: str, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:///{tmp_path / 'without.db'}"
    init(url, replication=False)
    with closing(open_apdb(url)) as apdb:
        store(apdb, new_objects(FIRST, [BIG]))
    copy(url, target)
    assert "a new PPDB never gets it" in capsys.readouterr().out
    assert n_rows(target, "DiaSourceChunks") == 0
    assert contents(target, "DiaSource") == contents(url, "DiaSource")


def test_another_division_of_the_sky(tmp_path: Path, target: str) -> None:
    url = f"sqlite:///{tmp_path / 'divided.db'}"
    init(url, tile_level=9)
    with pytest.raises(ApdbSchemaError, match="the source is divided as 9/8, that of the keyspace as 10/8"):
        copy(url, target)
