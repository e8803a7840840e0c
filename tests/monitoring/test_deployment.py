"""What we ship to run it with: compose and systemd; that its variables are settings, of Kubernetes too."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from stream_assoc.settings import Settings
from stream_assoc.settings.fields import environment_name, fields
from tests.monitoring.monitored import DOCKER, REPOSITORY

COMPOSE = REPOSITORY / "docker-compose.yml"
MANIFESTS = DOCKER / "kubernetes" / "stream-assoc.yml"
UNIT = DOCKER / "systemd" / "stream-assoc@.service"


def settings_variables() -> set[str]:
    names = {environment_name(name) for name in fields()}
    return names | {f"{name}_FILE" for name in names} | {"STREAM_ASSOC_CONFIG"}


def named_variables(text: str) -> set[str]:
    return set(re.findall(r"\bSTREAM_ASSOC_[A-Z_]+\b", text))


@pytest.mark.parametrize("file", [COMPOSE, MANIFESTS, UNIT, REPOSITORY / "Dockerfile"], ids=lambda file: file.name)
def test_every_variable_is_a_setting(file) -> None:
    assert named_variables(file.read_text()) <= settings_variables()


def test_what_compose_mounts_into_postgresql_is_what_it_starts_it_with(services) -> None:
    server = services["postgres"]
    folder, place, _ = next(volume for volume in server["volumes"] if "docker/postgresql" in volume).split(":")
    *_, option = server["command"].split()
    assert option == f"config_file={place}/postgresql.conf"
    included = re.findall(r"^include '(.*)'$", (REPOSITORY / folder / "postgresql.conf").read_text(), re.MULTILINE)
    data = next(volume for volume in server["volumes"] if volume.startswith("postgres:")).split(":")[1]
    assert included == [f"{data}/postgresql.conf", "stream-assoc.conf"]
    assert (REPOSITORY / folder / "stream-assoc.conf").is_file()


@pytest.fixture(scope="module")
def services():
    return yaml.safe_load(COMPOSE.read_text())["services"]


def test_what_compose_mounts_exists(services) -> None:
    mounted = [volume.split(":")[0] for service in services.values() for volume in service.get("volumes", [])]
    files = [name for name in mounted if name.startswith("./")]
    assert files
    assert [name for name in files if not (REPOSITORY / name).exists()] == []


def test_who_waits_for_health_waits_for_one_that_tells(services) -> None:
    for service in services.values():
        for name, condition in service.get("depends_on", {}).items():
            if condition["condition"] == "service_healthy":
                # The daemon's is in the Dockerfile.
                assert "healthcheck" in services[name] or "build" in services[name], name


def test_compose_publishes_on_this_machine_alone(services) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_compose_drains_before_it_kills(services) -> None:
    assert int(services["daemon"]["stop_grace_period"].removesuffix("s")) > Settings().daemon.drain_deadline_seconds


def test_compose_itself_reads_the_file() -> None:
    asked = ["docker", "compose", "version"]
    if shutil.which("docker") is None or subprocess.run(asked, capture_output=True, check=False).returncode != 0:
        pytest.skip("no docker compose")
    profiles = ["--profile", "simulate", "--profile", "monitoring"]
    checked = subprocess.run(
        ["docker", "compose", "--file", COMPOSE, *profiles, "config", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_systemd_reads_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze")
    unit = tmp_path / "stream-assoc@1.service"
    # The program is not installed here.
    unit.write_text(UNIT.read_text().replace("/opt/stream-assoc/bin/stream-assoc", "/bin/true"))
    checked = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    ours = [line for line in checked.stderr.splitlines() if "stream-assoc" in line]
    assert (checked.returncode, ours) == (0, [])


def test_the_unit_agrees_with_the_settings() -> None:
    unit = dict(line.split("=", 1) for line in UNIT.read_text().splitlines() if "=" in line and line[0] != "#")
    daemon = Settings().daemon
    assert int(unit["TimeoutStopSec"].removesuffix("s")) > daemon.drain_deadline_seconds
    assert 60 * int(unit["WatchdogSec"].removesuffix("min")) > daemon.wedged_after_seconds
    # What a FatalError ends with: a restart would not help.
    assert unit["RestartPreventExitStatus"] == "2"


def test_images_are_pinned(services) -> None:
    images = [service["image"] for service in services.values() if "build" not in service]
    assert all(re.search(r":v?\d+\.\d+", image) for image in images)
