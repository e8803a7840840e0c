"""Where the tests get a Kafka, a Valkey and a PostgreSQL from.

In this order: the environment variable that names a running one; a container,
when a Docker engine answers; a process of our own.
"""

import importlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
from psycopg import sql

from stream_assoc.tools.embedded.kafka import EmbeddedKafka, free_ports, single_node_settings
from stream_assoc.tools.embedded.postgresql import EmbeddedPostgresql
from stream_assoc.tools.embedded.valkey import EmbeddedValkey
from tests.jars import JarsUnavailableError, jars_are_in, jars_of
from tests.parts import CASSANDRA, KAFKA, Part

KAFKA_VARIABLE: Final = "STREAM_ASSOC_TEST_KAFKA"
REDIS_VARIABLE: Final = "STREAM_ASSOC_TEST_REDIS"
POSTGRESQL_VARIABLE: Final = "STREAM_ASSOC_TEST_POSTGRESQL"

KAFKA_IMAGE: Final = "apache/kafka:4.1.1"
VALKEY_IMAGE: Final = "valkey/valkey:9"
POSTGRESQL_IMAGE: Final = "postgres:18"

KAFKA_POM: Final = Path(__file__).parent / "kafka" / "pom.xml"
KAFKA_CACHE: Final = Path(__file__).parents[1] / ".cache" / "kafka"
CASSANDRA_POM: Final = Path(__file__).parent / "cassandra" / "pom.xml"
CASSANDRA_CACHE: Final = Path(__file__).parents[1] / ".cache" / "cassandra"

DOCKER_TIMEOUT_SECONDS: Final = 3
KAFKA_CONTAINER_TIMEOUT_SECONDS: Final = 120


class ServiceUnavailableError(Exception):
    """What a service needs is not on this machine; the text says what."""


@contextmanager
def kafka() -> Iterator[str]:
    """Yield the bootstrap servers of a real Apache Kafka."""
    with ExitStack() as stack:
        if named := os.environ.get(KAFKA_VARIABLE):
            yield named
        elif docker_answers():
            yield stack.enter_context(_kafka_container())
        else:
            yield stack.enter_context(EmbeddedKafka(kafka_jars())).bootstrap_servers


@contextmanager
def valkey() -> Iterator[str]:
    """Yield the URL of a Valkey or Redis server."""
    with ExitStack() as stack:
        if named := os.environ.get(REDIS_VARIABLE):
            yield named
        elif docker_answers():
            from testcontainers.community.valkey import ValkeyContainer

            container = stack.enter_context(ValkeyContainer(VALKEY_IMAGE))
            yield f"redis://{container.get_host()}:{container.get_exposed_port()}/0"
        else:
            yield stack.enter_context(EmbeddedValkey()).url


@contextmanager
def postgresql() -> Iterator[str]:
    """Yield the URL of a PostgreSQL server, as its superuser."""
    with ExitStack() as stack:
        if named := os.environ.get(POSTGRESQL_VARIABLE):
            yield named
        elif docker_answers():
            from testcontainers.community.postgres import PostgresContainer

            # The user an image is started with is its superuser.
            container = stack.enter_context(PostgresContainer(POSTGRESQL_IMAGE, driver=None))
            yield container.get_connection_url()
        else:
            yield stack.enter_context(EmbeddedPostgresql()).url


@contextmanager
def new_database(postgresql_url: str) -> Iterator[str]:
    """Yield the URL of an empty database on this server, and drop it at the end."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield urlsplit(postgresql_url)._replace(path=f"/{name}").geturl()
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@cache
def docker_answers() -> bool:
    """Tell whether a Docker engine answers a ping."""
    # By its name: for a type checker this repository's folder hides the library.
    docker = importlib.import_module("docker")
    try:
        client = docker.from_env(timeout=DOCKER_TIMEOUT_SECONDS)
    except docker.errors.DockerException:
        return False
    try:
        return bool(client.ping())
    except docker.errors.DockerException:
        return False
    finally:
        client.close()


def kafka_jars() -> Path:
    """Return the folder of the broker's jars, fetched from Maven Central the first time.

    Raises
    ------
    ServiceUnavailableError
        If there is no Java or no Maven, or Maven cannot resolve them.
    """
    return _jars(KAFKA, f"{KAFKA.reason}; or set {KAFKA_VARIABLE}, or start Docker", KAFKA_POM, KAFKA_CACHE)


def cassandra_jars() -> Path:
    """Return the folder of the jars of Cassandra's nodes, fetched from Maven Central the first time.

    Raises
    ------
    ServiceUnavailableError
        If there is no Java or no Maven, or Maven cannot resolve them.
    """
    return _jars(CASSANDRA, CASSANDRA.reason, CASSANDRA_POM, CASSANDRA_CACHE)


def jars_to_fetch() -> list[Part]:
    """Return the parts that can run if Maven can fetch their jars, which nobody knows before it tries."""
    caches = {KAFKA: KAFKA_CACHE, CASSANDRA: CASSANDRA_CACHE}
    return [part for part, cache in caches.items() if part.is_here and not jars_are_in(cache)]


def _jars(part: Part, what_is_missing: str, pom: Path, cache: Path) -> Path:
    if not part.is_here:
        raise ServiceUnavailableError(what_is_missing)
    try:
        return jars_of(pom, cache)
    except JarsUnavailableError as error:
        raise ServiceUnavailableError(f"cannot test {part.name}: {error}") from error


@contextmanager
def _kafka_container() -> Iterator[str]:
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    # Clients must reach the broker under the address it advertises, so its port is fixed beforehand.
    port, controller_port = free_ports(2)
    container = DockerContainer(KAFKA_IMAGE).with_bind_ports(port, port)
    host = container.get_container_host_ip()
    for name, value in single_node_settings(port, controller_port, bind="0.0.0.0", advertised=host).items():
        container.with_env("KAFKA_" + name.upper().replace(".", "_"), value)
    ready = LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(KAFKA_CONTAINER_TIMEOUT_SECONDS)
    with container.waiting_for(ready):
        yield f"{host}:{port}"
