"""``announce``: by hand or from a schedule, and what is refused before anything is sent."""

import json
import time
from pathlib import Path

import pytest

from stream_assoc.apps.cli.app import CommandError
from stream_assoc.core.model.announced_visits import AnnouncedVisit, mjd_of_unix_tai
from stream_assoc.core.model.times import mjd_tai_of_unix
from stream_assoc.messaging.avro.next_visits import decode_next_visit
from stream_assoc.messaging.exceptions import AnnouncementError
from stream_assoc.messaging.kafka.topic_reader import Reading, TopicReader
from stream_assoc.settings.kafka import KafkaSettings
from tests.apps.cli.invoking import Invoke

START = 1_795_762_837.0


@pytest.fixture
def announced(invoke: Invoke, kafka_bootstrap: str, topic):
    """Announce, and return what is on the topic then."""

    def announced(*arguments) -> list[AnnouncedVisit]:
        result = invoke(
            *("announce", *arguments),
            f"--set=kafka.bootstrap_servers={kafka_bootstrap}",
            f"--set=kafka.next_visits_topic={topic}",
        )
        assert result.exit_code == 0, result.output
        kafka = KafkaSettings(bootstrap_servers=kafka_bootstrap)
        messages = []
        with TopicReader(kafka, Reading(topic, start="beginning", until_end=True)) as reader:
            while not reader.at_end:
                messages += reader.read(1.0)
        assert f"{len(messages)} visit" in result.stdout
        return [decode_next_visit(message.value) for message in messages]

    return announced


@pytest.mark.integration
@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        ((), None),
        (("--start", "61371.125"), 61371.125),
        (("--start", "2026-11-27T03:00:00"), mjd_tai_of_unix(1_795_748_400.0)),
        (("--start", "2026-11-27T00:00:00-03:00"), mjd_tai_of_unix(1_795_748_400.0)),
    ],
)
def test_a_visit_by_hand(announced, arguments: tuple[str, ...], start: float | None) -> None:
    (visit,) = announced("--ra", 370.0, "--dec", -5.5, "--name", "a", "--instrument", "LSSTCam", *arguments)
    assert (visit.ra, visit.dec, visit.groupId, visit.instrument) == (10.0, -5.5, "a", "LSSTCam")
    assert visit.startMjdTai == (None if start is None else pytest.approx(start, abs=1e-9))


@pytest.mark.integration
def test_seconds_from_now(announced) -> None:
    earliest = mjd_tai_of_unix(time.time() + 20.0)
    (visit,) = announced("--ra", 10.0, "--dec", -5.0, "--in", 20)
    assert earliest - 1e-9 <= visit.startMjdTai <= mjd_tai_of_unix(time.time() + 20.0) + 1e-9


@pytest.mark.integration
def test_a_schedule(announced, tmp_path: Path) -> None:
    lines: list[dict[str, object]] = [
        {"position": [10.0, -5.0], "startTime": START, "groupId": "a"},
        {"position": None, "startTime": START},
        {"message": {"position": [20.0, -5.0], "startTime": START + 40.0, "coordinateSystem": 2}},
    ]
    schedule = tmp_path / "tonight.jsonl"
    schedule.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    assert sorted(announced(schedule), key=lambda one: one.ra) == [
        AnnouncedVisit(10.0, -5.0, mjd_of_unix_tai(START), "a"),
        AnnouncedVisit(20.0, -5.0, mjd_of_unix_tai(START + 40.0)),
    ]


def test_a_line_that_cannot_be_used_is_named_and_nothing_sent(invoke: Invoke, tmp_path: Path) -> None:
    schedule = tmp_path / "tonight.jsonl"
    schedule.write_text('{"position": [10, -5]}\n\n{"position": [10, 95]}\n')
    with pytest.raises(CommandError, match=r"tonight\.jsonl, line 3: .*95 is not on the sky.*nothing was announced"):
        invoke("announce", schedule)


def test_a_position_off_the_sky_is_refused(invoke: Invoke) -> None:
    with pytest.raises(AnnouncementError, match="not on the sky"):
        invoke("announce", "--ra", 10, "--dec", 95)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give a schedule"),
        (("--ra", 10), "give a schedule"),
        (("--ra", 10, "--dec", -5, "--start", "61371", "--in", 20), "either --start or --in"),
        (("--ra", 10, "--dec", -5, "--start", "tomorrow"), "ISO time"),
        (("--ra", 10, "--dec", -5, "--start", "2461371.5"), "Julian date"),
        (("schedule", "--ra", 10, "--dec", -5), "leave --ra"),
        (("schedule", "--name", "a"), "leave --ra"),
    ],
)
def test_contradictions_are_refused(invoke: Invoke, arguments: tuple[object, ...], words: str) -> None:
    result = invoke("announce", *arguments)
    assert result.exit_code == 2
    assert words in " ".join(result.output.replace("│", " ").split())
