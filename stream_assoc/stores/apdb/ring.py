"""What a ring of Cassandra nodes tells of itself, as far as it can hurt an APDB."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ApdbRing:
    """The ring and the keyspace that hold an APDB.

    Attributes
    ----------
    replication_factors : mapping
        How many nodes of each data center keep a row.
    has_durable_writes : `bool`
        Whether what is written to the keyspace goes into the commit logs of nodes.
    settings : mapping
        Settings of each node that answers, by its address and their names.
    lives_of_tables : mapping
        After how many seconds rows vanish by themselves, for tables in which they do.
    gc_graces : mapping
        How many seconds it is kept in mind that a row was deleted, by table.
    time_partitions_end : `float` or `None`
        MJD, TAI, from which on there are no tables for new rows; `None` where one table holds all times.
    """

    replication_factors: Mapping[str, int]
    has_durable_writes: bool
    settings: Mapping[str, Mapping[str, str]]
    lives_of_tables: Mapping[str, int]
    gc_graces: Mapping[str, int]
    time_partitions_end: float | None
