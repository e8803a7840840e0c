"""What a backend of the APDB provides.

A backend is a folder beside this file that exports one `Backend`, and a line in
`stream_assoc.stores.apdb.backends`. `stream_assoc.testing` has the tests that it must pass.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, Self

from stream_assoc.pipeline.ports.apdb import DaemonApdb
from stream_assoc.stores.apdb.backups import ApdbBackups
from stream_assoc.stores.apdb.copying import CopySource, CopyStep, OpenSource
from stream_assoc.stores.apdb.patience import Patience
from stream_assoc.stores.apdb.reading.inspection import ApdbInspection
from stream_assoc.stores.apdb.reading.port import ApdbReader
from stream_assoc.stores.apdb.replication import Replication
from stream_assoc.stores.apdb.ring import ApdbRing
from stream_assoc.stores.apdb.server import ApdbServer

if TYPE_CHECKING:
    from lsst.dax.apdb import ApdbConfig


@dataclass(frozen=True, slots=True)
class ApdbReport:
    """What a database says of itself.

    Attributes
    ----------
    schema_version : `str`
        Version of the APDB schema.
    stream_assoc_version : `str`
        Version of our own tables.
    replication : `bool`
        Whether rows are also noted for replication to the PPDB.
    identity : `str`
        Random name of this database's contents and partition, with the
        numbers of where they are. It is part of every cache key, because tile
        versions count from zero in each new database: a cache filled from
        another one must not look current.
    partition : `str`
        HTM levels of the tiles and cells, such as ``10/8``. All daemons must
        agree on them, or their locks and tile versions would not meet.
    cache_secret : `str`
        What blobs in the cache are authenticated with. Who can write to the
        cache and not read this database does not know it.
    lock_table_size : `int` or `None`
        How many locks the server has room for, of all its sessions together; each cell
        that is held is one. `None` where that is no matter.
    seconds_ahead : `float`
        How far the clock of this host is ahead of the server's; negative if it is behind.
        Zero where there is no server, or a clock that is off is refused.
    """

    schema_version: str
    stream_assoc_version: str
    replication: bool
    identity: str
    partition: str
    cache_secret: str = field(repr=False)
    lock_table_size: int | None = None
    seconds_ahead: float = 0.0

    def of_copy(self, place: str) -> Self:
        """Return the report of the copy at this place: copies of a database are told apart by it."""
        return replace(self, identity=f"{self.identity}.{place}")


@dataclass(frozen=True, slots=True)
class ClusterChoices:
    """What is chosen when an APDB is created on a cluster of many nodes, and cannot be changed by us later.

    Attributes
    ----------
    replication_factor : `int` or `None`
        How many nodes keep each row. `None`: 3, or what the keyspace has where it is there already.
    time_partition_tables : `bool`
        Whether each time partition has tables of its own, so that old ones can be dropped.
    time_partition_start, time_partition_end : `str` or `None`
        The time that these tables cover, such as ``2026-01-01T00:00:00``, TAI. `None`: dax_apdb's own choice.
    """

    replication_factor: int | None = None
    time_partition_tables: bool = False
    time_partition_start: str | None = None
    time_partition_end: str | None = None


class OpenApdb(DaemonApdb, Protocol):
    """An APDB opened to be written, its schema checked."""

    @property
    def report(self) -> ApdbReport:
        """What the database is."""

    def expect_statistics(self, statistics: Collection[str]) -> None:
        """Return if the database has columns for all that will be stored.

        Parameters
        ----------
        statistics : collection of `str`
            Columns of plugins of other packages.

        Raises
        ------
        ApdbSchemaError
            If a column is missing. The message names the remedy.
        """

    def announce_replication(self) -> None:
        """Let the triggers that judge what other programs note for replicas know how far these may lag."""


class Administration(Protocol):
    """Creates an APDB and changes its tables, while no session is open on it.

    Every method raises `ApdbUnavailableError` if the database cannot be reached
    or daemons hold it, and `ApdbSchemaError` if it cannot be what was asked for.
    """

    def init(
        self,
        *,
        drop: bool,
        replication: bool,
        tile_level: int,
        cell_level: int,
        cluster: ClusterChoices | None = None,
    ) -> None:
        """Create the APDB, or complete one that exists; ``drop`` deletes it before, *with all its data*.

        Raises
        ------
        ApdbConfigurationError
            If there are choices about a cluster, and the database is none.
        """

    def plan(self, *, drop: bool, statistics: Sequence[str]) -> list[str]:
        """Return what `init` and `add_columns` would do, a line for each step. Nothing is changed."""

    def extend(self, *, tile_level: int, cell_level: int) -> None:
        """Add our tables to an APDB that exists, or migrate those of an older version.

        Each migration is applied and noted atomically, so that an interrupted one is resumed.
        """

    def add_columns(self, statistics: Sequence[str]) -> None:
        """Add columns for the statistics of plugins of other packages, where they are missing."""

    def repartition(self, *, tile_level: int, cell_level: int) -> None:
        """Divide the sky anew, and give the database a new identity and secret.

        Daemons that run on it are refused from then on, and nothing that was cached before is found or believed.
        """

    def withdraw_notes(
        self, rows: Mapping[str, Collection[Sequence[object]]], records: Collection[Sequence[object]]
    ) -> None:
        """Withdraw what is noted for replication; the rows themselves are left as they are.

        In one transaction, where there are any. What has been withdrawn may be withdrawn again.

        Parameters
        ----------
        rows : mapping
            By table (DiaObject, DiaSource, DiaForcedSource), keys of rows that a replica has.
        records : collection
            Update records that no replica can apply: chunk, time in nanoseconds, order and unique identifier of each.
        """

    def release_chunks(self) -> Sequence[int]:
        """Let replicas come to what is stored, where they wait for daemons that no longer run.

        What is committed and not applied is applied; what was about to be committed into a
        chunk that is over never will be. Daemons may run.

        Returns
        -------
        chunks : sequence of `int`
            Those that are still held, because something may yet be committed into them; a chunk is named by its
            beginning in seconds since 1970, TAI.
        """


class ApdbUrl(Protocol):
    """An APDB of one backend, as a URL and a namespace name it. Its text may hold a password and is never shown."""

    def open(
        self, *, tile_level: int, flag_columns: Sequence[str], patience: Patience, replication: Replication
    ) -> OpenApdb:
        """Open the APDB to write, its schema checked. See `~stream_assoc.stores.apdb.factory.open_apdb`."""

    def open_reader(self, patience: Patience, *, any_version: bool) -> ApdbReader:
        """Open the APDB to read only. See `~stream_assoc.stores.apdb.reading.open.open_reader`."""

    def inspection(
        self, patience: Patience, *, flag_columns: Sequence[str]
    ) -> AbstractContextManager[ApdbInspection]:
        """Hold on to one moment of the APDB. See `~stream_assoc.stores.apdb.reading.open.open_inspection`."""

    def copy_source(self, patience: Patience) -> AbstractContextManager[CopySource]:
        """Hold on to one moment of an APDB that is to be copied.

        Raises
        ------
        ApdbConfigurationError
            If it is of a kind that is not copied.
        ApdbSchemaError
            If it is no APDB of this version.
        ApdbUnavailableError
            If the database cannot be reached.
        """

    def copy_from(
        self, open_source: OpenSource, patience: Patience, tell: Callable[[str], None]
    ) -> Iterator[CopyStep]:
        """Copy another APDB into this one, which is made and empty, or go on with a copy; yield what is done.

        No daemon can open it until all is copied and compared. Whoever is killed meanwhile runs it again.

        Parameters
        ----------
        open_source : callable
            Holds on to the moment of now.
        patience : `Patience`
            How long to wait for the database.
        tell : callable
            Is told what is not copied, and why.

        Raises
        ------
        ApdbConfigurationError
            If nothing is copied to databases of this kind.
        ApdbDamagedError
            If the copy is not what it should be.
        ApdbSchemaError
            If it is not empty or of another partition, or the source has changed since the copy began.
        ApdbUnavailableError
            If a database cannot be reached.
        """

    def administration(self) -> Administration:
        """Return what creates and changes it."""

    def server(self, patience: Patience) -> ApdbServer | None:
        """Return the settings of the server that holds it; `None` where there is no PostgreSQL server.

        Raises
        ------
        ApdbError
            If the server cannot be reached, or refuses the user.
        """

    def backups(self, patience: Patience) -> ApdbBackups | None:
        """Return what goes with backups; `None` where the database's own tools need no help."""

    def ring(self, patience: Patience) -> ApdbRing | None:
        """Return what the ring that holds it is set to; `None` where there is no ring of Cassandra nodes.

        Raises
        ------
        ApdbError
            If the ring cannot be reached, or refuses the user.
        """

    def dax_config(self) -> "ApdbConfig":
        """Return how ``lsst.dax.apdb`` opens the same APDB. Importing that takes seconds."""


class Backend(Protocol):
    """A kind of database.

    Attributes
    ----------
    scheme : `str`
        The scheme of its URLs, such as ``postgresql``. A driver after it, such
        as ``+psycopg2``, is ignored.
    form : `str`
        How such a URL looks, for messages.
    """

    scheme: str
    form: str

    def parse(self, rest: str, namespace: str | None) -> ApdbUrl:
        """Return what a URL names, given the part after ``://``.

        Raises
        ------
        ApdbConfigurationError
            If it names nothing that can be opened. The message never holds the URL.
        """
