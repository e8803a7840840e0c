"""What there is, in order: batches by visit, and new versions of objects by time.

Cassandra finds a partition by its key and lists none in order. So the plan of
each batch notes its visit and its day where they are found from the highest
down. What dax_apdb itself has stored is not noted.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from typing import Final

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.batch import BatchId, BatchRevision
from stream_assoc.core.model.changes import LedgerEntry
from stream_assoc.core.model.types import IntArray
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.outbox import shard_of
from stream_assoc.stores.apdb.cassandra.plans import Change
from stream_assoc.stores.apdb.cassandra.tables import CONTENTS, N_SHARDS, RENEWED, VISIT

VISITS: Final = "visits"
"""Kind of the visits of a stretch."""
STRETCHES: Final = "stretches of visits"
"""Kind of the stretches that have visits, all in stretch 0."""
DAYS: Final = "days"
"""Kind of the days on which objects got versions, all in stretch 0."""

VISITS_A_STRETCH: Final = 2**16
"""Rubin numbers the visits of a night from its date and five zeros on, so that a night has one or two stretches."""

_PAGE_ROWS: Final = 100
"""Few rows, because each may hold the names of some hundred objects."""

_VALUES: Final = f'SELECT value FROM "{CONTENTS}" WHERE kind = ? AND stretch = ? ORDER BY value DESC'
_OF_VISIT: Final = f'SELECT visit, detector, revision FROM "{VISIT}" WHERE visit = ?'
_ORDERED: Final = 'ORDER BY "timeProcessedMjdTai" DESC'
_OF_DAY: Final = f'SELECT "timeProcessedMjdTai", objects FROM "{RENEWED}" WHERE day = ? AND shard = ? {_ORDERED}'

_KEY: Final = (("visit", pa.int64()), ("detector", pa.int32()), ("revision", pa.int32()))
_RENEWED: Final = (("day", pa.int32()), ("shard", pa.int32()), ("timeProcessedMjdTai", pa.float64()), *_KEY)
_CONTENTS: Final = (("kind", pa.string()), ("stretch", pa.int64()), ("value", pa.int64()))


@dataclass(frozen=True, slots=True)
class NewVersions:
    """The objects that one batch has given a version.

    Attributes
    ----------
    timeProcessedMjdTai : `float`
        When it was processed, MJD TAI.
    diaObjectId : `numpy.ndarray` [int64], shape (n,)
    """

    timeProcessedMjdTai: float
    diaObjectId: IntArray


class Contents:
    """Reads what there is, highest first and only as far as it is asked for.

    Parameters
    ----------
    connection : `Connection`
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of_visit(self, visit: int, limit: int) -> list[BatchRevision]:
        """Return the batches of a visit by ascending detector and revision."""
        return [BatchRevision(*row) for row in self._connection.read(f"{_OF_VISIT} LIMIT ?", visit, limit)]

    def of_batch(self, batch: BatchId, limit: int) -> list[BatchRevision]:
        """Return the last revisions of a visit and detector, ascending."""
        statement = f"{_OF_VISIT} AND detector = ? ORDER BY detector DESC, revision DESC LIMIT ?"
        return [BatchRevision(*row) for row in reversed(self._connection.read(statement, *batch, limit))]

    def batches(self) -> Iterator[BatchRevision]:
        """Yield all batches, from the highest visit, detector and revision down."""
        for stretch in self._values(STRETCHES, 0):
            for visit in self._values(VISITS, stretch):
                rows = self._connection.read(_OF_VISIT, visit)
                yield from (BatchRevision(*row) for row in reversed(rows))

    def new_versions(self) -> Iterator[NewVersions]:
        """Yield what batches have renewed, the latest batch first."""
        for day in self._values(DAYS, 0):
            for time, objects in merge(*self._shards(day), key=lambda row: -row[0]):
                yield NewVersions(time, np.frombuffer(objects, np.int64))

    def _shards(self, day: int) -> list[Iterator[tuple[float, bytes]]]:
        return [_rows(self._connection.pages(_OF_DAY, [(day, shard)], _PAGE_ROWS)) for shard in range(N_SHARDS)]

    def _values(self, kind: str, stretch: int) -> Iterator[int]:
        for page in self._connection.pages(_VALUES, [(kind, stretch)]):
            yield from (value for (value,) in page)


def contents_changes(renewed: Sequence[tuple[LedgerEntry, IntArray]]) -> Iterator[Change]:
    """Yield the notes of batches, each with the diaObjectId of the versions that it has made."""
    keys = [entry.key for entry, _ in renewed]
    yield Change(VISIT, _table(keys, _KEY))
    rows = [
        (int(entry.timeProcessedMjdTai // 1), shard_of(entry.key), entry.timeProcessedMjdTai, *entry.key, objects)
        for entry, ids in renewed
        if (objects := np.unique(ids).tobytes())
    ]
    yield Change(RENEWED, _table(rows, (*_RENEWED, ("objects", pa.binary()))))
    stretches = {(key.visit // VISITS_A_STRETCH, key.visit) for key in keys}
    noted = {(VISITS, *one) for one in stretches} | {(STRETCHES, 0, stretch) for stretch, _ in stretches}
    noted |= {(DAYS, 0, day) for day, *_ in rows}
    yield Change(CONTENTS, _table(sorted(noted), _CONTENTS))


def _rows(pages: Iterable[list[tuple[float, bytes]]]) -> Iterator[tuple[float, bytes]]:
    for page in pages:
        yield from page


def _table(rows: Sequence[Sequence[object]], fields: Sequence[tuple[str, pa.DataType]]) -> pa.Table:
    schema = pa.schema(fields)
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema)
