"""Settings are checked against each other, and against the names that the schema has."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_assoc.core.model.schema import apdb_table
from stream_assoc.settings import ConfigurationError, Settings, load_settings
from stream_assoc.settings.fields import fields

TOPICS = [name for name in fields() if name.startswith("kafka.") and name.endswith("_topic")]
FLAGS = [column.name for column in apdb_table("DiaSource").columns if column.datatype == "boolean"]


@pytest.fixture(autouse=True)
def no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def refused(overrides: dict[str, object]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(overrides=overrides)
    return str(caught.value)


@given(st.lists(st.sampled_from(["a", "a.b", "a_b", "c"]), min_size=len(TOPICS), max_size=len(TOPICS)))
def test_any_two_topics_that_kafka_takes_for_one_are_refused(names: list[str]) -> None:
    given_names = dict(zip(TOPICS, names, strict=True))
    words = refused(dict(given_names))
    for index, one in enumerate(TOPICS):
        for other in TOPICS[index + 1 :]:
            is_same = given_names[one].replace(".", "_") == given_names[other].replace(".", "_")
            assert (f"{one} and {other} are one topic" in words) == is_same


@pytest.mark.parametrize("name", TOPICS)
@pytest.mark.parametrize("topic", [".", "..", "__consumer_offsets"])
def test_a_topic_that_kafka_keeps_for_itself_is_refused(name: str, topic: str) -> None:
    assert f"{name} (from the command line): '{topic}': names like this are Kafka's own" in refused({name: topic})


@pytest.mark.parametrize(("replicas", "in_sync"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
def test_more_than_half_of_the_replicas_have_a_message_before_it_is_acknowledged(replicas: int, in_sync: int) -> None:
    settings = load_settings(overrides={"kafka.replication_factor": replicas})
    assert settings.kafka.effective_min_insync_replicas == in_sync


def test_more_acknowledgements_than_replicas_are_refused() -> None:
    words = refused({"kafka.replication_factor": 2, "kafka.min_insync_replicas": 3})
    assert "kafka.min_insync_replicas (3) is above kafka.replication_factor (2)" in words


@pytest.mark.parametrize("name", ["statistics.flag_columns", "new_objects.bad_flags"])
class TestFlags:
    def test_every_flag_of_the_schema_is_taken(self, name: str) -> None:
        section, _, key = name.partition(".")
        assert getattr(getattr(load_settings(overrides={name: FLAGS}), section), key) == tuple(FLAGS)

    @pytest.mark.parametrize("flag", ["", "psfFlux", "pixelFlags_Bad", "centroid_flag "])
    def test_any_other_name_is_refused_with_the_nearest(self, name: str, flag: str) -> None:
        words = refused({name: [FLAGS[0], flag]})
        assert name in words
        assert f"{flag!r} is no flag column of DiaSource; did you mean" in words


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"daemon.poll_timeout_seconds": 300}, "daemon.poll_timeout_seconds (300) must be less than"),
        ({"daemon.retry_max_seconds": 400}, "daemon.retry_max_seconds (400) must be less than"),
        ({"apdb.lock_timeout_seconds": 280}, "apdb.timeout_seconds and apdb.lock_timeout_seconds together (310)"),
        ({"apdb.connect_timeout_seconds": 1e30}, "apdb.connect_timeout_seconds (1e+30) must be less than"),
        ({"redis.timeout_seconds": 1e12}, "redis.timeout_seconds (1e+12) must be less than"),
        ({"redis.connect_timeout_seconds": 300}, "redis.connect_timeout_seconds (300) must be less than"),
        ({"images.timeout_seconds": 900}, "images.timeout_seconds (900) must be less than"),
        ({"daemon.wedged_after_seconds": 1e9}, "less than or equal to 86400"),
        ({"daemon.probe_seconds": 1e12}, "less than or equal to 86400"),
        ({"daemon.micro_batch_messages": 1_000_002}, "less than or equal to 100000"),
        ({"kafka.max_message_bytes": 2**31}, "less than or equal to"),
        (
            {"dashboard.enabled": True, "dashboard.port": 9100, "metrics.prometheus_port": 9100},
            "metrics.prometheus_port and dashboard.port are both 9100",
        ),
        (
            {
                **{"dashboard.enabled": True, "dashboard.host": "0.0.0.0", "dashboard.port": 9100},
                **{"metrics.prometheus_host": "10.0.0.1", "metrics.prometheus_port": 9100},
            },
            "metrics.prometheus_port and dashboard.port are both 9100",
        ),
        ({"apdb.namespace": "night"}, "apdb.namespace is for PostgreSQL"),
        ({"apdb.url": "cassandra://node/apdb", "apdb.namespace": "night"}, "names a keyspace of Cassandra"),
        ({"redis.cluster": True, "redis.url": "redis://cache:6379/3"}, "redis.cluster needs a redis.url of"),
        ({"redis.cluster": True, "redis.url": "unix:///run/redis.sock"}, "redis.cluster needs a redis.url of"),
        ({"redis.url": "redis://a,b"}, "redis.url names 2 hosts: set redis.cluster to true if"),
        ({"redis.url": "redis://s", "redis.sentinel_service": "night", "redis.cluster": True}, "exclude each other"),
        ({"redis.url": "unix:///s", "redis.sentinel_service": "night"}, "needs a redis.url that names Sentinels"),
        ({"redis.sentinel_service": "my night"}, "redis.sentinel_service"),
        ({"forced_photometry.bad_planes": ["SATT"]}, "'SATT' is no mask plane of Rubin's; did you mean SAT?"),
        ({"forced_photometry.bad_planes": ["NODATA"]}, "did you mean NO_DATA?"),
        ({"forced_photometry.bad_planes": ["sat"]}, "should match pattern"),
        ({"kafka.bootstrap_servers": "http://broker:9092"}, "'http://broker:9092' is not host:port"),
        ({"kafka.bootstrap_servers": "broker:9092,broker:90922"}, "'broker:90922' is not host:port"),
        ({"kafka.bootstrap_servers": "broker:kafka"}, "'broker:kafka' is not host:port"),
        ({"kafka.bootstrap_servers": "broker:٩٠٩٢"}, "'broker:٩٠٩٢' is not host:port"),
        ({"kafka.bootstrap_servers": "broker:9092,"}, "'' is not host:port"),
        ({"kafka.librdkafka.metadata.broker.list": "broker"}, "set kafka.bootstrap_servers instead"),
        ({"kafka.librdkafka_consumer.partition.assignment.strategy": "range"}, "always assigned cooperatively"),
    ],
)
def test_what_contradicts_something_else_is_refused(settings: dict[str, object], words: str) -> None:
    assert words in refused(settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"kafka.bootstrap_servers": "a:9092, SASL_SSL://b.example:9093,[::1]:9094,c"},
        {"dashboard.enabled": True, "dashboard.port": 0, "metrics.prometheus_port": 0},
        {"dashboard.port": 9100, "metrics.prometheus_port": 9100},
        {"redis.cluster": True, "redis.url": "redis://cache:6379"},
        {"redis.cluster": True, "redis.url": "rediss://u:p@a:6379,[::1]:6380,c/0"},
        {"redis.sentinel_service": "My.night_1-2", "redis.url": "redis://s1:26379,s2/3"},
        {"forced_photometry.bad_planes": ["BAD", "ARTIFICIAL_SKY"]},
        {"apdb.url": "postgresql://db/apdb", "apdb.namespace": "night"},
        {"daemon.wedged_after_seconds": 600, "images.timeout_seconds": 500},
    ],
)
def test_what_goes_together_is_taken(settings: dict[str, object]) -> None:
    assert isinstance(load_settings(overrides=settings), Settings)


def test_an_empty_list_of_plugins_is_not_the_production_set() -> None:
    from stream_assoc.wiring.pipeline import calculator_of

    names = calculator_of(load_settings(overrides={"statistics.plugins": []})).band_field_names
    assert names == ()
