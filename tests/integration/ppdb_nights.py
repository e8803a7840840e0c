"""Nights that a PPDB is to follow: plain, re-processed, and with an administrator at work."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import astropy.time
import numpy as np
import pyarrow as pa
from lsst.dax.apdb import Apdb, DiaForcedSourceId, DiaObjectId, DiaSourceId

from stream_assoc.core.model.batch import Batch
from stream_assoc.pipeline.batches import Processed, arrive
from stream_assoc.pipeline.clock import PinnedClock
from stream_assoc.pipeline.process import process_batches
from stream_assoc.pipeline.services import Services
from stream_assoc.stores.apdb.rows.chunks import unix_tai
from stream_assoc.tools.transform.batches import content_digest
from tests.contents import columns
from tests.integration.ppdb import Replica
from tests.pipeline.photometers import with_images
from tests.pipeline.skies import night

BEGIN: Final = 61_100.0
"""Processing time of the first batch, MJD TAI."""

STEP: Final = 700.0 / 86_400
"""Longer than a replica chunk, so that each batch and each change has one of its own."""


@dataclass(slots=True)
class NightClock:
    """The time of a night's step.

    Attributes
    ----------
    mjd_tai : `float`
    """

    mjd_tai: float = BEGIN

    def seconds(self) -> float:
        """Return it as seconds since 1970."""
        return unix_tai(self.mjd_tai)


class Night:
    """Writers of an APDB, each of which works a step after the one before.

    Parameters
    ----------
    replica : `Replica`
        The APDB.
    clock : `NightClock`
    after_each : callable
        Called after every step.
    """

    def __init__(
        self, replica: Replica, services: Services, clock: NightClock, after_each: Callable[[], None]
    ) -> None:
        self.replica = replica
        self._services = services
        self._after_each = after_each
        self._clock = clock

    def process(self, *batches: Batch, reprocessing: bool = False) -> None:
        for batch in batches:
            services = dataclasses.replace(self._services, clock=PinnedClock(self._clock.mjd_tai))
            (outcome,) = process_batches([arrive(batch, services, reprocessing=reprocessing)], services)
            assert isinstance(outcome, Processed)
            self._step()

    def administer(self, *changes: Callable[["Administrator"], None]) -> None:
        for change in changes:
            change(Administrator(self.replica, astropy.time.Time(self._clock.mjd_tai, format="mjd", scale="tai")))
            self._step()

    def _step(self) -> None:
        self._after_each()
        self._clock.mjd_tai += STEP


def processed_again(one: Batch) -> Batch:
    """Return a batch without each third of its sources, the ids of the others given anew."""
    kept = np.flatnonzero(np.arange(len(one)) % 3)
    rows = one.diaSources.take(pa.array(kept))
    renumbered = pa.array(one.diaSourceId[: len(kept)])
    place = rows.schema.get_field_index("diaSourceId")
    columns = [*rows.columns[:place], renumbered, *rows.columns[place + 1 :]]
    made = dataclasses.replace(one, diaSources=pa.RecordBatch.from_arrays(columns, schema=rows.schema))
    return dataclasses.replace(made, digest=content_digest(made))


class Administrator:
    """dax_apdb's own client, at work at one time.

    Parameters
    ----------
    replica : `Replica`
        The APDB.
    time : `astropy.time.Time`
    """

    def __init__(self, replica: Replica, time: astropy.time.Time) -> None:
        self._url = replica.apdb_url
        self._time = time
        self._client: Any = Apdb.from_uri(str(replica.apdb_config))
        vars(self._client)["_current_time"] = lambda: time

    def move_all_and_close(self) -> None:
        """Give the sources of an object to the one that is closest to it, and close it."""
        # On Cassandra dax_apdb looks for the other object where the source is.
        places = self._select("DiaObjectLast", "diaObjectId", "ra", "dec")
        owners = {owner for owner, _ in self._sources()}
        _, source, target = min(
            ((ra - other_ra) ** 2 + (dec - other_dec) ** 2, one, other)
            for one, ra, dec in places
            for other, other_ra, other_dec in places
            if one in owners and one != other
        )
        moved = {one: target for owner, one in self._sources() if owner == source}
        self._client.reassignDiaSourcesToDiaObjects(moved)
        ((ra, dec),) = self._select("DiaObjectLast", "ra", "dec", diaObjectId=source)
        assert self._client.setValidityEnd([DiaObjectId(diaObjectId=source, ra=ra, dec=dec)], self._time) == 1

    def give_to_the_solar_system(self) -> None:
        self._client.reassignDiaSources({one.diaSourceId: 2**54 + 1 for _, one in self._sources()[:2]})

    def withdraw_sources(self) -> None:
        self._client.withdrawDiaSources([one for _, one in self._sources()[2:5]])

    def withdraw_forced_sources(self) -> None:
        names = ("diaObjectId", "visit", "detector", "ra", "dec", "midpointMjdTai")
        rows = self._select("DiaForcedSource", *names, timeWithdrawnMjdTai=None)[:5]
        assert len(rows) == 5
        self._client.withdrawDiaForcedSources(
            [DiaForcedSourceId(**dict(zip(names, row, strict=True))) for row in rows]
        )

    def _sources(self) -> list[tuple[int, DiaSourceId]]:
        """Return the sources that count and have an owner that is open, each with it."""
        names = ("diaSourceId", "ra", "dec", "midpointMjdTai")
        rows = self._select("DiaSource", "diaObjectId", *names, timeWithdrawnMjdTai=None)
        is_open = {identifier for (identifier,) in self._select("DiaObjectLast", "diaObjectId")}
        return [
            (owner, DiaSourceId(**dict(zip(names, values, strict=True))))
            for owner, *values in rows
            if owner in is_open
        ]

    def _select(self, table: str, *names: str, **only: object) -> list[tuple[Any, ...]]:
        """Return columns of the rows with these values, in a fixed order."""
        rows = columns(self._url, table, *names, *only)
        chosen = [tuple(row[: len(names)]) for row in rows if list(row[len(names) :]) == list(only.values())]
        return sorted(chosen, key=repr)


def batches(n: int) -> Sequence[Batch]:
    return [with_images(one) for one in night()[:n]]


def plain(night: Night) -> None:
    night.process(*batches(8))


def reprocessed(night: Night) -> None:
    first = batches(6)
    night.process(*first)
    again = [processed_again(first[place]) for place in (0, 3, 5)]
    night.process(*again, reprocessing=True)
    night.process(*batches(8)[6:])
    night.process(processed_again(again[0]), reprocessing=True)


def administered(night: Night) -> None:
    first = batches(8)
    changes = [
        Administrator.move_all_and_close,
        Administrator.give_to_the_solar_system,
        Administrator.withdraw_sources,
        Administrator.withdraw_forced_sources,
    ]
    if not night.replica.is_in_sql:
        # On Cassandra dax_apdb tells no replica of it (DM-50190).
        changes.remove(Administrator.give_to_the_solar_system)
    night.process(*first[:4])
    night.administer(*changes)
    night.process(*first[4:6])
    night.administer(*changes)
    night.process(processed_again(first[1]), reprocessing=True)
    night.process(*first[6:])
