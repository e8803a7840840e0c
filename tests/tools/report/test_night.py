from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import InputMessage, OutputMessage
from stream_assoc.core.model.times import parse_night
from stream_assoc.exceptions import PoisonError
from stream_assoc.messaging.avro.dead_letters import dead_letter, read_dead_letter
from stream_assoc.tools.replay.capture import CaptureWriter
from stream_assoc.tools.replay.messages import BatchMessages, TimedMessage
from stream_assoc.tools.report.night import (
    NightDeadLetter,
    dead_letters_by_night,
    metrics_of_night,
    records_of_capture,
)
from stream_assoc.tools.simulation.config import SimulationConfig
from stream_assoc.tools.simulation.night import simulate
from stream_assoc.tools.subscription.decoding import metrics_decoder
from stream_assoc.tools.subscription.records import BadMessage
from tests.outputs import metrics_of, metrics_value
from tests.times import mjd_tai_of

NIGHT = parse_night("2026-01-01")
EVENING, MORNING, NOON = (
    mjd_tai_of(datetime(2026, 1, day, hour, 1, tzinfo=UTC)) for day, hour in ((1, 23), (2, 9), (2, 12))
)


def test_a_night_goes_from_noon_to_noon_in_the_order_observed() -> None:
    records = [metrics_of(2, midpointMjdTai=MORNING), metrics_of(1, midpointMjdTai=EVENING)]
    others = [metrics_of(3, midpointMjdTai=NOON), metrics_of(4, midpointMjdTai=float("nan"))]
    assert [one.visit for one in metrics_of_night([*records, *others], NIGHT)] == [1, 2]


@pytest.mark.parametrize("order", [1, -1])
def test_the_last_processing_counts(order: int) -> None:
    revisions = [metrics_of(1, midpointMjdTai=EVENING, revision=revision) for revision in (0, 1)]
    (found,) = metrics_of_night(revisions[::order], NIGHT)
    assert found.revision == 1


def letter_of(value, set_aside):
    original = InputMessage(InputPosition("dia-sources", 0, 1), 0, None, value)
    return read_dead_letter(dead_letter(original, PoisonError("no"), "dlq", round(set_aside.timestamp() * 1000)))


def test_a_letter_belongs_to_the_night_of_its_batch() -> None:
    config = SimulationConfig(n_visits=1, n_detectors=1, first_night_mjd=61_041)
    value = BatchMessages("t").event(next(simulate(config)).batch).message.value
    years_later = datetime(2030, 1, 1, tzinfo=UTC)
    assert value is not None
    readable = letter_of(value[:100], years_later)
    unreadable = letter_of(b"text", datetime(2026, 1, 2, 3, tzinfo=UTC))
    others = [letter_of(b"text", years_later), letter_of(None, years_later)]
    nights = dead_letters_by_night([readable, unreadable, *others])
    assert {night: len(found) for night, found in nights.items()} == {
        parse_night("2025-12-31"): 1,
        NIGHT: 1,
        parse_night("2029-12-31"): 2,
    }
    assert nights[parse_night("2025-12-31")][0].batch is not None
    assert nights[NIGHT] == [NightDeadLetter(unreadable.record, None)]


def test_a_letter_of_a_time_that_no_calendar_reaches_is_kept() -> None:
    letter = letter_of(b"text", datetime(2026, 1, 2, 3, tzinfo=UTC))
    lost = replace(letter, record=replace(letter.record, time=2**62))
    assert list(dead_letters_by_night([lost])) == [None]


def test_captures_are_read_as_topics_are(tmp_path: Path) -> None:
    values = [metrics_value(metrics_of(1)), b"rubbish", None, metrics_value(metrics_of(2))]
    with CaptureWriter(tmp_path / "c") as writer:
        for value in values:
            writer.write(TimedMessage(60_000.0, OutputMessage("m", None, value)))
    told: list[BadMessage] = []
    records = list(records_of_capture(tmp_path / "c", metrics_decoder(None), told.append))
    assert [one.visit for one in records] == [1, 2]
    assert [bad.position.offset for bad in told] == [1]
