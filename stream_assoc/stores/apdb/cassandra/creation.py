"""The tables of dax_apdb in a keyspace: made by its own code, and dropped with ours."""

import functools
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Final

from stream_assoc.stores.apdb.backend import ClusterChoices
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.cassandra.compatibility import (
    METADATA,
    OUR_TABLES,
    TIME_PARTITIONED,
    read_layout,
    read_tables,
)
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.failures import translated
from stream_assoc.stores.apdb.cassandra.ring import read_replication
from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError, ApdbSchemaError
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE

REPLICATION_FACTOR: Final = 3
"""With it one node may be away."""

_SCHEMA: Final = "system_schema"
CREDENTIALS: Final = "LSST_DB_AUTH_CREDENTIALS"
"""The variable in which dax_apdb looks for users and passwords, before it looks for its file."""


def create(url: CassandraUrl, choices: ClusterChoices, *, replication: bool) -> None:
    """Let dax_apdb create its tables where they are missing, and the keyspace.

    Raises
    ------
    ApdbConfigurationError
        If the ring has too few nodes for the replication factor, or the times are none.
    ApdbSchemaError
        If the keyspace is there with another replication factor.
    ApdbUnavailableError
        If the ring is away.
    """
    with closing(url.connect(DEFAULT_PATIENCE, _SCHEMA)) as connection:
        factor = _replication_factor(connection, url.keyspace, choices.replication_factor)
    from lsst.dax.apdb.cassandra import ApdbCassandra

    with translated(), lent_credentials(url), lent_encryption(url):
        try:
            ApdbCassandra.init_database(
                url.hosts,
                url.keyspace,
                enable_replica=replication,
                port=url.port,
                username=url.user,
                time_partition_tables=choices.time_partition_tables,
                time_partition_start=choices.time_partition_start,
                time_partition_end=choices.time_partition_end,
                replication_factor=factor,
            )
        except ValueError as error:
            raise ApdbConfigurationError(f"dax_apdb cannot create the APDB: {error}") from error


def check_choices(url: CassandraUrl, choices: ClusterChoices) -> None:
    """Tell whether an APDB that is there was made by other choices than these.

    Raises
    ------
    ApdbSchemaError
        If it was: nothing changes them later.
    """
    with closing(url.connect(DEFAULT_PATIENCE)) as connection:
        _known_factor(read_replication(connection, url.keyspace), choices.replication_factor)
        if choices.time_partition_tables and read_layout(connection).time_partitions is None:
            raise ApdbSchemaError(
                "the APDB is there with one table for all times, and dax_apdb cannot divide it; leave out "
                "--time-partition-tables, or make another keyspace"
            )


def drop_tables(url: CassandraUrl) -> None:
    """Drop the tables of dax_apdb and ours, with all rows; other tables of the keyspace stay.

    The table ``metadata`` goes last, so that what was interrupted is not taken for a new APDB.
    """
    from lsst.dax.apdb.apdbSchema import ApdbTables
    from lsst.dax.apdb.cassandra.apdbCassandraSchema import ExtraTables

    try:
        connection = url.connect(DEFAULT_PATIENCE)
    except ApdbSchemaError:
        return
    theirs = {table.table_name() for table in (*ApdbTables, *ExtraTables)}
    with closing(connection):
        for table in sorted(read_tables(connection), key=lambda table: (table == METADATA, table)):
            if table in theirs or table in OUR_TABLES or _is_of_a_time(table):
                connection.change_tables(f'DROP TABLE IF EXISTS "{table}"')


def _is_of_a_time(table: str) -> bool:
    """Tell whether a table has the rows of one time partition."""
    name, _, time_part = table.rpartition("_")
    return name in TIME_PARTITIONED and time_part.isdecimal()


def _replication_factor(connection: Connection, keyspace: str, asked: int | None) -> int:
    """Return how many nodes are to keep each row."""
    if there := read_replication(connection, keyspace):
        return _known_factor(there, asked)
    factor = asked or REPLICATION_FACTOR
    said = connection.read_of_each_node("SELECT data_center FROM system.local")
    data_centers = Counter(name for rows in said.values() for (name,) in rows)
    name, n_nodes = min(data_centers.items(), key=lambda one: one[1])
    if factor > n_nodes:
        raise ApdbConfigurationError(
            f"each row is to be kept by {factor} nodes, and of the data center {name} {n_nodes} can be reached; "
            "start or add nodes, or choose fewer (--replication-factor): with fewer than 3 nothing goes on while one "
            "node is away"
        )
    return factor


def _known_factor(there: Mapping[str, int], asked: int | None) -> int:
    """Return the replication factor of a keyspace that is there, if it is what is asked for."""
    factors = sorted(set(there.values()))
    if asked is not None and asked not in factors:
        raise ApdbSchemaError(
            f"the keyspace is there with the replication factor {' and '.join(map(str, factors))}, not {asked}; "
            "leave out --replication-factor, or change the keyspace's by ALTER KEYSPACE and repair it"
        )
    return asked or factors[0]


@contextmanager
def lent_credentials(url: CassandraUrl) -> Iterator[None]:
    """Let dax_apdb find the user and password of a URL: it takes none from its caller."""
    if url.user is None:
        yield
        return
    before = os.environ.get(CREDENTIALS)
    hosts = [f"[{host}]" if ":" in host else host for host in url.hosts]
    entries = [
        {"url": f"cassandra://{host}:{url.port}/{url.keyspace}", "username": url.user, "password": url.password}
        for host in hosts
    ]
    os.environ[CREDENTIALS] = json.dumps(entries)
    try:
        yield
    finally:
        if before is None:
            del os.environ[CREDENTIALS]
        else:
            os.environ[CREDENTIALS] = before


@contextmanager
def lent_encryption(url: CassandraUrl) -> Iterator[None]:
    """Let dax_apdb connect as a URL asks: what creates its tables has no parameter for it."""
    if url.encryption is None:
        yield
        return
    from lsst.dax.apdb.cassandra import sessionFactory

    names = vars(sessionFactory)
    before = names["Cluster"]
    names["Cluster"] = functools.partial(before, ssl_context=url.encryption.context())
    try:
        yield
    finally:
        names["Cluster"] = before
