"""An APDB of any earlier version becomes one of this version; a writer that would lose a column does not start."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from stream_assoc.core.model.further_statistics import further_statistics
from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.stores.apdb.backend import OpenApdb
from stream_assoc.stores.apdb.create import add_columns, check, init, plan, repartition
from stream_assoc.stores.apdb.exceptions import ApdbSchemaError
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.apdb.notes import OUR_VERSION_KEY, numbers
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE, Patience
from stream_assoc.stores.apdb.reading.open import open_reader
from stream_assoc.stores.apdb.rows.tables import FURTHER, OUR_TABLES
from stream_assoc.stores.apdb.sql import migrations
from stream_assoc.stores.apdb.sql.database import Database
from stream_assoc.stores.apdb.sql.migrations import MIGRATIONS, OUR_VERSION, Migration, migrate
from stream_assoc.testing.rows import BIG, CELLS, FIRST, SECOND, new_objects, store
from tests.contents import columns, execute
from tests.stores.apdb.sql_urls import drop_triggers, sql_url

VERSIONS = [one.version for one in MIGRATIONS]
DATABASES = ["sqlite_apdb_url", pytest.param("postgresql_apdb_url", marks=pytest.mark.integration)]


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def apdb(url: str) -> Iterator[OpenApdb]:
    apdb = open_apdb(url)
    yield apdb
    apdb.close()


def undo(url: str) -> None:
    """Take all that we add to an APDB out of it."""
    drop_triggers(url)
    execute(
        url,
        *(f'DROP TABLE "{table}"' for table in OUR_TABLES),
        "DELETE FROM metadata WHERE name LIKE '%stream_assoc%'",
    )


def migrate_to(url: str, version: str) -> None:
    """Give an APDB without our tables those of an earlier version."""
    for one in MIGRATIONS:
        if numbers(one.version) <= numbers(version):
            with sql_url(url).transaction(writes=True) as database:
                assert database is not None
                migrate(database, one)


def shape(url: str) -> dict[str, frozenset[str]]:
    with sql_url(url).transaction(writes=False) as database:
        assert database is not None
        return {table: database.columns_of(table) for table in OUR_TABLES}


def stored_version(url: str) -> str | None:
    with sql_url(url).transaction(writes=False) as database:
        assert database is not None
        return database.note(OUR_VERSION_KEY)


def test_versions_ascend() -> None:
    assert all(numbers(one) < numbers(two) for one, two in itertools.pairwise(VERSIONS))
    assert VERSIONS[-1] == OUR_VERSION


@pytest.mark.parametrize("version", [None, *VERSIONS])
def test_every_earlier_version_becomes_this_one(url: str, version: str | None) -> None:
    new = shape(url)
    undo(url)
    if version is not None:
        migrate_to(url, version)
    with pytest.raises(ApdbSchemaError, match="run `stream-assoc apdb init`"):
        check(url)
    steps = plan(url)
    later = [one for one in VERSIONS if version is None or numbers(one) > numbers(version)]
    triggers = [] if later else ["make the triggers anew that note what other programs change"]
    assert [step.split(":")[0] for step in steps] == [
        *(f"migrate to {one}" for one in later),
        f"add to {FURTHER}",
        *triggers,
    ]
    assert init(url).stream_assoc_version == OUR_VERSION
    assert shape(url) == new
    assert plan(url) == []


@pytest.mark.parametrize("version", VERSIONS[:-1])
def test_an_older_version_is_refused_to_writers_and_readers(url: str, version: str) -> None:
    undo(url)
    migrate_to(url, version)
    for open_it in (open_apdb, open_reader):
        with pytest.raises(ApdbSchemaError, match=f"version {version} of the stream_assoc tables.*apdb init"):
            open_it(url)


def test_a_later_version_is_refused_and_left_alone(url: str) -> None:
    execute(url, f"UPDATE metadata SET value = '2.99.0' WHERE name = '{OUR_VERSION_KEY}'")
    execute(url, f'ALTER TABLE "{FURTHER}" DROP COLUMN flags')
    before = shape(url)
    asks: tuple[Callable[[str], object], ...] = (open_apdb, open_reader, init, plan, check)
    for ask in asks:
        with pytest.raises(ApdbSchemaError, match=rf"version 2\.99\.0 .* writes {OUR_VERSION}"):
            ask(url)
    assert shape(url) == before
    assert stored_version(url) == "2.99.0"


@pytest.mark.parametrize("version", ["", "two", "2", "2.x.0", "-1.0.0"])
def test_a_version_that_is_none_is_told(url: str, version: str) -> None:
    execute(url, f"UPDATE metadata SET value = '{version}' WHERE name = '{OUR_VERSION_KEY}'")
    for ask in (open_apdb, init):
        with pytest.raises(ApdbSchemaError, match="such as"):
            ask(url)


def test_tables_of_an_unknown_version_are_not_written_over(url: str) -> None:
    execute(url, f"DELETE FROM metadata WHERE name = '{OUR_VERSION_KEY}'")
    with pytest.raises(ApdbSchemaError, match=f"StreamAssocLedger.*{OUR_VERSION_KEY}"):
        init(url)


def test_a_table_that_was_lost_is_not_replaced_by_an_empty_one(url: str) -> None:
    execute(url, 'DROP TABLE "StreamAssocTile"')
    with pytest.raises(ApdbSchemaError, match=r"StreamAssocTile is not there; restore it"):
        init(url)


def test_a_migration_that_fails_leaves_nothing_behind(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is gone on with where it ended."""

    def empty_the_outbox(database: Database) -> None:
        database.run("DELETE FROM {StreamAssocOutbox}")

    def break_off(database: Database) -> None:
        database.run(f'ALTER TABLE {{{FURTHER}}} ADD COLUMN "half" DOUBLE PRECISION')
        database.run("DELETE FROM {StreamAssocLedger}")
        raise ApdbUnavailableError("the power is off")

    apdb = open_apdb(url)
    store(apdb, new_objects(FIRST, [BIG]))
    before = shape(url)
    done = Migration("9.1.0", "works", empty_the_outbox)
    monkeypatch.setattr(migrations, "MIGRATIONS", (*MIGRATIONS, done, Migration("9.2.0", "fails", break_off)))
    for module in ("administration", "compatibility"):
        monkeypatch.setattr(f"stream_assoc.stores.apdb.sql.{module}.OUR_VERSION", "9.2.0")
    with pytest.raises(ApdbUnavailableError, match="the power is off"):
        init(url)
    assert stored_version(url) == "9.1.0"
    assert shape(url) == before
    assert apdb.contains(FIRST)
    assert apdb.unpublished() == []
    assert plan(url) == ["migrate to 9.2.0: fails"]
    apdb.close()


def test_a_dry_run_changes_nothing(url: str) -> None:
    undo(url)
    migrate_to(url, "2.0.0")
    before = shape(url)
    assert plan(url, drop=True)[:2] == [
        "drop all tables of the APDB, with their rows",
        "create the tables of lsst.dax.apdb, APDB schema 10.0.0",
    ]
    assert plan(url)
    assert shape(url) == before
    assert stored_version(url) == "2.0.0"


def test_a_dry_run_makes_no_file(tmp_path: Any) -> None:
    assert plan(f"sqlite:///{tmp_path}/new.db")[0].startswith("create the tables of lsst.dax.apdb")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("table", "column", "remedy"),
    [
        (FURTHER, "y_multiPhase", "run `stream-assoc apdb init`"),
        ("DiaObject", "r_psfFluxSigma", "lsst.dax.apdb's own scripts"),
        ("DiaObjectLast", "nDiaSources", "lsst.dax.apdb's own scripts"),
        ("DiaSource", "glint_trail", "lsst.dax.apdb's own scripts"),
        ("DiaForcedSource", "scienceFlux", "lsst.dax.apdb's own scripts"),
    ],
)
def test_a_writer_that_would_lose_a_column_does_not_start(url: str, table: str, column: str, remedy: str) -> None:
    # SQLite keeps a column that a trigger names.
    drop_triggers(url)
    execute(url, f'ALTER TABLE "{table}" DROP COLUMN "{column}"')
    with pytest.raises(ApdbSchemaError, match=f"{table} lacks {column}.*{remedy}"):
        open_apdb(url)


def test_columns_of_statistics_are_added_and_keep_what_is_there(url: str) -> None:
    execute(url, f'ALTER TABLE "{FURTHER}" DROP COLUMN "flags"')
    assert plan(url, statistics=["r_mine", "flags"]) == [f"add to {FURTHER}: flags, r_mine"]
    init(url)
    add_columns(url, None, ["r_mine", "y_mine"])
    add_columns(url, None, ["r_mine", "y_mine"])
    assert {"flags", "r_mine", "y_mine"} <= shape(url)[FURTHER]
    assert plan(url, statistics=["r_mine", "flags"]) == []
    apdb = open_apdb(url)
    apdb.expect_statistics(["r_mine", "y_mine"])
    with pytest.raises(ApdbSchemaError, match=r"lacks g_mine.*statistics\.plugins"):
        apdb.expect_statistics(["r_mine", "g_mine"])
    further = {"diaObjectId": [BIG], "validityStartMjdTai": [60000.6], "r_mine": [1.5], "flags": [1.0]}
    store(apdb, replace(new_objects(FIRST, [BIG]), further_statistics=pa.table(further)))
    apdb.close()
    add_columns(url, None, ["g_mine"])
    init(url)
    assert columns(url, FURTHER, "diaObjectId", "r_mine", "flags", "g_mine") == [(BIG, 1.5, 1.0, None)]


def test_no_writer_drops_a_column_without_a_word(apdb: OpenApdb) -> None:
    further = pa.table({"diaObjectId": [BIG], "validityStartMjdTai": [60000.6], "r_unknown": [1.0]})
    with pytest.raises(ApdbSchemaError, match="r_unknown"):
        store(apdb, replace(new_objects(FIRST, [BIG]), further_statistics=further))
    assert not apdb.contains(FIRST)


def add_a_version(url: str) -> None:
    execute(url, f"UPDATE metadata SET value = '2.99.0' WHERE name = '{OUR_VERSION_KEY}'")


def divide_anew(url: str) -> None:
    repartition(url, tile_level=9, cell_level=7)


@pytest.mark.parametrize("change", [add_a_version, divide_anew])
def test_a_daemon_that_runs_on_after_a_change_stores_nothing(
    apdb: OpenApdb, url: str, change: Callable[[str], None]
) -> None:
    store(apdb, new_objects(FIRST, [BIG]))
    change(url)
    with pytest.raises(ApdbSchemaError, match="while this process ran"):
        store(apdb, new_objects(SECOND, [BIG + 2]))
    assert not apdb.contains(SECOND)


def test_tables_are_not_changed_while_a_session_is_inside(
    apdb: OpenApdb, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for backend in ("sqlite", "postgresql"):
        hasty = Patience(lock_seconds=0.05)
        monkeypatch.setattr(f"stream_assoc.stores.apdb.{backend}.backend.DEFAULT_PATIENCE", hasty)
    asked = repartition(url, tile_level=10, cell_level=8)
    assert asked.partition == "10/8"
    other = open_apdb(url)
    with other.exclusive(CELLS), pytest.raises(ApdbUnavailableError, match="lock"):
        repartition(url, tile_level=10, cell_level=8)
    other.close()
    assert DEFAULT_PATIENCE.lock_seconds == 30.0


def test_the_table_of_further_statistics_has_them_all(url: str) -> None:
    names = {column.name for column in further_statistics()}
    assert shape(url)[FURTHER] == names | {"diaObjectId", "validityStartMjdTai"}
