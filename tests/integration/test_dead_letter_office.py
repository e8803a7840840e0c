"""A batch that would create too many objects waits for a person's word, and then counts once."""

from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from stream_assoc.apps.cli.main import app
from stream_assoc.core.model.messages import RELEASE_HEADER, OutputMessage
from stream_assoc.messaging.authority import Authority, with_release, with_reprocessing
from stream_assoc.messaging.avro.batch_encoder import BatchEncoder
from stream_assoc.messaging.avro.dead_letters import read_dead_letter
from tests.contents import LEDGER, columns
from tests.integration.deployment import Deployment
from tests.pipeline.skies import batch

pytestmark = pytest.mark.integration

LIMIT = 5
SECRET = "sixteen letters!"
CROWD = batch(9, [150.0 + i / 100 for i in range(LIMIT + 1)], [2.0] * (LIMIT + 1))


def dlq(deployment: Deployment, *arguments: str) -> str:
    kafka = deployment.settings.kafka
    names = ("bootstrap_servers", "dead_letter_topic")
    options = [f"--set=kafka.{name}={getattr(kafka, name)}" for name in names]
    return CliRunner().invoke(app, ["dlq", *arguments, *options], catch_exceptions=False).stdout


def address_of_only_letter(deployment: Deployment, reason: str) -> str:
    (line,) = dlq(deployment, "ls", "--reason", reason).splitlines()[1:]
    return line.split()[0]


def test_a_quarantined_batch_counts_once_it_is_released(
    deployed_on_sqlite: Callable[..., Deployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAM_ASSOC_OPERATORS__SECRET", SECRET)
    deployment = deployed_on_sqlite(new_objects={"max_new_dia_objects": LIMIT}, operators={"secret": SECRET})
    url = deployment.settings.apdb.url.get_secret_value()
    deployment.send([batch(1, [10.0], [2.0]), CROWD])
    deployment.process_everything()
    address = address_of_only_letter(deployment, "quarantine")
    assert f"batch visit                {CROWD.id.visit}\n" in dlq(deployment, "show", address)

    # As it was, it is refused again; released, it counts; released again, it changes nothing.
    for command in (("replay", "--reason", "quarantine"), ("release", address), ("release", address)):
        assert dlq(deployment, *command) == "1 sent back, each confirmed.\n"
        deployment.sent += 1
        deployment.process_everything()

    assert len(deployment.dead_letters()) == 2
    assert sorted(columns(url, LEDGER, "visit")) == [(1,), (CROWD.id.visit,)]
    assert len(columns(url, "DiaObject", "diaObjectId")) == 1 + len(CROWD)
    assert sorted(one.visit for one in deployment.metrics()) == [1, CROWD.id.visit]


def test_a_release_says_nothing_of_other_faults(deployed_on_sqlite: Callable[..., Deployment]) -> None:
    deployment = deployed_on_sqlite(new_objects={"max_new_dia_objects": LIMIT})
    headers = ((RELEASE_HEADER, b"quarantine"),)
    deployment.send_raw([OutputMessage(deployment.settings.kafka.input_topic, None, b"broken", headers)])
    deployment.process_everything()
    (letter,) = map(read_dead_letter, deployment.dead_letters())
    assert (letter.record.reason, letter.original.headers) == ("undecodable", headers)


def test_a_producer_can_neither_withdraw_a_visit_nor_pass_the_quarantine(
    deployed_on_sqlite: Callable[..., Deployment],
) -> None:
    deployment = deployed_on_sqlite(new_objects={"max_new_dia_objects": LIMIT}, operators={"secret": SECRET})
    url = deployment.settings.apdb.url.get_secret_value()
    topic = deployment.settings.kafka.input_topic
    encoder = BatchEncoder()
    forged = Authority(b"another secret of theirs")
    deployment.send([batch(1, [10.0], [2.0])])
    deployment.process_everything()
    messages = [(batch(1, [], []), with_reprocessing(())), (CROWD, with_release(()))]
    for authority in (Authority(), forged):
        values = [(encoder.encode(one), headers) for one, headers in messages]
        deployment.send_raw(
            [OutputMessage(topic, None, value, authority.signed(headers, value)) for value, headers in values]
        )
    deployment.process_everything()
    reasons = [read_dead_letter(letter).record.reason for letter in deployment.dead_letters()]
    assert reasons == ["unauthorised"] * 4
    assert columns(url, LEDGER, "visit") == [(1,)]
    assert len(columns(url, "DiaSource", "diaSourceId")) == 1
