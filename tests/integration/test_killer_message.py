"""A message that kills whoever processes it, in the midst of native code, is set aside without anybody's help."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contents import LEDGER, columns
from tests.integration.deployment import SHORT_SESSION, Deployment
from tests.integration.program import environment_of, serve
from tests.pipeline.skies import batch, night

pytestmark = pytest.mark.integration

KILLER = batch(666, [150.0], [2.0])

FAULT = """
import os, signal
import stream_assoc.pipeline.process as process

decide = process.decide

def faulty(arrival, *rest, **named):
    if arrival.batch.id.visit == 666:
        os.kill(os.getpid(), signal.SIGSEGV)
    return decide(arrival, *rest, **named)

process.decide = faulty
"""
"""Python runs it at every start of an interpreter, before anything else."""


@pytest.mark.parametrize("on", ["deployed", "deployed_on_sqlite"])
def test_a_message_that_ends_two_daemons_becomes_a_dead_letter(
    request: pytest.FixtureRequest, on: str, tmp_path: Path
) -> None:
    make: Callable[..., Deployment] = request.getfixturevalue(on)
    deployment = make(kafka={"partitions": 1})
    deployment.send([*night()[:4], KILLER, *night()[4:8]])
    (tmp_path / "sitecustomize.py").write_text(FAULT)
    # The next daemon has the partition of one that has died when its session is over.
    session = json.dumps(SHORT_SESSION)
    variables = environment_of(deployment, kafka__partitions=1, kafka__librdkafka_consumer=session)
    variables |= {"PYTHONPATH": str(tmp_path)}
    for _ in range(2):
        with serve(tmp_path, variables) as process:
            assert process.wait(120.0) == -signal.SIGSEGV
    with serve(tmp_path, variables) as process:
        deployment.wait_until(lambda: process.poll() is not None or deployment.n_committed() >= deployment.sent)
        assert process.poll() is None, (tmp_path / "serve.log").read_text()[-2000:]
    (letter,) = deployment.read(deployment.settings.kafka.dead_letter_topic)
    assert dict(letter.headers)["dlq.reason"] == b"ends_process"
    counted = sorted(columns(deployment.settings.apdb.url.get_secret_value(), LEDGER, "visit", "detector"))
    assert counted == sorted(tuple(one.id) for one in night()[:8])
    assert sorted((one.visit, one.detector) for one in deployment.metrics()) == counted
