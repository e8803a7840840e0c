"""``simulate`` and ``replay`` as a user meets them."""

from pathlib import Path
from uuid import uuid4

import pytest

from stream_assoc.apps.cli.app import CommandError
from stream_assoc.exceptions import FatalError
from stream_assoc.messaging.kafka.topic_reader import Reading, TopicReader
from stream_assoc.settings import load_settings
from stream_assoc.tools.replay.capture import read_capture
from tests.apps.cli.invoking import Invoke

SMALL = ("--visits", 2, "--detectors", 2, "--fields", 1)


@pytest.fixture
def capture(invoke: Invoke):
    invoke("simulate", "night", *SMALL)
    return Path("night/batches.avro")


def test_simulation_tells_what_it_wrote(invoke: Invoke) -> None:
    told = invoke("simulate", "night", *SMALL).stdout
    assert told.startswith("4 batches of ")
    assert sorted(file.name for file in Path("night").iterdir()) == [
        "batches.avro",
        "simulation.json",
        "truth.parquet",
    ]


def test_impossible_survey_is_told(invoke: Invoke) -> None:
    with pytest.raises(CommandError, match="n_visits is 5000"):
        invoke("simulate", "night", "--visits", 5000)


def test_missing_file_is_told(invoke: Invoke) -> None:
    with pytest.raises(FatalError, match=r"cannot read missing\.avro"):
        invoke("replay", "missing.avro")


def test_two_paces_are_refused(invoke: Invoke, capture) -> None:
    with pytest.raises(FatalError, match="not both"):
        invoke("replay", capture, "--speed", 10, "--rate", 10)


def received(kafka, topic):
    """Return the values on a topic of one partition, in order."""
    with TopicReader(kafka, Reading(topic, "beginning", until_end=True)) as reader:
        values = []
        while not reader.at_end:
            values += [message.value for message in reader.read(1.0)]
    return values


@pytest.mark.integration
def test_capture_is_replayed_whole_and_in_order(invoke: Invoke, capture, kafka_bootstrap: str, topic) -> None:
    places = (f"--set=kafka.bootstrap_servers={kafka_bootstrap}", f"--set=kafka.input_topic={topic}")
    assert invoke("replay", capture, *places).stdout.startswith("4 messages, ")
    kafka = load_settings(overrides={"kafka.bootstrap_servers": kafka_bootstrap}).kafka
    assert received(kafka, topic) == [event.message.value for event in read_capture(capture)]


@pytest.mark.integration
def test_limit_and_duplicates_are_counted(invoke: Invoke, capture, kafka_bootstrap: str, topic) -> None:
    places = (f"--set=kafka.bootstrap_servers={kafka_bootstrap}", f"--set=kafka.input_topic={topic}")
    told = invoke("replay", capture, "--limit", 3, "--duplicate", 1, "--shuffle", *places).stdout
    assert told.startswith("6 messages, ")


@pytest.mark.integration
def test_topics_are_made_once(invoke: Invoke, kafka_bootstrap: str) -> None:
    names = [f"kafka.{kind}_topic={kind}-{uuid4().hex}" for kind in ("input", "objects", "metrics", "dead_letter")]
    options = [f"--set={assignment}" for assignment in (*names, f"kafka.bootstrap_servers={kafka_bootstrap}")]
    assert invoke("topics", "init", *options).stdout.startswith("created: input-")
    assert invoke("topics", "init", *options).stdout == "All topics exist.\n"
