"""A secret is nowhere to be read: not in what is shown, logged or exposed, and not in any error or traceback."""

import io
import logging
import os
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Literal

import pytest
import structlog
from typer.testing import CliRunner

from stream_assoc.apps.cli.main import app
from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import InputMessage
from stream_assoc.logs import configure_logging
from stream_assoc.messaging.avro.dead_letters import dead_letter
from stream_assoc.messaging.avro.registry import SchemaRegistry
from stream_assoc.messaging.exceptions import DecodeError, RegistryUnavailableError
from stream_assoc.service.daemon.health import Health
from stream_assoc.service.daemon.process import StopRequest
from stream_assoc.service.exceptions import RestartBudgetError
from stream_assoc.service.instruments import Instruments
from stream_assoc.settings import ConfigurationError, load_settings
from stream_assoc.stores.apdb.create import init
from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.cache.exceptions import CacheConfigurationError, CacheUnavailableError
from stream_assoc.stores.cache.redis.cache import RedisCache
from stream_assoc.stores.cache.redis.connection import connect
from stream_assoc.tools.embedded.kafka import free_ports
from stream_assoc.wiring.daemon import run_daemon
from tests.stores.cache.builders import LAYOUT

PROGRAM = Path(sys.executable).with_name("stream-assoc")
SECRET = "hunter2"

CONNECTIONS = {
    "kafka.security_protocol": "SASL_SSL",
    "kafka.sasl_mechanism": "PLAIN",
    "kafka.sasl_username": "daemon",
    "kafka.sasl_password": SECRET,
    "kafka.schema_registry_url": "http://127.0.0.1:1",
    "kafka.schema_registry_user": "daemon",
    "kafka.schema_registry_password": SECRET,
    "redis.url": f"redis://:{SECRET}@127.0.0.1:1",
    "apdb.url": f"postgresql://daemon:{SECRET}@127.0.0.1:1/apdb?sslpassword={SECRET}",
}
SETTINGS = CONNECTIONS | {"kafka.librdkafka_consumer.ssl.keystore.password": SECRET}


@pytest.fixture
def logs():
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield io.StringIO()
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize("command", [("show",), ("show", "--json"), ("check",)])
def test_what_is_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: tuple[str, str] | tuple[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assignments = [f"--set={name}={value}" for name, value in SETTINGS.items()]
    shown = CliRunner().invoke(app, ["config", *command, *assignments], catch_exceptions=False)
    assert shown.exit_code == 0
    assert SECRET not in shown.output
    assert ("***" in shown.output) == ("show" in command)


def test_what_settings_say_of_themselves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings(overrides=SETTINGS)
    assert SECRET not in f"{settings} {settings!r} {settings.kafka!r} {settings.model_dump()} {vars(settings.redis)}"


@pytest.mark.parametrize("style", ["json", "console"])
def test_what_a_daemon_logs_when_the_cache_is_away(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, logs: io.StringIO, style: Literal["json", "console"]
) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path / 'apdb.sqlite3'}"
    init(url)
    settings = load_settings(
        overrides=SETTINGS | {"apdb.url": url, "daemon.restart_budget": 1, "daemon.retry_initial_seconds": 0.01}
    )
    configure_logging(style, "debug", logs)
    instruments = Instruments()
    health = Health(instruments)
    with pytest.raises(RestartBudgetError) as caught:
        run_daemon(settings, instruments, StopRequest(1.0), health)
    assert "Redis at 127.0.0.1:1" in str(health.ready().body)
    assert SECRET not in str(health.ready().body)
    structlog.get_logger("test").error("ended", exc_info=caught.value)
    assert "waiting" in logs.getvalue()
    assert "Redis at 127.0.0.1:1" in logs.getvalue()
    assert SECRET not in logs.getvalue()


def test_what_a_program_says_when_the_database_is_away(tmp_path: Path) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("STREAM_ASSOC_")}
    variables = {f"STREAM_ASSOC_{name.upper().replace('.', '__')}": value for name, value in CONNECTIONS.items()}
    ended = subprocess.run(
        [PROGRAM, "--debug", "apdb", "check"],
        cwd=tmp_path,
        env=inherited | variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr
    assert "apdb.url" in ended.stderr
    assert SECRET not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("apdb.url", f"host=db user=daemon password={SECRET}"),
        ("apdb.url", f"postgres://daemon:{SECRET}@db/apdb"),
        ("apdb.url", f"postgresql:/daemon:{SECRET}@db/apdb"),
        ("redis.url", f"http://:{SECRET}@cache"),
        ("redis.url", [f"redis://:{SECRET}@cache"]),
        ("redis.password", [SECRET]),
        ("redis.password", {"value": SECRET}),
        ("kafka.sasl_password", [SECRET]),
        ("kafka.librdkafka", SECRET),
        ("kafka.librdkafka", {"sasl.password": [SECRET]}),
        ("kafka.librdkafka", {"bootstrap.servers": SECRET, "sasl.password": SECRET}),
        ("kafka.schema_registry_url", f"daemon:{SECRET}@registry"),
    ],
)
def test_what_is_said_of_a_value_that_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(overrides={name: value})
    assert SECRET not in "".join(traceback.format_exception(caught.value))


# What does not read a password as it was meant takes a part of it for a host, a port or an option.
@pytest.mark.parametrize("password", [f"p@{SECRET}", f"p/{SECRET}", f"%zz{SECRET}", f"p@{SECRET}:1", f"p/{SECRET}?x"])
def test_what_is_said_of_a_password_that_was_not_percent_encoded(password: str) -> None:
    with pytest.raises(ApdbConfigurationError, match="percent-encoded") as caught:
        open_apdb(f"postgresql://daemon:{password}@127.0.0.1:1/apdb")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("password", [f"p/{SECRET}", f"p#{SECRET}", f"p?{SECRET}", f"[{SECRET}", SECRET])
def test_what_is_said_of_a_redis_that_cannot_be_reached(password) -> None:
    url = f"redis://daemon:{password}@127.0.0.1:1"
    with pytest.raises((CacheConfigurationError, CacheUnavailableError)) as caught:
        RedisCache(connect(url, retries=0), LAYOUT, tile_level=10, cell_level=8, secret=b"secret").ping()
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_what_is_said_of_a_registry_that_cannot_be_reached() -> None:
    (port,) = free_ports(1)
    for registry in (
        SchemaRegistry(f"http://daemon:{SECRET}@127.0.0.1:{port}"),
        SchemaRegistry(f"http://127.0.0.1:{port}", credentials=("daemon", SECRET)),
    ):
        with pytest.raises(RegistryUnavailableError) as caught:
            registry.writer_schema(7)
        assert SECRET not in "".join(traceback.format_exception(caught.value)) + repr(registry)


def test_what_a_dead_letter_tells(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    message = InputMessage(InputPosition("dia-sources", 0, 0), 0, None, b"\x00\x00\x00\x00\x07")
    registry = SchemaRegistry(f"http://daemon:{SECRET}@registry")
    error = DecodeError(f"schema id 7 is not in the registry {registry._base}", "unknown_schema")
    letter = dead_letter(message, error, "dlq", time_ms=0)
    assert b"registry" in repr(letter).encode()
    assert SECRET not in repr(letter)
