"""A daemon on real servers, watched: by Prometheus with our rules and panels, and by who asks for its health."""

import contextlib
import functools
import json
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from stream_assoc import __version__
from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.tools.embedded.kafka import EmbeddedKafka, free_ports
from stream_assoc.tools.embedded.postgresql import EmbeddedPostgresql
from stream_assoc.tools.embedded.process import ServerProcess
from stream_assoc.tools.embedded.valkey import EmbeddedValkey
from tests.integration.deployment import Deployment, deploy
from tests.integration.program import EXIT_SECONDS, environment_of, serve
from tests.monitoring.monitored import (
    RULES,
    exposed_names,
    metric_names,
    panel_expressions,
    program,
    rule_expressions,
)
from tests.pipeline.skies import night
from tests.services import ServiceUnavailableError, kafka_jars

pytestmark = pytest.mark.integration

START_SECONDS = 60.0

MAY_BE_EMPTY = {"Retries, restarts, rebalances: retries of {{service}}"}
"""Panels without a line on a daemon that never had to try again."""

OTHERS = {"up", "prometheus_rule_evaluation_failures_total", "prometheus_notifications_alertmanagers_discovered"}
OTHERS |= {"prometheus_notifications_errors_total", "stream_assoc_retries_total"}
"""What Prometheus itself exposes, and what is only there once it has happened (tests/metrics)."""


@dataclass(frozen=True)
class Servers:
    """Servers of the test's own, to be killed."""

    kafka: EmbeddedKafka
    valkey: EmbeddedValkey
    postgresql: EmbeddedPostgresql


@dataclass(frozen=True)
class Operated:
    """A daemon that runs, and where it answers."""

    deployment: Deployment
    servers: Servers
    process: subprocess.Popen[str]
    port: int
    log: Path

    def ask(self, path: str) -> tuple[int, dict[str, Any]]:
        status, body = get(f"http://127.0.0.1:{self.port}{path}")
        return status, json.loads(body)

    def exposition(self) -> str:
        return get(f"http://127.0.0.1:{self.port}/metrics")[1]

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        with contextlib.suppress(ConnectionError, urllib.error.URLError):
            return self.ask("/readyz")[0] == 200
        return False

    def wait_until(self, condition: Callable[[], bool]) -> None:
        self.deployment.wait_until(condition, look_every_seconds=0.2)


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operated]:
    """A daemon that has processed a night and a message that is no batch."""
    try:
        jars = kafka_jars()
    except ServiceUnavailableError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("operated")
    (port,) = free_ports(1)
    with EmbeddedKafka(jars) as kafka, EmbeddedValkey() as valkey, EmbeddedPostgresql() as postgresql:
        deployment = deploy(kafka.bootstrap_servers, valkey.url, postgresql.url)
        variables = environment_of(deployment, metrics__prometheus_port=port, daemon__probe_seconds=0.5)
        with serve(folder, variables) as process:
            servers = Servers(kafka, valkey, postgresql)
            operated = Operated(deployment, servers, process, port, folder / "serve.log")
            operated.wait_until(operated.is_ready)
            deployment.send(night()[:8])
            deployment.send_raw([OutputMessage(deployment.settings.kafka.input_topic, None, b"no batch")])
            operated.wait_until(lambda: deployment.n_committed() >= deployment.sent)
            # Known some seconds after the partitions are.
            operated.wait_until(lambda: "stream_assoc_lag_messages{" in operated.exposition())
            yield operated


@dataclass(frozen=True)
class Prometheus:
    """A Prometheus that scrapes the daemon once a second."""

    url: str

    def api(self, path: str, **parameters: str) -> Any:
        status, body = get(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        assert status == 200, body
        return json.loads(body)["data"]

    def query(self, expression: str) -> list[Any]:
        return list(self.api("query", query=expression)["result"])


@pytest.fixture(scope="module")
def prometheus(operated: Operated, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    (port,) = free_ports(1)
    target = {"static_configs": [{"targets": [f"127.0.0.1:{operated.port}"]}]}
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [
            {"job_name": "stream-assoc", **target},
            {"job_name": "prometheus", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]},
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    process = ServerProcess(
        [
            program("prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        folder / "prometheus.log",
    )
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        with contextlib.suppress(OSError):
            return get(f"{url}/-/ready")[0] == 200
        return False

    process.start(answers, START_SECONDS)
    try:
        watched = Prometheus(url)
        # Rates need two scrapes, and something that happens between them.
        operated.wait_until(lambda: len(watched.query("stream_assoc_build_info")) == 1)
        operated.deployment.send(night()[8:])
        operated.deployment.send_raw(
            [OutputMessage(operated.deployment.settings.kafka.input_topic, None, b"no batch either")]
        )
        seen = f"sum(stream_assoc_batches_total) >= {operated.deployment.sent}"
        operated.wait_until(lambda: len(watched.query(seen)) == 1)
        yield watched
    finally:
        process.stop()


def test_it_is_ready_and_says_so(operated: Operated) -> None:
    status, body = operated.ask("/readyz")
    assert (status, body["ready"], body["why"], body["phase"]) == (200, True, [], "running")
    assert body["services"] == {"apdb": "answers", "cache": "answers", "kafka": "answers"}
    assert body["consumer_group"] == {"joined": True, "partitions": operated.deployment.settings.kafka.partitions}
    status, body = operated.ask("/healthz")
    assert (status, body["alive"]) == (200, True)


def test_every_metric_that_a_rule_or_a_panel_asks_for_exists(operated: Operated) -> None:
    exposed = exposed_names(operated.exposition()) | OTHERS
    for place, text in (*rule_expressions(), *panel_expressions()):
        names = metric_names(text)
        assert names or "vector" in text or "stream_assoc:" in text, place
        assert names <= exposed, place


def test_every_panel_has_data(prometheus: Prometheus) -> None:
    empty = {place for place, text in panel_expressions() if not prometheus.query(text)}
    assert empty <= MAY_BE_EMPTY


def test_every_rule_is_evaluated_and_only_what_is_so_fires(operated: Operated, prometheus: Prometheus) -> None:
    def rules() -> list[Any]:
        return [rule for group in prometheus.api("rules")["groups"] for rule in group["rules"]]

    operated.wait_until(lambda: all(rule["health"] == "ok" for rule in rules()))
    assert len(rules()) == len(rule_expressions())

    def firing() -> set[str]:
        return {rule["name"] for rule in rules() if rule.get("state") == "firing"}

    operated.wait_until(lambda: firing() == {"StreamAssocWatchdog", "StreamAssocDeadLetters"})


@pytest.mark.parametrize("name", ["cache", "apdb", "kafka"])
def test_a_service_that_goes_away_is_named_until_it_is_back(operated: Operated, name: str) -> None:
    servers = operated.servers
    outages: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "cache": (servers.valkey.kill, servers.valkey.start),
        "apdb": (functools.partial(servers.postgresql.stop, immediately=True), servers.postgresql.start),
        "kafka": (servers.kafka.kill, servers.kafka.start),
    }
    end, begin = outages[name]
    end()
    operated.wait_until(lambda: operated.ask("/readyz")[1]["services"][name] != "answers")
    status, body = operated.ask("/readyz")
    assert status == 503
    assert body["ready"] is False
    assert any(why.startswith(f"{name}: ") for why in body["why"]), body
    setting = {"cache": "redis.url", "apdb": "apdb.url", "kafka": "kafka.bootstrap_servers"}[name]
    assert name == "cache" or setting in body["services"][name]
    assert f'stream_assoc_service_up{{service="{name}"}} 0.0' in operated.exposition()
    assert operated.ask("/healthz")[0] == 200, "who waits for a service is alive"
    begin()
    operated.wait_until(operated.is_ready)
    assert f'stream_assoc_service_up{{service="{name}"}} 1.0' in operated.exposition()


def test_its_log_tells_its_life(operated: Operated) -> None:
    operated.process.send_signal(signal.SIGTERM)
    assert operated.process.wait(EXIT_SECONDS) == 0
    lines = [json.loads(line) for line in operated.log.read_text().splitlines() if line.startswith("{")]
    first = lines[0]
    assert (first["event"], first["version"], first["http_port"]) == ("starting", __version__, operated.port)
    assert first["configuration"]["kafka"]["group_id"] == operated.deployment.settings.kafka.group_id
    events = [line["event"] for line in lines]
    assert [event for event in events if event in {"starting", "draining", "stopped"}] == [
        "starting",
        "draining",
        "stopped",
    ]
    batches = [line for line in lines if line["event"] == "processed"]
    # Without a Prometheus, only the first half of the night was sent.
    assert len(batches) + events.count("dead letter") == operated.deployment.sent
    for line in batches:
        assert {"visit", "detector", "topic", "partition", "offset", "micro_batch", "milliseconds"} <= line.keys()
        assert {"decode", "associate", "summarise"} <= line["stages"].keys()
    (stopped,) = (line for line in lines if line["event"] == "stopped")
    assert stopped["asked_by"] == "SIGTERM"
