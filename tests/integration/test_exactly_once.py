"""Every batch counts exactly once: on both databases, after a crash at every step, with the cache lost, in a pair."""

import contextlib
import dataclasses
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream_assoc.core.model.batch import Batch, BatchId
from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.messaging.avro.batch_encoder import BatchEncoder
from stream_assoc.messaging.kafka.publisher import KafkaPublisher
from stream_assoc.service.daemon.handler import MessageHandler
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.apdb.postgresql.apdb import PostgresqlApdb
from stream_assoc.stores.apdb.postgresql.session import PostgresqlSession
from stream_assoc.stores.cache.redis.cache import RedisCache
from stream_assoc.stores.cache.redis.connection import connect
from tests.contents import COUNTER, LEDGER, OUTBOX, SCIENCE_TABLES, columns, contents
from tests.integration.deployment import Deployment, deploy
from tests.pipeline.skies import PINNED, apdb_url, night, pinned_services, process_from

pytestmark = pytest.mark.integration

IN_ORDER: dict[str, dict[str, object]] = {
    "kafka": {"partitions": 1},
    "daemon": {**PINNED["daemon"], "micro_batch_messages": 4},
}
"""One partition, so that the order is that of sending; several micro-batches of several batches."""


Contents = dict[str, list[tuple[Any, ...]]]
Outputs = tuple[list[tuple[bytes | None, bytes | None]], list[AssociationMetrics]]


def url_of(deployment: Deployment) -> str:
    return deployment.settings.apdb.url.get_secret_value()


def apdb_of(deployment: Deployment) -> Contents:
    """Return everything in the APDB but the name of the topic, and offsets, which copies may shift."""
    return contents(url_of(deployment), *SCIENCE_TABLES, LEDGER, COUNTER, without=("input_topic", "input_offset"))


def outputs_of(deployment: Deployment) -> Outputs:
    """Return what a read_committed subscriber sees: the bytes of the objects, and the metrics."""
    objects = sorted((one.key, one.value) for one in deployment.read(deployment.settings.kafka.objects_topic))
    metrics = sorted(deployment.metrics(), key=lambda one: (one.visit, one.detector))
    return objects, [dataclasses.replace(one, inputTopic=None, inputOffset=None) for one in metrics]


def values_of(deployment: Deployment) -> list[bytes | None]:
    kafka = deployment.settings.kafka
    return [one.value for topic in (kafka.objects_topic, kafka.metrics_topic) for one in deployment.read(topic)]


def outbox_of(deployment: Deployment) -> list[tuple[Any, ...]]:
    return contents(url_of(deployment), OUTBOX)[OUTBOX]


@pytest.fixture(scope="module")
def reference(
    kafka_bootstrap: str, valkey_url: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Contents, Outputs]:
    """The APDB and the outputs of an undisturbed night on SQLite."""
    file = tmp_path_factory.mktemp("reference") / "apdb.sqlite3"
    deployment = deploy(kafka_bootstrap, valkey_url, f"sqlite:///{file}", **copied(IN_ORDER))
    deployment.send(night())
    deployment.process_everything()
    assert outbox_of(deployment) == []
    return apdb_of(deployment), outputs_of(deployment)


def copied(sections: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, object]]:
    return {name: dict(section) for name, section in sections.items()}


def test_sqlite_and_postgresql_hold_the_same_and_subscribers_see_each_output_once(
    deployed: Callable[..., Deployment], reference: tuple[Contents, Outputs]
) -> None:
    deployment = deployed(**copied(IN_ORDER))
    deployment.send(night())
    deployment.process_everything()
    expected_apdb, expected_outputs = reference
    assert apdb_of(deployment) == expected_apdb
    assert outputs_of(deployment) == expected_outputs
    objects, metrics = outputs_of(deployment)
    assert [(one.visit, one.detector) for one in metrics] == sorted(one.id for one in night())
    versions = columns(url_of(deployment), "DiaObject", "diaObjectId", "validityStartMjdTai")
    published = deployment.objects()
    assert sorted(versions) == sorted(
        zip(*(published.column(name).to_pylist() for name in ("diaObjectId", "validityStartMjdTai")), strict=True)
    )
    assert len(set(versions)) == len(objects)


def test_copies_of_messages_in_any_order_change_nothing(
    deployed: Callable[..., Deployment], reference: tuple[Contents, Outputs]
) -> None:
    deployment = deployed(**copied(IN_ORDER))
    deployment.send(with_copies(night(), n_copies=2))
    deployment.process_everything()
    assert (apdb_of(deployment), outputs_of(deployment)) == reference
    assert outbox_of(deployment) == []
    assert deployment.dead_letters() == []


def with_copies(batches: tuple[Batch, ...], n_copies: int) -> list[Batch]:
    """Return the batches in order, and copies of each at random places behind it."""
    random = np.random.default_rng(5)
    places = [(float(first), one) for first, one in enumerate(batches)]
    places += [(random.uniform(first, len(batches)), one) for first, one in places for _ in range(n_copies)]
    return [one for _, one in sorted(places, key=lambda pair: pair[0])]


class CrashError(Exception):
    """No error of the package: nothing catches it, and the daemon dies."""


@contextlib.contextmanager
def crash(owner: type, method: str, *, after: bool, call: int = 2) -> Iterator[list[tuple[Any, ...]]]:
    """Let the daemon die once, before or after a step; give the arguments of that call."""
    original = getattr(owner, method)
    calls = itertools.count(1)
    crashed: list[tuple[Any, ...]] = []

    def dying(*arguments: object) -> object:
        if next(calls) != call:
            return original(*arguments)
        crashed.append(arguments)
        if after:
            original(*arguments)
        raise CrashError(f"{method}, {'after' if after else 'before'}")

    setattr(owner, method, dying)
    try:
        yield crashed
    finally:
        setattr(owner, method, original)


def run_into(deployment: Deployment) -> None:
    """Run a daemon until it dies of a `CrashError`."""
    with deployment.daemon() as thread:
        thread.join(60.0)
    assert [type(error) for error in deployment.errors] == [CrashError]
    deployment.errors.clear()


@pytest.mark.parametrize(
    ("owner", "method", "after"),
    [
        pytest.param(PostgresqlSession, "commit", False, id="before the APDB commit"),
        pytest.param(PostgresqlSession, "commit", True, id="after the APDB commit"),
        pytest.param(RedisCache, "write", True, id="after the cache write"),
        pytest.param(KafkaPublisher, "publish", False, id="before the Kafka commit"),
        pytest.param(KafkaPublisher, "publish", True, id="after the Kafka commit"),
        pytest.param(PostgresqlApdb, "mark_published", True, id="after the outbox is cleared"),
    ],
)
def test_a_crash_at_any_step_changes_nothing(
    deployed: Callable[..., Deployment], reference: tuple[Contents, Outputs], owner, method: str, after: bool
) -> None:
    deployment = deployed(**copied(IN_ORDER))
    deployment.send(night())
    with crash(owner, method, after=after):
        run_into(deployment)
    assert 0 < len(columns(url_of(deployment), LEDGER, "visit")) < len(night())
    deployment.process_everything()
    assert (apdb_of(deployment), outputs_of(deployment)) == reference
    assert outbox_of(deployment) == []


def test_after_a_crash_between_the_commits_the_very_bytes_of_the_first_try_are_published(
    deployed: Callable[..., Deployment],
) -> None:
    deployment = deployed(kafka={"partitions": 1}, daemon={"micro_batch_messages": 4})
    deployment.send(night()[:8])
    with crash(KafkaPublisher, "publish", after=False) as crashed:
        run_into(deployment)
    ((_, outputs, _, _),) = crashed
    unpublished = [output.value for output in outputs]
    kafka = deployment.settings.kafka
    seen_before = [
        one.value for topic in (kafka.objects_topic, kafka.metrics_topic) for one in deployment.read(topic)
    ]
    assert not set(unpublished) & set(seen_before)
    deployment.process_everything()
    seen = [one.value for topic in (kafka.objects_topic, kafka.metrics_topic) for one in deployment.read(topic)]
    assert [seen.count(value) for value in unpublished] == [1] * len(unpublished)
    assert len(set(seen)) == len(seen)


def test_a_start_clears_what_a_crash_after_the_kafka_commit_left(deployed: Callable[..., Deployment]) -> None:
    deployment = deployed(**copied(IN_ORDER))
    deployment.send(night()[:8])
    with crash(KafkaPublisher, "publish", after=True):
        run_into(deployment)
    left = [row[0] for row in columns(url_of(deployment), OUTBOX, "visit")]
    assert len(left) == 4
    assert deployment.n_committed() == 8
    with deployment.daemon():
        deployment.wait_until(lambda: outbox_of(deployment) == [])
    assert len(deployment.metrics()) == 8


def test_a_cache_that_is_emptied_all_the_time_changes_nothing(
    deployed: Callable[..., Deployment], reference: tuple[Contents, Outputs]
) -> None:
    deployment = deployed(**{**copied(IN_ORDER), "daemon": {**PINNED["daemon"], "micro_batch_messages": 1}})
    deployment.send(night())
    redis = deployment.settings.redis
    client = connect(redis.url.get_secret_value(), connect_timeout_seconds=5.0, timeout_seconds=5.0)
    emptied = threading.Event()
    n_deleted = 0
    with deployment.daemon(), contextlib.closing(client):
        while deployment.n_committed() < deployment.sent:
            assert not deployment.errors
            keys = list(client.scan_iter(match=f"*{redis.prefix}*", count=1000))
            n_deleted += client.delete(*keys) if keys else 0
            emptied.wait(0.01)
    assert n_deleted > 0
    assert (apdb_of(deployment), outputs_of(deployment)) == reference


def test_two_daemons_on_overlapping_detectors_do_what_one_does(
    deployed: Callable[..., Deployment], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = deployed(daemon={"micro_batch_messages": 2})
    other = deployment.settings.model_copy(
        update={"kafka": deployment.settings.kafka.model_copy(update={"transactional_id": f"{tmp_path.name}.other"})}
    )
    workers = set()
    answer = MessageHandler.answer

    def recorded(handler, messages):
        workers.add(threading.get_ident())
        return answer(handler, messages)

    monkeypatch.setattr(MessageHandler, "answer", recorded)
    encoder = BatchEncoder()
    topic = deployment.settings.kafka.input_topic
    with deployment.daemon(), deployment.daemon(other):
        deployment.wait_until(lambda: deployment.n_working_members() == 2)
        deployment.send_raw([OutputMessage(topic, str(one.id).encode(), encoder.encode(one)) for one in night()])
        deployment.wait_until(lambda: deployment.n_committed() >= deployment.sent)
    assert not deployment.errors
    assert len(workers) == 2

    url = url_of(deployment)
    order = sorted((time, visit, detector) for time, visit, detector in ledger(url))
    assert sorted((visit, detector) for _, visit, detector in order) == sorted(one.id for one in night())
    assert owners(url) == serial_owners(order, tmp_path)
    assert len(deployment.metrics()) == len(night())
    versions = columns(url, "DiaObject", "diaObjectId", "validityStartMjdTai")
    assert len(deployment.objects()) == len(versions)
    assert outbox_of(deployment) == []


def ledger(url: str) -> list[tuple[Any, ...]]:
    return columns(url, LEDGER, "timeProcessedMjdTai", "visit", "detector")


def owners(url: str) -> dict[int, tuple[Any, ...]]:
    rows = columns(url, "DiaSource", "diaSourceId", "diaObjectId", "ssObjectId")
    return {source: tuple(owner) for source, *owner in rows}


def serial_owners(order: list[tuple[Any, ...]], folder: Path) -> dict[int, tuple[Any, ...]]:
    """Return the owner of every source when one pipeline takes the batches in this order."""
    services = pinned_services(folder)
    by_id = {one.id: one for one in night()}
    process_from(services, 0, *(by_id[BatchId(visit, detector)] for _, visit, detector in order))
    services.apdb.close()
    return owners(apdb_url(folder))


def test_nothing_waits_in_the_outbox_of_an_idle_daemon(deployed_on_sqlite: Callable[..., Deployment]) -> None:
    deployment = deployed_on_sqlite(**copied(IN_ORDER))
    deployment.send(night()[:3])
    with deployment.daemon():
        deployment.wait_until(lambda: deployment.n_committed() >= 3)
        deployment.wait_until(lambda: outbox_of(deployment) == [])
    with contextlib.closing(open_apdb(url_of(deployment))) as apdb:
        assert all(apdb.contains(one.id) for one in night()[:3])
