"""`stream_assoc.subscribe` on a real broker."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import stream_assoc
from stream_assoc.messaging.kafka.errors import KafkaConfigurationError, KafkaUnavailableError
from stream_assoc.tools.subscription.records import BadMessage
from stream_assoc.tools.subscription.since import SubscriptionError
from tests.configured import configured
from tests.outputs import ended, metrics_of, metrics_value, objects_of, publish

LONG_AGO_MS = 1_600_000_000_000
LATER_MS = 1_700_000_000_000


@pytest.fixture
def send(kafka_bootstrap: str, topics):
    def send(*visits, **options) -> None:
        values = [metrics_value(metrics_of(visit)) if isinstance(visit, int) else visit for visit in visits]
        publish(kafka_bootstrap, topics.kafka.metrics_topic, values, **options)

    return send


def visits(records):
    return sorted(one.visit for one in records)


def test_the_package_itself_loads_no_client() -> None:
    script = "import sys, stream_assoc; print(sorted(set(sys.modules) & {'confluent_kafka', 'numpy', 'pyarrow'}))"
    assert (
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.strip()
        == "[]"
    )
    with pytest.raises(AttributeError, match="no attribute 'unsubscribe'"):
        _ = stream_assoc.unsubscribe


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(SubscriptionError, match=r"dia-objects, dia-forced-sources, dia-sources\.dlq"):
        stream_assoc.subscribe("metrics")


def test_settings_come_from_one_place() -> None:
    from stream_assoc.settings import Settings

    with pytest.raises(SubscriptionError, match="not both"):
        stream_assoc.subscribe("dia-objects", settings=Settings(), bootstrap_servers="here:1")


@pytest.mark.integration
def test_all_that_is_committed_until_the_end(send, topics) -> None:
    send(1, 2)
    send(3, commit=False)
    send(4)
    with stream_assoc.subscribe("association-metrics", since="beginning", until_end=True, settings=topics) as metrics:
        assert visits(metrics) == [1, 2, 4]
    assert (metrics.n_records, metrics.n_bad) == (3, 0)
    assert list(metrics) == []


@pytest.mark.integration
def test_the_configured_name_and_the_variables_lead_there_too(send, topics, monkeypatch: pytest.MonkeyPatch) -> None:
    send(1)
    name = topics.kafka.metrics_topic
    monkeypatch.setenv("STREAM_ASSOC_KAFKA__METRICS_TOPIC", name)
    monkeypatch.setenv("STREAM_ASSOC_KAFKA__BOOTSTRAP_SERVERS", topics.kafka.bootstrap_servers)
    for topic in (name, "association-metrics"):
        assert visits(stream_assoc.subscribe(topic, since="beginning", limit=1)) == [1]


@pytest.mark.integration
def test_since_a_time(send, topics) -> None:
    send(1, 2, time_ms=LONG_AGO_MS)
    send(3, time_ms=LATER_MS)
    for since, expected in (("2021-01-01", [3]), ("2026-01-01", []), (55_000.0, [1, 2, 3])):
        with stream_assoc.subscribe("association-metrics", since=since, until_end=True, settings=topics) as metrics:
            assert visits(metrics) == expected


@pytest.mark.integration
def test_a_backlog_of_two_partitions_comes_in_the_order_of_time(send, topics) -> None:
    for visit in range(12):
        send(visit, time_ms=LATER_MS + visit)
    with stream_assoc.subscribe("association-metrics", since="beginning", until_end=True, settings=topics) as metrics:
        assert [one.visit for one in metrics] == list(range(12))


@pytest.mark.integration
def test_latest_is_what_comes_after_subscribing(send, topics) -> None:
    send(1)
    with stream_assoc.subscribe("association-metrics", limit=1, settings=topics) as metrics:
        send(2)
        assert visits(metrics) == [2]


@pytest.mark.integration
def test_bad_messages_are_told_and_end_nothing(send, topics) -> None:
    told: list[BadMessage] = []
    send(1, b"rubbish", 2)
    metrics = stream_assoc.subscribe(
        "association-metrics", since="beginning", limit=2, settings=topics, on_bad=told.append
    )
    assert visits(metrics) == [1, 2]
    assert metrics.n_bad in (0, 1)  # on the other partition it may come after the second record
    with stream_assoc.subscribe(
        "association-metrics", since="beginning", until_end=True, settings=topics, on_bad=told.append
    ) as metrics:
        assert visits(metrics) == [1, 2]
        assert metrics.n_bad == 1
    assert "begins with" in str(told[-1])


@pytest.mark.integration
def test_idleness_ends_it(send, topics) -> None:
    send(1, 2)
    with stream_assoc.subscribe(
        "association-metrics", since="beginning", idle_seconds=2.0, settings=topics
    ) as metrics:
        assert visits(metrics) == [1, 2]


@pytest.mark.integration
def test_a_group_goes_on_where_it_left_off_and_skips_nothing(send, topics) -> None:
    def subscribed(**options):
        return stream_assoc.subscribe(
            "association-metrics", since="beginning", group=topics.kafka.metrics_topic, settings=topics, **options
        )

    send(*range(10))
    with subscribed() as metrics:
        # The fourth record is in hand when the loop is left: it is not done with.
        first = [next(metrics).visit for _ in range(4)]
    with subscribed(limit=7) as metrics:
        rest = [one.visit for one in metrics]
    assert sorted([*first[:3], *rest]) == list(range(10))
    assert first[3] in rest
    with subscribed(idle_seconds=3.0) as metrics:
        assert list(metrics) == []


@pytest.mark.integration
def test_members_of_a_group_share(send, topics) -> None:
    seen: list[list[int]] = [[], []]
    is_enough = threading.Event()

    def member(number: int) -> None:
        # Idleness ends it if the test fails, so that nobody waits for it for ever.
        with stream_assoc.subscribe(
            "association-metrics",
            since="beginning",
            group=topics.kafka.metrics_topic,
            idle_seconds=60.0,
            settings=topics,
        ) as metrics:
            for one in metrics:
                seen[number].append(one.visit)
                if is_enough.is_set():
                    break

    n_sent = 0
    with ThreadPoolExecutor(2) as pool:
        members = [pool.submit(member, number) for number in (0, 1)]
        while not all(one.done() for one in members):
            # A member that cannot go on says why, rather than be waited for.
            if all(seen) or any(one.done() for one in members):
                is_enough.set()
            send(*range(n_sent, n_sent + 10))
            n_sent += 10
    for one in members:
        one.result()
    # Each has a partition, and what is sent goes to one of them.
    assert all(seen)
    assert len(set(seen[0]) | set(seen[1])) > 10


@pytest.mark.integration
def test_a_group_has_no_end(topics) -> None:
    with pytest.raises(KafkaConfigurationError, match="without a group"):
        stream_assoc.subscribe("dia-objects", group="g", until_end=True, settings=topics)


@pytest.mark.integration
def test_objects_and_their_ends(kafka_bootstrap: str, topics) -> None:
    publish(kafka_bootstrap, topics.kafka.objects_topic, [*objects_of([5], ra=[1.5]), ended(5)])
    with stream_assoc.subscribe("dia-objects", since="beginning", until_end=True, settings=topics) as objects:
        assert [(one.diaObjectId, one.has_ended) for one in objects] == [(5, False), (5, True)]


@pytest.mark.integration
def test_a_missing_topic_is_told(kafka_bootstrap: str) -> None:

    settings = configured(kafka={"bootstrap_servers": kafka_bootstrap, "metrics_topic": "nowhere"})
    with pytest.raises(KafkaConfigurationError, match="there is no topic nowhere"):
        stream_assoc.subscribe("association-metrics", settings=settings)


def test_a_broker_that_is_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream_assoc.messaging.kafka.topic_reader.ANSWER_SECONDS", 0.2)
    with pytest.raises(KafkaUnavailableError, match=r"check kafka\.bootstrap_servers"):
        stream_assoc.subscribe("association-metrics", bootstrap_servers="127.0.0.1:1")


def test_subscribing_loads_no_compiler() -> None:
    """A subscriber computes nothing, so it need not wait a second for numba."""
    code = "import stream_assoc, sys; stream_assoc.subscribe; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
