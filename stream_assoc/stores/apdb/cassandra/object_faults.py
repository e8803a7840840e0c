"""Faults of objects: their versions, DiaObjectLast, and the tables that say where both are."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from stream_assoc.core.model.schema import apdb_table
from stream_assoc.stores.apdb.cassandra.keyed_rows import KeyedRows
from stream_assoc.stores.apdb.cassandra.stored_objects import Latest, StoredObjects, Version
from stream_assoc.stores.apdb.reading.answers import Row
from stream_assoc.stores.apdb.reading.inspection import Fault, Find, Value

Key = tuple[int, int]
"""``apdb_part`` and diaObjectId of a row of DiaObjectLast."""

COMPARED: Final = tuple(
    name for name in apdb_table("DiaObjectLast").names if name in frozenset(apdb_table("DiaObject").names)
)
"""Columns that DiaObjectLast and DiaObject have."""

MAP_COLUMN: Final = "apdb_part in DiaObjectLastToPartition"
LATEST_COLUMN: Final = "validityStartMjdTai in StreamAssocObject"


class ObjectFaults:
    """Compares what is stored of some objects.

    Parameters
    ----------
    stored : `StoredObjects`
    rows : `KeyedRows`
    made_again : callable
        Tells whether a re-processing at a time has made an object, which was closed before.
    """

    def __init__(self, stored: StoredObjects, rows: KeyedRows, made_again: Callable[[int, float], bool]) -> None:
        self._stored = stored
        self._rows = rows
        self._made_again = made_again

    def of_versions(self, diaObjectId: Sequence[int]) -> Iterator[Find]:
        """Yield what is wrong with the versions of some objects."""
        latest, versions = self._stored.latest(diaObjectId), self._stored.versions(diaObjectId)
        is_open = {one for one, some in versions.items() if any(version.end is None for version in some)}
        last = self._stored.last([(latest[one].partition[0], one) for one in is_open & set(latest)], ())
        for identifier in sorted(set(diaObjectId)):
            yield from self._of_versions(identifier, versions.get(identifier, []))
            known = latest.get(identifier)
            if identifier in is_open and (known is None or (known.partition[0], identifier) not in last):
                yield _find(Fault.OPEN_VERSION_NOT_IN_LAST, identifier)

    def of_last(self, keys: Sequence[Key]) -> Iterator[Find]:
        """Yield what is wrong with some rows of DiaObjectLast."""
        ids = [identifier for _, identifier in keys]
        rows = self._stored.last(keys, COMPARED)
        versions, latest, mapped = self._stored.versions(ids), self._stored.latest(ids), self._stored.mapped(ids)
        in_force = self._stored.rows_of_latest(latest, COMPARED)
        for (part, identifier), row in sorted(rows.items()):
            some = versions.get(identifier, [])
            if not any(version.end is None for version in some):
                state = "closed" if some else "does not exist"
                yield _find(Fault.LAST_WITHOUT_OPEN_VERSION, identifier, object=state)
                continue
            differing = list(_unequal(row, in_force.get(identifier)))
            if mapped.get(identifier) != part:
                differing.append(MAP_COLUMN)
            if not _is_latest(latest.get(identifier), some):
                differing.append(LATEST_COLUMN)
            if differing:
                yield _find(Fault.LAST_DIFFERS_FROM_VERSION, identifier, columns=" ".join(differing))
        yield from self._of_numbers({one: known for one, known in latest.items() if known.end is None})

    def _of_numbers(self, latest: dict[int, Latest]) -> Iterator[Find]:
        """Yield the objects whose number of sources is not the one in the version in force."""
        partitions = {one for places in self._rows.places("DiaSource", latest).values() for one in places}
        live = dict.fromkeys(latest, 0)
        for page in self._rows.pages("DiaSource", partitions, ("diaObjectId", "timeWithdrawnMjdTai")):
            for identifier, withdrawn in page:
                if withdrawn is None and identifier in live:
                    live[identifier] += 1
        numbers = self._stored.rows_of_latest(latest, ("nDiaSources",))
        for identifier, (number,) in sorted(numbers.items()):
            if number != live[identifier]:
                values = {"nDiaSources": number, "live sources": live[identifier]}
                yield Find(Fault.WRONG_N_DIA_SOURCES, {"diaObjectId": identifier}, values)

    def _of_versions(self, identifier: int, versions: Sequence[Version]) -> Iterator[Find]:
        n_open = sum(version.end is None for version in versions)
        if n_open > 1:
            yield Find(Fault.TWO_OPEN_VERSIONS, {"diaObjectId": identifier}, {"open versions": n_open})
        for version in versions:
            if version.end is not None and version.end < version.begin:
                yield _interval(Fault.NEGATIVE_INTERVAL, identifier, version)
        for version, following in pairwise(versions):
            if version.end is None:
                if n_open == 1:
                    yield _interval(Fault.OVERLAPPING_VERSIONS, identifier, version, following)
            elif version.end > following.begin:
                yield _interval(Fault.OVERLAPPING_VERSIONS, identifier, version, following)
            elif version.begin <= version.end < following.begin and not self._made_again(identifier, following.begin):
                yield _interval(Fault.GAP_BETWEEN_VERSIONS, identifier, version, following)


def _is_latest(latest: Latest | None, versions: Iterable[Version]) -> bool:
    """Tell whether our table names the last version that is open."""
    begin = max(version.begin for version in versions if version.end is None)
    return latest is not None and (latest.begin, latest.end) == (begin, None)


def _unequal(row: Row, version: Row | None) -> Iterator[str]:
    if version is not None:
        yield from (name for name, one, other in zip(COMPARED, row, version, strict=True) if one != other)


def _find(fault: Fault, identifier: int, **values: Value) -> Find:
    return Find(fault, {"diaObjectId": identifier}, values)


def _interval(fault: Fault, identifier: int, version: Version, following: Version | None = None) -> Find:
    next_begin = {} if following is None else {"next validityStartMjdTai": following.begin}
    values = {"validityStartMjdTai": version.begin, "validityEndMjdTai": version.end, **next_begin}
    return Find(fault, {"diaObjectId": identifier}, values)
