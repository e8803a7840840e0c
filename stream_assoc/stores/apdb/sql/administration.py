"""Creating an APDB in an SQL database, and preparing an existing one for this package.

``lsst.dax.apdb`` is imported inside the one function that needs it, because
that import costs seconds.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from stream_assoc.core.model.schema import schema_version
from stream_assoc.exceptions import reason_of
from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.stores.apdb.backend import ClusterChoices
from stream_assoc.stores.apdb.columns import statistics_columns
from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError, ApdbSchemaError
from stream_assoc.stores.apdb.notes import (
    INIT_REMEDY,
    NOTES,
    OUR_VERSION_KEY,
    PARTITION_KEY,
    SCHEMA_VERSION_KEY,
    check_not_newer,
    new_names,
    partition_name,
    tile_level_of,
)
from stream_assoc.stores.apdb.rows.tables import CHANGED, FURTHER, KEYS, OUR_TABLES, UPDATE_KEY, UPDATES
from stream_assoc.stores.apdb.sql.compatibility import CONFIGURATION_KEY, DIA_OBJECT_INDEX, check_dax
from stream_assoc.stores.apdb.sql.database import Database, SqlUrl
from stream_assoc.stores.apdb.sql.migrations import (
    OUR_VERSION,
    add_statistics,
    migrate,
    missing_statistics,
    pending,
)
from stream_assoc.stores.apdb.sql.other_writers import pixel_shift

if TYPE_CHECKING:
    from lsst.dax.apdb import ApdbConfig


class SqlAdministration:
    """`~stream_assoc.stores.apdb.backend.Administration` of a database that has transactions over its tables.

    Parameters
    ----------
    url : `SqlUrl`
        The database.
    """

    def __init__(self, url: SqlUrl) -> None:
        self._url = url

    def init(
        self,
        *,
        drop: bool,
        replication: bool,
        tile_level: int,
        cell_level: int,
        cluster: ClusterChoices | None = None,
    ) -> None:
        """See `Administration.init`."""
        if cluster is not None:
            raise ApdbConfigurationError(
                "a replication factor and tables of time partitions are for Cassandra; apdb.url names SQLite or "
                "PostgreSQL"
            )
        with self._url.transaction(writes=False) as database:
            exists = database is not None and database.holds_apdb
        if drop and exists:
            self._drop()
        if drop or not exists:
            self._create(drop=drop, replication=replication)
            self._leave_room()
        self.extend(tile_level=tile_level, cell_level=cell_level)

    def plan(self, *, drop: bool, statistics: Sequence[str]) -> list[str]:
        """See `Administration.plan`."""
        with self._url.transaction(writes=False) as database:
            exists = database is not None and database.holds_apdb
            steps = ["drop all tables of the APDB, with their rows"] if drop and exists else []
            kept = database if exists and not drop else None
            if kept is None:
                steps.append(f"create the tables of lsst.dax.apdb, APDB schema {schema_version()}")
            else:
                _check_before(kept)
            steps += [f"migrate to {one.version}: {one.purpose}" for one in pending(kept)]
            if columns := missing_statistics(kept, statistics_columns(statistics)):
                steps.append(f"add to {FURTHER}: {', '.join(columns)}")
            if kept is not None and not pending(kept) and _lacks_triggers(kept):
                steps.append("make the triggers anew that note what other programs change")
        return steps

    def extend(self, *, tile_level: int, cell_level: int) -> None:
        """See `Administration.extend`."""
        is_done = False
        while not is_done:
            with self._url.transaction(writes=True) as database:
                if database is None or not database.holds_apdb:
                    raise ApdbSchemaError(
                        f"the database that apdb.url names holds no APDB with DiaObjectLast; {INIT_REMEDY}"
                    )
                _check_before(database)
                if left := pending(database):
                    migrate(database, left[0])
                else:
                    _check_after(database)
                    add_statistics(database, missing_statistics(database, statistics_columns()))
                    notes = new_names() | {PARTITION_KEY: partition_name(tile_level, cell_level)}
                    for key, value in notes.items():
                        if database.note(key) is None:
                            database.set_note(key, value)
                    if _lacks_triggers(database):
                        database.run_all(database.triggers.install(_shift(database)))
                    is_done = True

    def add_columns(self, statistics: Sequence[str]) -> None:
        """See `Administration.add_columns`."""
        with self._url.transaction(writes=False) as database:
            missing = missing_statistics(database, statistics)
        if missing:
            with self._url.transaction(writes=True) as database:
                if database is None or not database.exists(FURTHER):
                    raise ApdbSchemaError(f"the database that apdb.url names has no table {FURTHER}; {INIT_REMEDY}")
                add_statistics(database, missing_statistics(database, statistics))

    def repartition(self, *, tile_level: int, cell_level: int) -> None:
        """See `Administration.repartition`."""
        with self._url.transaction(writes=True) as database:
            if database is not None and database.exists("metadata"):
                for key, value in new_names().items():
                    database.set_note(key, value)
                database.set_note(PARTITION_KEY, partition_name(tile_level, cell_level))
                if database.exists(CHANGED):
                    _divide_notes_anew(database, pixel_shift(tile_level))

    def withdraw_notes(
        self, rows: Mapping[str, Collection[Sequence[object]]], records: Collection[Sequence[object]]
    ) -> None:
        """See `Administration.withdraw_notes`."""
        with self._url.transaction(writes=True) as database:
            if database is None:
                return
            for table, keys in rows.items():
                condition = " AND ".join(f'"{column}" = ?' for column in KEYS[table])
                for key in keys:
                    database.run(f"DELETE FROM {{{table}Chunks}} WHERE {condition}", *key)
            condition = " AND ".join(f'"{column}" = ?' for column in UPDATE_KEY)
            for record in records:
                database.run(f"DELETE FROM {{{UPDATES}}} WHERE {condition}", *record)

    def release_chunks(self) -> Sequence[int]:
        """See `Administration.release_chunks`: what is committed is there, so no replica waits for anybody."""
        return ()

    def _leave_room(self) -> None:
        """Leave room in each page of DiaObject for the end of every version, which is noted once.

        PostgreSQL then writes the changed row beside the old one and leaves the
        three indexes alone: half the time, and a fifth of the write-ahead log.
        """
        with self._url.transaction(writes=True) as database:
            if database is not None and database.has_storage_options:
                database.run("ALTER TABLE {DiaObject} SET (fillfactor = 50)")

    def _drop(self) -> None:
        """Drop our tables and notes; dax_apdb drops its own and knows nothing of ours."""
        with self._url.transaction(writes=True) as database:
            if database is None:
                return
            database.run_all(database.triggers.drop())
            for table in OUR_TABLES:
                database.run(f"DROP TABLE IF EXISTS {{{table}}}")
            for key in NOTES:
                database.run("DELETE FROM {metadata} WHERE name = ?", key)

    def _create(self, *, drop: bool, replication: bool) -> None:
        import sqlalchemy.exc
        from lsst.dax.apdb.sql import ApdbSql

        try:
            self._url.reserve()
            ApdbSql.init_database(
                db_url=self._url.sqlalchemy_url,
                dia_object_index=DIA_OBJECT_INDEX,
                enable_replica=replication,
                namespace=self._url.namespace,
                drop=drop,
            )
        except OSError as error:
            raise ApdbUnavailableError(f"the APDB cannot be created now: {reason_of(error)}") from error
        except sqlalchemy.exc.OperationalError as error:
            raise ApdbUnavailableError(f"the APDB cannot be created now: {reason_of(error.orig or error)}") from error
        except sqlalchemy.exc.DBAPIError as error:
            raise ApdbSchemaError(f"the APDB cannot be created: {reason_of(error.orig or error)}") from error


def dax_config_of(url: SqlUrl) -> "ApdbConfig":
    """Return how dax_apdb opens this database."""
    from lsst.dax.apdb.sql import ApdbSqlConfig

    return ApdbSqlConfig(db_url=url.sqlalchemy_url, namespace=url.namespace, dia_object_index=DIA_OBJECT_INDEX)


def _divide_notes_anew(database: Database, shift: int) -> None:
    """Make the triggers note tiles of another level, and let what they have noted name such tiles too."""
    database.run_all(database.triggers.install(shift))
    database.run(
        f'UPDATE {{{CHANGED}}} SET tile = (SELECT o."pixelId" >> {shift} FROM {{DiaObject}} o '
        f'WHERE o."diaObjectId" = {{{CHANGED}}}."diaObjectId" AND o."validityEndMjdTai" IS NULL)'
    )


def _lacks_triggers(database: Database) -> bool:
    return database.note(PARTITION_KEY) is None or bool(database.triggers.lacking(_shift(database)))


def _shift(database: Database) -> int:
    """Return how many bits a pixelId has more than a tile of this database."""
    return pixel_shift(tile_level_of(database.note(PARTITION_KEY) or ""))


def _check_before(database: Database) -> None:
    """Refuse what this version cannot migrate, before anything is changed."""
    notes = {key: value for key in (SCHEMA_VERSION_KEY, CONFIGURATION_KEY) if (value := database.note(key))}
    if SCHEMA_VERSION_KEY in notes:
        check_dax(notes)
    if version := database.note(OUR_VERSION_KEY):
        check_not_newer(version, OUR_VERSION)


def _check_after(database: Database) -> None:
    """Refuse to go on with an APDB that lost a table of ours: making an empty one would hide what was in it."""
    if lost := [table for table in OUR_TABLES if not database.exists(table)]:
        raise ApdbSchemaError(
            f"the APDB says that it is of version {OUR_VERSION} of the stream_assoc tables, but {', '.join(lost)} is "
            "not there; restore it from a backup"
        )
