"""``dlq`` on a real broker: what is there, all of it, once."""

import json
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka import Producer

from stream_assoc.core.exceptions import InvalidBatchError
from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import RELEASE_HEADER, REPROCESSING_HEADER, InputMessage, OutputMessage
from stream_assoc.messaging.authority import Authority
from stream_assoc.messaging.avro.dead_letters import dead_letter
from stream_assoc.messaging.kafka.errors import KafkaConfigurationError
from stream_assoc.tools.dead_letters.exceptions import (
    DeadLetterNotFoundError,
    NoAuthorityError,
    NotConflictingError,
    NotQuarantinedError,
)
from tests.apps.cli.invoking import Invoke
from tests.messaging.kafka_support import new_topic, records

HOUR_MS = 3_600_000
HEADERS = (("producer", b"simulator"),)
SECRET = "sixteen letters!"
SIGNING = Authority(SECRET.encode())


def letter_of(topic: str, offset: int, reason: str, value: bytes, hour: int) -> OutputMessage:
    message = InputMessage(InputPosition(topic, 0, offset), 5, b"key", value, HEADERS)
    return dead_letter(message, InvalidBatchError("why", reason), "", hour * HOUR_MS)


class Office:
    """A topic of dead letters, one transaction each, and the commands on it."""

    def __init__(self, bootstrap, invoke) -> None:
        self.bootstrap = bootstrap
        self.letters = new_topic(bootstrap)
        self.inputs = new_topic(bootstrap)
        self._invoke = invoke
        self._producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": uuid4().hex})
        self._producer.init_transactions(30)

    def file(self, letter, *, commit=True) -> None:
        self._producer.begin_transaction()
        self._producer.produce(self.letters, letter.value, letter.key, headers=list(letter.headers))
        self._producer.flush(30)
        self._producer.commit_transaction(30) if commit else self._producer.abort_transaction(30)

    def run(self, *arguments):
        settings = {"bootstrap_servers": self.bootstrap, "dead_letter_topic": self.letters}
        return self._invoke("dlq", *arguments, *(f"--set=kafka.{name}={value}" for name, value in settings.items()))

    def listed(self, *arguments):
        return [json.loads(line)["letter"] for line in self.run("ls", "--json", *arguments).stdout.splitlines()]

    def returned(self):
        return [(one.key(), one.value(), tuple(one.headers() or ())) for one in records(self.bootstrap, self.inputs)]


@pytest.fixture
def office(kafka_bootstrap: str, invoke: Invoke):
    """Five letters at the even offsets, transaction marks between them; the one at 4 is aborted, 6 is no letter."""
    made = Office(kafka_bootstrap, invoke)
    made.file(letter_of(made.inputs, 10, "quarantine", b"crowd", hour=3))
    made.file(letter_of(made.inputs, 11, "undecodable", b"broken", hour=1))
    made.file(letter_of(made.inputs, 12, "undecodable", b"aborted", hour=1), commit=False)
    made.file(OutputMessage("", None, b"a stranger's"))
    made.file(letter_of(made.inputs, 13, "undecodable", b"broken", hour=5))
    return made


pytestmark = pytest.mark.integration


def test_letters_are_listed_by_time_and_strangers_told(office) -> None:
    shown = office.run("ls")
    assert [line.split()[0] for line in shown.stdout.splitlines()] == ["LETTER", "0:2", "0:0", "0:8"]
    assert "0:6 passed over: the message has no header dlq.record" in shown.stderr
    assert office.listed() == ["0:2", "0:0", "0:8"]
    assert office.listed("--reason", "undecodable") == ["0:2", "0:8"]
    assert office.listed("--since", "1970-01-01T03:00:00") == ["0:0", "0:8"]
    assert office.listed("--limit", 1) == ["0:8"]


def test_an_empty_topic_has_no_letters(kafka_bootstrap: str, invoke: Invoke) -> None:
    assert Office(kafka_bootstrap, invoke).listed() == []


def test_a_letter_is_shown_and_its_bytes_written(office, tmp_path: Path) -> None:
    shown = office.run("show", "0:2", "--raw", tmp_path / "raw").stdout
    assert f"{office.inputs}[0]@11" in shown
    assert "1970-01-01T01:00:00Z" in shown
    assert (tmp_path / "raw").read_bytes() == b"broken"


@pytest.mark.parametrize("address", ["0:1", "0:4", "0:99", "7:0"])
def test_an_address_without_a_letter_is_told(office, address: str) -> None:
    with pytest.raises(DeadLetterNotFoundError, match=f"no letter at {address}"):
        office.run("show", address)


def test_equal_messages_of_a_reason_go_back_once_and_the_letters_stay(office) -> None:
    assert office.run("replay", "--reason", "undecodable").stdout == "1 sent back, each confirmed.\n"
    assert office.returned() == [(b"key", b"broken", HEADERS)]
    assert office.listed() == ["0:2", "0:0", "0:8"]


def test_letters_that_were_sent_again_are_told_and_the_notes_are_no_letters(office: Office) -> None:
    office.run("replay", "0:8", "0:0")
    lines = [json.loads(line) for line in office.run("ls", "--json").stdout.splitlines()]
    assert {line["letter"]: line["sentAgain"] is not None for line in lines} == {
        "0:0": True,
        "0:2": False,
        "0:8": True,
    }
    shown = office.run("ls")
    assert [line.split()[2] == "-" for line in shown.stdout.splitlines()[1:]] == [True, False, False]
    assert "passed over: the message has no header" in shown.stderr
    assert shown.stderr.count("passed over") == 1
    office.run("replay", "--reason", "undecodable")
    lines = [json.loads(line) for line in office.run("ls", "--json").stdout.splitlines()]
    assert all(line["sentAgain"] is not None for line in lines)


def test_named_letters_go_back_to_the_topic_asked_for(office, kafka_bootstrap: str) -> None:
    other = new_topic(kafka_bootstrap)
    office.run("replay", "0:8", "0:0", "0:8", "--to", other)
    assert [one.value() for one in records(kafka_bootstrap, other)] == [b"broken", b"crowd"]
    assert office.returned() == []


def test_a_quarantined_batch_is_released_with_a_signed_header(office, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoAuthorityError):
        office.run("release", "0:0")
    monkeypatch.setenv("STREAM_ASSOC_OPERATORS__SECRET", SECRET)
    office.run("release", "0:0")
    headers = SIGNING.signed((*HEADERS, (RELEASE_HEADER, b"quarantine")), b"crowd")
    assert office.returned() == [(b"key", b"crowd", headers)]


def test_a_conflicting_batch_is_sent_as_a_reprocessing(office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_ASSOC_OPERATORS__SECRET", SECRET)
    office.file(letter_of(office.inputs, 14, "conflicting_batch", b"other", hour=6))
    with pytest.raises(NotConflictingError):
        office.run("replay", "--as-reprocessing", "0:10", "0:0")
    office.run("replay", "--as-reprocessing", "--reason", "conflicting_batch")
    headers = SIGNING.signed((*HEADERS, (REPROCESSING_HEADER, b"true")), b"other")
    assert office.returned() == [(b"key", b"other", headers)]


@pytest.mark.parametrize(
    ("command", "address", "error"),
    [
        ("release", "0:2", NotQuarantinedError),
        ("release", "0:1", DeadLetterNotFoundError),
        ("replay", "0:1", DeadLetterNotFoundError),
    ],
)
def test_nothing_is_sent_when_one_letter_cannot_be(
    office, monkeypatch: pytest.MonkeyPatch, command: str, address: str, error
) -> None:
    monkeypatch.setenv("STREAM_ASSOC_OPERATORS__SECRET", SECRET)
    with pytest.raises(error):
        office.run(command, "0:0", address)
    assert office.returned() == []


@pytest.mark.parametrize(
    "arguments",
    [
        *(["replay"], ["replay", "0:0", "--reason", "x"], ["replay", "zero"], ["release"], ["show", "0"]),
        ["replay", "--as-reprocessing", "--reason", "undecodable"],
    ],
)
def test_wrong_usage_is_told(invoke: Invoke, arguments) -> None:
    assert invoke("dlq", *arguments).exit_code == 2


def test_a_missing_topic_is_told(kafka_bootstrap: str, invoke: Invoke) -> None:
    with pytest.raises(KafkaConfigurationError, match="topics init"):
        invoke(
            "dlq", "ls", f"--set=kafka.bootstrap_servers={kafka_bootstrap}", "--set=kafka.dead_letter_topic=nowhere"
        )
