"""A replay in which everything goes wrong, through the real daemon, and the verdict on it."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stream_assoc.apps.cli.app import CommandError
from stream_assoc.apps.cli.main import app
from stream_assoc.tools.replay.capture import CaptureWriter, read_capture
from stream_assoc.tools.replay.journal import JOURNAL_NAME
from stream_assoc.tools.replay.messages import BatchMessages, TimedMessage
from stream_assoc.tools.simulation.config import SimulationConfig
from stream_assoc.tools.simulation.files import CAPTURE_NAME, write_simulation
from tests.integration.deployment import Deployment, deploy
from tests.tools.replay.stamps import stamp_on

pytestmark = pytest.mark.integration

TROUBLE = (
    *("--duplicate", 0.2, "--drop", 0.1, "--late", 0.2, "--corrupt", 0.1, "--burst", 5),
    *("--key", "detector", "--producers", 2, "--seed", 3),
)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("night")
    config = SimulationConfig(n_visits=8, n_detectors=4, n_fields=2, variables=1000.0, artifacts=300.0)
    write_simulation(config, folder, BatchMessages("dia-sources"))
    return folder / CAPTURE_NAME


def variables(deployment):
    """The variables that configure a command for a deployment."""
    kafka = deployment.settings.kafka
    names = ("bootstrap_servers", "input_topic", "objects_topic", "metrics_topic", "dead_letter_topic")
    return {
        **{f"STREAM_ASSOC_KAFKA__{name.upper()}": getattr(kafka, name) for name in names},
        "STREAM_ASSOC_APDB__URL": deployment.settings.apdb.url.get_secret_value(),
    }


def run(deployment, *arguments):
    result = CliRunner().invoke(app, list(map(str, arguments)), env=variables(deployment), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def verdict(deployment, folder, *options):
    """Return the lines of the account by name, whether all is right or not."""
    result = CliRunner().invoke(
        app, ["replay", "verify", str(folder), "--json", *map(str, options)], env=variables(deployment)
    )
    assert result.exception is None or isinstance(result.exception, CommandError), result.exception
    # A daemon in this process writes its log around it.
    written = re.search(r"^\[$.*?^\]$", result.stdout, re.MULTILINE | re.DOTALL)
    assert written is not None, result.stdout
    return {line["name"]: line for line in json.loads(written[0])}


def test_a_troubled_night_is_accounted_for(deployed: Callable[..., Deployment], night, tmp_path: Path) -> None:
    deployment = deployed()
    run(deployment, "replay", "run", night, "--record", tmp_path / "run", "--rate", 200, *TROUBLE)
    with deployment.daemon():
        lines = verdict(deployment, tmp_path / "run", "--wait", 120, "--min-purity", 0.99, "--min-completeness", 0.95)
    assert not deployment.errors
    assert [name for name, line in lines.items() if not line["is_right"]] == []
    assert int(lines["spoilt messages in the dead letters"]["value"]) > 0
    assert int(lines["copies asked for"]["value"]) > 0
    assert lines["purity of objects"]["expected"] == "at least 99.000%"
    # Whoever judges by a bar that cannot be met is told which.
    with pytest.raises(CommandError, match="not as it must be: latency from due"):
        run(deployment, "replay", "verify", tmp_path / "run", "--max-p99", 0)


def test_without_a_daemon_everything_is_lost(deployed: Callable[..., Deployment], night, tmp_path: Path) -> None:
    deployment = deployed()
    run(deployment, "replay", "run", night, "--record", tmp_path / "run", "--limit", 3)
    lines = verdict(deployment, tmp_path / "run", "--wait", 0, "--no-apdb")
    assert lines["messages on the input topic"]["is_right"]
    assert (lines["batches lost: no answer"]["value"], lines["batches lost: no answer"]["is_right"]) == ("3", False)


def test_a_killed_replay_resumes_and_sends_nothing_twice(
    deployed: Callable[..., Deployment], night, tmp_path: Path
) -> None:
    deployment, folder = deployed(), tmp_path / "run"
    topic = deployment.settings.kafka.input_topic
    # The eleventh message is due after a day, so the kill comes before it.
    with CaptureWriter(tmp_path / "gap.avro") as writer:
        for number, event in enumerate(read_capture(night)):
            writer.write(TimedMessage(61_000.0 + (number >= 10), event.message))
    command = ("replay", "run", tmp_path / "gap.avro", "--record", folder, "--speed", 1)
    process = subprocess.Popen(
        [sys.executable, "-m", "stream_assoc", *map(str, command)],
        env={**os.environ, **variables(deployment)},
        stderr=subprocess.DEVNULL,
    )
    journal = folder / JOURNAL_NAME
    deployment.wait_until(lambda: journal.exists() and b"confirm 10" in journal.read_bytes())
    process.kill()
    process.wait()
    assert len(deployment.read(topic)) == 10
    with pytest.raises(CommandError, match="replay resume"):
        run(deployment, "replay", "verify", folder)
    # As if the kill had come before the journal knew what the broker had.
    journal.write_bytes(journal.read_bytes().splitlines(keepends=True)[0])
    assert "22 messages, " in run(deployment, "replay", "resume", folder).stdout
    assert sorted(stamp_on(message).step for message in deployment.read(topic)) == list(range(32))
    assert "nothing is left" in run(deployment, "replay", "resume", folder).stdout


def test_latency_is_not_hidden_by_a_daemon_that_starts_late(
    deployed: Callable[..., Deployment], night, tmp_path: Path
) -> None:
    deployment = deployed()
    run(deployment, "replay", "run", night, "--record", tmp_path / "run", "--limit", 4, "--rate", 100)
    started = time.time()
    with deployment.daemon():
        lines = verdict(deployment, tmp_path / "run", "--wait", 120, "--no-apdb")
    stamps = [stamp_on(message) for message in deployment.read(deployment.settings.kafka.input_topic)]
    greatest = float(lines["latency from due: p50, p99, greatest"]["value"].split(", ")[2].removesuffix(" s"))
    assert greatest > started - max(stamp.due for stamp in stamps)


def test_two_runs_under_a_pinned_clock_are_equal_and_another_is_not(
    kafka_bootstrap: str, valkey_url: str, night, tmp_path: Path
) -> None:
    urls, captures = [], []
    for number, options in enumerate([(), (), ("--drop", 0.1)]):
        apdb = f"sqlite:///{tmp_path}/{number}.sqlite3"
        deployment = deploy(
            kafka_bootstrap, valkey_url, apdb, daemon={"pin_clock_mjd": 61_001.5}, kafka={"partitions": 1}
        )
        run(deployment, "replay", night, *options)
        deployment.sent = len(deployment.read(deployment.settings.kafka.input_topic))
        deployment.process_everything()
        capture = tmp_path / f"{number}.avro"
        run(deployment, "replay", "capture", deployment.settings.kafka.objects_topic, capture)
        urls.append(deployment.settings.apdb.url.get_secret_value())
        captures.append(capture)
    assert "DiaObject: " in run(deployment, "replay", "diff", urls[0], urls[1], "--times").stdout
    assert run(deployment, "replay", "diff", captures[0], captures[1], "--times").stdout.endswith("rows, equal\n")
    for left, right in ((urls[0], urls[2]), (captures[0], captures[2])):
        with pytest.raises(CommandError, match="the runs differ in"):
            run(deployment, "replay", "diff", left, right)


def test_a_topic_goes_to_a_file_and_back_byte_for_byte(
    deployed: Callable[..., Deployment], night, tmp_path: Path
) -> None:
    first, second = deployed(), deployed()
    run(first, "replay", "run", night, "--corrupt", 0.2, "--record", tmp_path / "run")
    topics = [one.settings.kafka.input_topic for one in (first, second)]
    run(first, "replay", "capture", topics[0], tmp_path / "first.avro")
    run(second, "replay", "run", tmp_path / "first.avro")
    run(second, "replay", "capture", topics[1], tmp_path / "second.avro")
    with pytest.raises(CommandError, match="--force"):
        run(second, "replay", "capture", topics[1], tmp_path / "second.avro")
    before, after = (
        [(one.message.key, one.message.value, one.message.headers) for one in read_capture(tmp_path / name)]
        for name in ("first.avro", "second.avro")
    )
    assert len(before) == 32
    assert sorted(before) == sorted(after)
    # Each piece of sky, so each partition, keeps its order.
    for key in {one[0] for one in before}:
        assert [one for one in before if one[0] == key] == [one for one in after if one[0] == key]
