"""Alerts of batches that are processed again, and of objects whose sources were withdrawn, from a real APDB."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stream_assoc.core.model.batch import Batch, BatchId
from stream_assoc.messaging.avro.alerts.decoder import decode_alert
from stream_assoc.messaging.avro.alerts.encoder import AlertEncoder
from stream_assoc.messaging.avro.output_decoder import decode_metrics
from stream_assoc.pipeline.alerts import AlertContent
from stream_assoc.pipeline.batches import arrive
from stream_assoc.pipeline.process import process_batches
from stream_assoc.pipeline.services import Services
from stream_assoc.service.alerts.maker import AlertMaker, AlertSources, Destination, MadeAlerts
from stream_assoc.stores.apdb.create import init
from stream_assoc.stores.apdb.reading.open import open_reader
from tests.outputs import metrics_of, metrics_value
from tests.pipeline.skies import ARCSEC, batch, position, square
from tests.service.alerts.test_maker import message
from tests.stores.apdb.reading.stored import services_at

RA, DEC = 150.0, 2.0


def stars(visit: int, **places: float) -> Batch:
    """A visit of sources so many arcsec north of a point, by id."""
    ids = [int(name.removeprefix("id")) for name in places]
    declinations = [DEC + place * ARCSEC for place in places.values()]
    return batch(visit, [RA] * len(ids), declinations, ids=ids, footprint=square(RA, DEC))


class Night:
    """An APDB in a file, and the alerts of what it has stored."""

    def __init__(self, folder: Path) -> None:
        self._url = f"sqlite:///{folder / 'apdb.sqlite3'}"
        init(self._url)
        self.services: Services = services_at(self._url)
        self._n_processed = 0

    def process(self, one: Batch, *, again: bool = False) -> BatchId:
        self._n_processed += 1
        arrival = arrive(one, self.services, position(self._n_processed), reprocessing=again)
        process_batches([arrival], self.services)
        return one.id

    def made(self, batch_id: BatchId, revision: int = 0) -> MadeAlerts:
        with closing(open_reader(self._url)) as reader:
            entry = reader.processings(batch_id)[revision]
            sources = AlertSources(reader, None, 0.0, decode_metrics)
            maker = AlertMaker(sources, AlertContent(), AlertEncoder(), Destination("alerts", 1, 8))
            metrics = metrics_of(
                batch_id.visit,
                detector=batch_id.detector,
                revision=revision,
                timeProcessedMjdTai=entry.timeProcessedMjdTai,
            )
            return maker.make(message(metrics_value(metrics)))

    def pasts(self, batch_id: BatchId, revision: int = 0) -> dict[int, list[int]]:
        """Return the earlier sources that each alert tells, by the source that it is of."""
        alerts = [decode_alert(one.value) for one in self.made(batch_id, revision).messages]
        return {one.diaSourceId: [row["diaSourceId"] for row in one.record["prvDiaSources"] or ()] for one in alerts}


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    made = Night(tmp_path)
    yield made
    made.services.apdb.close()


def test_a_processing_that_has_taken_anothers_place_gets_the_alerts(night: Night) -> None:
    first = night.process(stars(1, id1=0.0, id2=10.0))
    assert night.pasts(first) == {1: [], 2: []}
    night.process(stars(1, id1=0.0, id5=20.0), again=True)
    assert night.made(first, 0).outcome == "superseded"
    assert night.pasts(first, 1) == {1: [], 5: []}


def test_a_withdrawn_source_is_told_by_alerts_from_before_and_no_later_ones(night: Night) -> None:
    first = night.process(stars(1, id1=0.0, id2=10.0))
    second = night.process(stars(2, id3=0.0, id4=10.0))
    before = night.pasts(second)
    night.process(stars(1, id5=20.0), again=True)
    third = night.process(stars(3, id6=0.0, id7=10.0, id8=20.0))
    assert before == night.pasts(second) == {3: [1], 4: [2]}
    assert night.pasts(third) == {6: [3], 7: [4], 8: [5]}
    assert night.pasts(first, 1) == {5: []}


def test_a_batch_that_comes_again_has_the_same_alerts(night: Night) -> None:
    first = night.process(stars(1, id1=0.0, id2=10.0))
    values = [one.value for one in night.made(first).messages]
    night.process(stars(1, id1=0.0, id2=10.0))
    night.process(stars(2, id3=0.0, id4=10.0))
    assert [one.value for one in night.made(first).messages] == values
