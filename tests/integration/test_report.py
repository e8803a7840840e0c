"""A night through the real daemon, and what is made of it: the report, and the example's plot."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stream_assoc.apps.cli.app import CommandError
from stream_assoc.apps.cli.main import app
from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.core.model.times import day_obs, night_name
from stream_assoc.tools.simulation.config import SimulationConfig
from stream_assoc.tools.simulation.night import simulate
from tests.integration.deployment import deploy

pytestmark = pytest.mark.integration

CONFIG = SimulationConfig(n_visits=10, n_detectors=4, n_fields=1, variables=1000.0, artifacts=300.0)
NIGHT = day_obs(CONFIG.first_night_mjd + 0.1)
EXAMPLE = Path(__file__).parents[2] / "examples" / "plot_night.py"


@pytest.fixture(scope="module")
def night(kafka_bootstrap: str, valkey_url: str, tmp_path_factory: pytest.TempPathFactory):
    """The variables that configure a command for a deployment that has processed a night."""
    url = f"sqlite:///{tmp_path_factory.mktemp('apdb')}/apdb.sqlite3"
    deployment = deploy(kafka_bootstrap, valkey_url, url)
    deployment.send([one.batch for one in simulate(CONFIG)])
    deployment.send_raw([OutputMessage(deployment.settings.kafka.input_topic, None, b"no batch")])
    deployment.process_everything()
    kafka = deployment.settings.kafka
    names = ("bootstrap_servers", "metrics_topic", "dead_letter_topic")
    return {f"STREAM_ASSOC_KAFKA__{name.upper()}": getattr(kafka, name) for name in names} | {
        "STREAM_ASSOC_APDB__URL": url
    }


def run(night, *arguments):
    result = CliRunner().invoke(app, list(map(str, arguments)), env=night, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_report_of_a_night_from_the_topics_and_from_captures_is_the_same(night, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    assert "40 batches" in run(night, "report", "-o", report)
    text = report.read_text()
    assert f"Night {night_name(NIGHT)}" in text
    assert "Rayleigh" in text
    captures = []
    for kind in ("METRICS", "DEAD_LETTER"):
        captures.append(tmp_path / kind)
        run(night, "replay", "capture", night[f"STREAM_ASSOC_KAFKA__{kind}_TOPIC"], captures[-1])
    offline = tmp_path / "offline.html"
    run(night, "report", "--night", NIGHT, "--metrics", captures[0], "--dead-letters", captures[1], "-o", offline)
    assert offline.read_text().split("<footer>")[0] == text.split("<footer>")[0]


def test_captures_need_no_broker(night, tmp_path: Path) -> None:
    capture, report = tmp_path / "metrics.avro", tmp_path / "report.html"
    run(night, "replay", "capture", night["STREAM_ASSOC_KAFKA__METRICS_TOPIC"], capture)
    away = {"STREAM_ASSOC_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    assert "40 batches; " in run(away, "report", "--metrics", capture, "--no-apdb", "-o", report)
    assert "They were not read" in report.read_text()


def test_a_night_without_anything_names_the_nights_there_are_and_writes_no_file(
    night: dict[str, str], tmp_path: Path
) -> None:
    report = tmp_path / "empty.html"
    with pytest.raises(CommandError, match=rf"night 20010101.*there are batches of {NIGHT} \(40\)") as refused:
        run(night, "report", "--night", "2001-01-01", "-o", report)
    assert "there are dead letters of " in str(refused.value)
    assert not report.exists()


def test_the_night_in_a_visit_number_is_the_night_of_its_report(night: dict[str, str], tmp_path: Path) -> None:
    visit = next(simulate(CONFIG)).batch.id.visit
    report = tmp_path / "night.html"
    assert "40 batches" in run(night, "report", "--night", visit // 100_000, "-o", report)


def test_the_example_plots_the_night(night, tmp_path: Path) -> None:
    def example(*arguments):
        return subprocess.run(
            [sys.executable, EXAMPLE, *arguments],
            env={**os.environ, **night},
            capture_output=True,
            text=True,
            check=False,
        )

    picture = tmp_path / "night.png"
    ended = example(picture)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == f"{picture}: 40 batches of {night_name(NIGHT)}.\n"
    assert picture.read_bytes().startswith(b"\x89PNG")
    ended = example(picture, "--night", "20010101")
    assert ended.returncode == 1
    assert f"there are some of {night_name(NIGHT)}" in ended.stderr
