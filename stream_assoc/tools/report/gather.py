"""Where what is known of a night comes from: the topics or captures of them, and the APDB."""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.core.model.times import DayObs, day_obs, mjd_tai_of_unix, night_bounds
from stream_assoc.messaging.avro.batch_prefix import batch_prefix
from stream_assoc.messaging.avro.dead_letters import DeadLetter
from stream_assoc.messaging.avro.wire import WriterSchemas
from stream_assoc.messaging.exceptions import DecodeError
from stream_assoc.stores.apdb.sql.columns import ColumnReader
from stream_assoc.tools.report.night import OBJECT_COLUMNS, SOURCE_COLUMNS, NightLetter


def metrics_of_night(records: Iterable[AssociationMetrics], night: DayObs) -> list[AssociationMetrics]:
    """Return the metrics of a night in the order observed; of a batch that was re-processed the last."""
    last: dict[tuple[int, int], AssociationMetrics] = {}
    for one in records:
        batch = (one.visit, one.detector)
        if night_of(one.midpointMjdTai) == night and (batch not in last or one.revision >= last[batch].revision):
            last[batch] = one
    return sorted(last.values(), key=lambda one: (one.midpointMjdTai, one.visit, one.detector))


def letters_by_night(
    letters: Iterable[DeadLetter], schemas: WriterSchemas | None = None
) -> dict[DayObs | None, list[NightLetter]]:
    """Return dead letters by their night; `None` stands for a time that no calendar reaches.

    The night is that of the batch where its beginning can be read, else that
    in which the letter was set aside.
    """
    nights: defaultdict[DayObs | None, list[NightLetter]] = defaultdict(list)
    for letter in letters:
        try:
            batch = batch_prefix(letter.original.value, schemas)
        except DecodeError:
            batch = None
        observed = None if batch is None else night_of(batch.midpointMjdTai)
        nights[observed or _night_set_aside(letter.record.time)].append(NightLetter(letter.record, batch))
    return dict(nights)


def sources_of_night(reader: ColumnReader, night: DayObs) -> pa.Table:
    """Return the DIASources of a night that count, `SOURCE_COLUMNS`."""
    condition = '"midpointMjdTai" >= ? AND "midpointMjdTai" < ? AND "timeWithdrawnMjdTai" IS NULL'
    return reader.read("DiaSource", SOURCE_COLUMNS, condition, night_bounds(night))


def objects_of(reader: ColumnReader, sources: pa.Table) -> pa.Table:
    """Return the DIAObjects of some sources as they are now, `OBJECT_COLUMNS`."""
    if not sources.num_rows:
        return reader.read("DiaObjectLast", OBJECT_COLUMNS, "1 = 0")
    # Every one of them has been seen since; most others have not.
    begin = pc.min(sources["midpointMjdTai"]).as_py()
    objects = reader.read("DiaObjectLast", OBJECT_COLUMNS, '"lastDiaSourceMjdTai" >= ?', (begin,))
    wanted = np.unique(np.asarray(pc.drop_null(sources["diaObjectId"]).to_numpy(), np.int64))
    return objects.filter(pa.array(np.isin(np.asarray(objects["diaObjectId"].to_numpy(), np.int64), wanted)))


def _night_set_aside(milliseconds: int) -> DayObs | None:
    try:
        return day_obs(mjd_tai_of_unix(milliseconds / 1000.0))
    except ValueError:
        return None


def night_of(mjd_tai: float) -> DayObs | None:
    """Return the night of a time that a stranger has written; `None` where no calendar reaches."""
    try:
        return day_obs(mjd_tai)
    except ValueError:
        return None
