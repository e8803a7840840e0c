"""From the message that a batch is committed to its alerts: which get made, with what past, and which do not."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from stream_assoc.core.model.alerts import AlertRows, AsOf, Stamps
from stream_assoc.core.model.batch import BatchId, ImageUris, Observation
from stream_assoc.core.model.changes import InputPosition, LedgerEntry
from stream_assoc.core.model.messages import InputMessage, PlacedMessage
from stream_assoc.core.model.types import IntArray
from stream_assoc.messaging.avro.alerts.decoder import Alert, decode_alert
from stream_assoc.messaging.avro.alerts.encoder import AlertEncoder
from stream_assoc.messaging.avro.output_decoder import decode_metrics
from stream_assoc.pipeline import alerts as reading
from stream_assoc.pipeline.alerts import AlertContent
from stream_assoc.service.alerts import maker
from stream_assoc.service.alerts.instruments import OUTCOMES, AlertInstruments
from stream_assoc.service.alerts.maker import (
    AlertMaker,
    AlertSources,
    Clocks,
    Destination,
    ImagesAwayError,
    NotYetStoredError,
)
from stream_assoc.testing.rows import dia_object, source, table
from tests.outputs import metrics_of, metrics_value

VISIT, TIME, MIDPOINT = 7, 60000.1, 60000.0
KNOWN, NEW, MOVING = 30, 10, 20
"""diaSourceIds of the batch: of object 200, of object 100, and of a solar-system object."""


@dataclass
class FakeHistory:
    """A batch of three sources, and two earlier sources of object 200."""

    entries: tuple[LedgerEntry, ...] = (LedgerEntry(BatchId(VISIT, 1), b"", TIME, 3, 3),)
    asked: list[tuple[list[int], AsOf]] = field(default_factory=list)
    behind: float | None = None

    def seconds_behind(self) -> float | None:
        return self.behind

    def processings(self, batch: BatchId) -> tuple[LedgerEntry, ...]:
        return self.entries if batch == BatchId(VISIT, 1) else ()

    def sources_of_batch(self, batch: BatchId, time: float | None, limit: int) -> pa.Table:
        rows = [(NEW, 100, None), (MOVING, None, 5), (KNOWN, 200, None)]
        return table("DiaSource", [own(*row) for row in rows])

    def versions_made(self, diaObjectId: IntArray, time: float) -> pa.Table:
        made = {200: 3, 100: 1}
        rows = [dia_object(one, TIME, nDiaSources=n) for one, n in made.items() if one in diaObjectId]
        return table("DiaObject", rows)

    def sources_before(self, diaObjectId: IntArray, as_of: AsOf, limit: int) -> pa.Table:
        self.asked.append((diaObjectId.tolist(), as_of))
        rows = [own(one, 200, None) for one in (1, 2) if 200 in diaObjectId]
        return table("DiaSource", rows).slice(0, limit)

    def forced_sources_until(self, diaObjectId: IntArray, as_of: AsOf, limit: int) -> pa.Table:
        return table("DiaForcedSource", [])


def own(identifier: int, object_id: int | None, moving: int | None) -> dict[str, object]:
    known = {"midpointMjdTai": MIDPOINT, "visit": VISIT, "detector": 1, "reliability": identifier / 100}
    return source(identifier, diaObjectId=object_id, ssObjectId=moving, **known)


@dataclass
class FakeImages:
    """Images that come in at the second look."""

    n_looks: int = 0

    @property
    def are_complete(self) -> bool:
        return self.n_looks > 1

    def load(self, uris: ImageUris, batch: BatchId, band: str) -> "FakeImages":
        self.n_looks += 1
        return self

    def cut(self, rows: pa.Table) -> "FakeCut":
        return FakeCut(rows.num_rows if self.are_complete else 0, rows.num_rows)


@dataclass(frozen=True)
class FakeMissing:
    kind: str
    reason: str
    n_stamps: int
    message: str


@dataclass
class FakeCut:
    n_cut: int
    n_alerts: int

    @property
    def stamps(self) -> Stamps:
        one = pa.array([b"stamp"] * self.n_cut + [None] * (self.n_alerts - self.n_cut), pa.large_binary())
        return Stamps(one, one, one)

    @property
    def missing(self) -> list[FakeMissing]:
        n_missing = self.n_alerts - self.n_cut
        return [FakeMissing("science", "unavailable", n_missing, "away")] if n_missing else []


@dataclass
class Bench:
    """A maker of alerts, and what it is made with."""

    history: FakeHistory = field(default_factory=FakeHistory)
    images: FakeImages | None = None
    content: AlertContent = field(default_factory=AlertContent)
    instruments: AlertInstruments = field(default_factory=AlertInstruments)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.maker = AlertMaker(
            AlertSources(self.history, self.images, 30.0, decode_metrics),
            self.content,
            AlertEncoder(),
            Destination("alerts", 4, 8),
            Clocks(lambda: self.now, lambda: 1.7e9),
        )

    def alerts(self, **changes: Any) -> list[Alert]:
        return [decode_alert(one.value) for one in self.make(committed(**changes))]

    def make(self, told: InputMessage) -> tuple[PlacedMessage, ...]:
        """Make the alerts of a message, and count them as published."""
        made = self.maker.make(told)
        self.instruments.count(made)
        return made.messages

    def made(self, **changes: Any) -> list[int]:
        return [one.diaSourceId for one in self.alerts(**changes)]

    def outcomes(self) -> dict[str, float]:
        counts = {
            one: self.instruments.registry.get_sample_value("stream_assoc_alert_batches_total", {"outcome": one})
            for one in OUTCOMES
        }
        return {outcome: count for outcome, count in counts.items() if count}


def message(value: bytes | None) -> InputMessage:
    return InputMessage(InputPosition("association-metrics", 0, 3), 0, None, value)


def committed(visit: int = VISIT, **changes: Any) -> InputMessage:
    """The message that the batch is committed."""
    times = {"timeProcessedMjdTai": TIME, "midpointMjdTai": MIDPOINT}
    return message(metrics_value(metrics_of(visit, **(times | changes))))


def test_every_source_gets_an_alert_with_its_own_past() -> None:
    bench = Bench()
    made = bench.make(committed())
    alerts = [decode_alert(one.value) for one in made]
    earlier = [[row["diaSourceId"] for row in one.record["prvDiaSources"] or ()] for one in alerts]
    assert [one.diaSourceId for one in alerts] == [MOVING, NEW, KNOWN]
    assert earlier == [[], [], [1, 2]]
    assert [one.dia_object and one.dia_object["nDiaSources"] for one in alerts] == [None, 1, 3]
    assert [(one.topic, one.key, one.headers) for one in made] == [
        ("alerts", None, (("producer_timestamp", b"1700000000000.0"),))
    ] * 3
    assert bench.history.asked == [([100, 200], AsOf(TIME, MIDPOINT - 365.0))]
    assert bench.outcomes() == {"published": 1}


def test_alerts_of_one_cell_go_to_one_partition() -> None:
    rows = next(reading.read_alerts(FakeHistory(), FakeHistory().entries[0], AlertContent()))
    cells = Destination("alerts", 2**62, 8).partitions(rows)
    assert len(set(cells.tolist())) == 1
    assert Destination("alerts", 3, 8).partitions(rows).tolist() == (cells % 3).tolist()


@pytest.mark.parametrize("at_once", [1, 2])
def test_alerts_that_come_in_portions_are_the_same(at_once: int) -> None:
    assert Bench(content=AlertContent(at_once=at_once)).made() == Bench().made() == [MOVING, NEW, KNOWN]


def test_a_history_that_is_too_much_at_once_is_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    (whole,) = reading.read_alerts(FakeHistory(), FakeHistory().entries[0], AlertContent())
    monkeypatch.setattr(reading, "MOST_ROWS", 2)
    parts = list(reading.read_alerts(FakeHistory(), FakeHistory().entries[0], AlertContent()))
    assert len(parts) > 1
    assert [length for one in parts for length in lengths(one)] == lengths(whole) == [0, 0, 2]


def lengths(rows: AlertRows) -> list[int]:
    found: list[int] = np.diff(rows.history_offsets).tolist()
    return found


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (AlertContent(solar_system=False), [NEW, KNOWN]),
        (AlertContent(min_reliability=0.15), [MOVING, KNOWN]),
        (AlertContent(min_reliability=0.9), []),
    ],
)
def test_settings_choose_which_sources_get_one(content: AlertContent, expected: list[int]) -> None:
    assert Bench(content=content).made() == expected


def test_a_processing_that_another_has_replaced_gets_none() -> None:
    first = FakeHistory().entries[0]
    later = replace(first, revision=1, timeProcessedMjdTai=TIME + 1)
    bench = Bench(FakeHistory((first, later)))
    assert bench.made() == []
    assert bench.outcomes() == {"superseded": 1}


def test_a_processing_that_the_apdb_does_not_hold_gets_none() -> None:
    bench = Bench()
    assert bench.made(revision=1) == bench.made(visit=VISIT + 1) == bench.made(timeProcessedMjdTai=TIME - 1) == []
    assert bench.outcomes() == {"not_stored": 3}


def test_a_standby_that_lacks_it_is_waited_for() -> None:
    bench = Bench(FakeHistory(behind=0.0))
    with pytest.raises(NotYetStoredError, match="standby that lacks visit 8, detector 1"):
        bench.made(visit=VISIT + 1)
    assert bench.made() == [MOVING, NEW, KNOWN]
    assert bench.outcomes() == {"published": 1}


def test_a_batch_of_more_sources_than_are_read_at_once_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maker, "MOST_ROWS", 2)
    bench = Bench()
    assert bench.made() == []
    assert bench.outcomes() == {"too_large": 1}


@pytest.mark.parametrize("value", [None, b"", b"no metrics at all"])
def test_a_message_that_is_none_of_ours_is_passed_over_and_counted(value: bytes | None) -> None:
    bench = Bench()
    assert bench.make(message(value)) == ()
    assert bench.outcomes() == {"undecodable": 1}


def test_images_that_are_away_are_waited_for_and_then_done_without() -> None:
    bench = Bench(images=FakeImages(n_looks=-2))
    with pytest.raises(ImagesAwayError, match=r"alerts\.image_patience_seconds"):
        bench.made()
    bench.now = 31.0
    assert bench.made() == [MOVING, NEW, KNOWN]
    labels = {"kind": "science", "reason": "unavailable"}
    assert bench.instruments.registry.get_sample_value("stream_assoc_missing_stamps_total", labels) == 3


def test_images_that_come_back_in_time_are_cut() -> None:
    bench = Bench(images=FakeImages())
    with pytest.raises(ImagesAwayError):
        bench.made()
    assert {one.science for one in bench.alerts()} == {b"stamp"}


def test_what_the_message_of_the_batch_told_is_in_its_alerts() -> None:
    entry = replace(FakeHistory().entries[0], observation=Observation("ddf", "COSMOS"))
    assert {(one.reason, one.target) for one in Bench(FakeHistory((entry,))).alerts()} == {("ddf", "COSMOS")}
