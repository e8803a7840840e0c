"""``config check`` and ``config show``."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from stream_assoc.settings import ConfigurationError, load_settings
from tests.apps.cli.invoking import Invoke
from tests.topics import new_topic

SECRETIVE = [
    "--set=apdb.url=postgresql://rubin:hunter2@db/apdb",
    "--set=redis.url=redis://:hunter2@cache",
    "--set=kafka.librdkafka.sasl.password=hunter2",
]


def test_valid_configuration_is_told(invoke: Invoke) -> None:
    assert invoke("config", "check").stdout == "The configuration is valid.\n"


def test_unknown_librdkafka_option_is_told(invoke: Invoke) -> None:
    with pytest.raises(
        ConfigurationError, match=r'kafka\.librdkafka_consumer: .*No such configuration.*"linger\.mss"'
    ):
        invoke("config", "check", "--set", "kafka.librdkafka.linger.mss=5")


def test_option_of_the_producer_alone_is_judged_by_the_producer(invoke: Invoke) -> None:
    with pytest.raises(ConfigurationError, match=r"kafka\.librdkafka_producer: "):
        invoke("config", "check", "--set", "kafka.librdkafka_producer.linger.ms=soon")


@pytest.mark.parametrize("root", ["relative/folder", "http://localhost/images", "s3://images/../other"])
def test_places_where_no_images_can_be_are_told(invoke: Invoke, root: str) -> None:
    with pytest.raises(ConfigurationError, match=r"images\.roots"):
        invoke("config", "check", "--set", f"images.roots=[{root}]")


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("kafka.dead_letter_topic=dia-sources", r"kafka\.input_topic and kafka\.dead_letter_topic are one topic"),
        ("statistics.plugins=[ap_meanFluks]", r"statistics\.plugins: .*'ap_meanFluks'; did you mean 'ap_meanFlux'"),
        ("statistics.flag_columns=[centroid_flg]", "'centroid_flg' is no flag column of DiaSource.*centroid_flag"),
        ("new_objects.bad_flags=[pixelFlags_satured]", "'pixelFlags_satured' is no flag column of DiaSource"),
        ("kafka.librdkafka_producer.acks=1", r"kafka\.librdkafka_producer: .*acks"),
        (
            "kafka.librdkafka_consumer.receive.message.max.bytes=2000",
            r"kafka\.librdkafka_consumer: .*fetch\.max\.bytes",
        ),
        ("kafka.librdkafka_consumer.max.poll.interval.ms=soon", r"kafka\.librdkafka_consumer: .*max\.poll\.interval"),
    ],
)
def test_what_a_daemon_could_not_run_with_is_told(invoke: Callable[..., Result], assignment: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        invoke("config", "check", "--set", assignment)


@pytest.mark.parametrize("command", [("config", "check"), ("alerts",)])
def test_a_schema_of_alerts_that_there_is_not_is_told(
    invoke: Callable[..., Result], command: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigurationError, match=r"alerts\.schema_version: .*99\.0.*11\.1"):
        invoke(*command, "--set", "alerts.schema_version=99.0")


def test_everything_at_fault_is_told_at_once(invoke: Callable[..., Result]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        invoke(
            *("config", "check", "--set", "statistics.plugins=[nothing]", "--set", "images.roots=[relative]"),
            *("--set", "kafka.librdkafka_producer.acks=1", "--set", "kafka.librdkafka_consumer.fetch.bytes=1"),
        )
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == [
        "images.roots",
        "statistics.plugins",
        "kafka.librdkafka or kafka.librdkafka_consumer",
        "kafka.librdkafka or kafka.librdkafka_producer",
    ]


def test_the_daemon_refuses_what_config_check_refuses_before_it_asks_for_any_server(
    invoke: Callable[..., Result],
) -> None:
    """With the stores away it would wait for them first, and die of the wrong name when they are back."""
    away = ("--set", "redis.url=redis://localhost:1", "--set", "apdb.url=postgresql://localhost:1/apdb")
    with pytest.raises(ConfigurationError, match=r"statistics\.plugins"):
        invoke("serve", *away, "--set", "statistics.plugins=[nothing]")


@pytest.mark.integration
def test_topics_that_would_lose_messages_are_told(invoke: Callable[..., Result], kafka_bootstrap: str) -> None:
    kept, lossy = new_topic(kafka_bootstrap), new_topic(kafka_bootstrap, retention_ms="604800000")
    broker = ("--set", f"kafka.bootstrap_servers={kafka_bootstrap}", "--set")

    good = invoke("config", "check", "--topics", *broker, f"kafka.input_topic={kept}")
    bad = invoke("config", "check", "--topics", *broker, f"kafka.input_topic={lossy}")

    assert good.stdout.splitlines() == ["The configuration is valid.", "The topics keep what they should."]
    assert bad.stderr.endswith(
        f"{lossy}: deletes a replayed night at once, by the times that its messages carry; "
        "set message.timestamp.type=LogAppendTime\n"
    )


def test_file_and_assignments_are_read(invoke: Invoke) -> None:
    Path("night.toml").write_text('[kafka]\ngroup_id = "night"\n', encoding="utf-8")
    shown = json.loads(invoke("config", "show", "-c", "night.toml", "-s", "batch.bands=[g, r]", "--json").stdout)
    assert shown["kafka"]["group_id"] == "night"
    assert shown["batch"]["bands"] == ["g", "r"]


def test_assignment_needs_a_value(invoke: Invoke) -> None:
    with pytest.raises(ConfigurationError, match=r"--set kafka\.group_id: there is no value"):
        invoke("config", "show", "--set", "kafka.group_id")


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_secrets_are_masked(invoke: Invoke, form) -> None:
    shown = invoke("config", "show", *form, *SECRETIVE).stdout
    assert "hunter2" not in shown
    assert "postgresql://rubin:***@db/apdb" in shown


def test_what_is_shown_is_a_configuration_file(invoke: Invoke) -> None:
    Path("shown.toml").write_text(
        invoke("config", "show", "-s", "kafka.group_id=night", "-s", "kafka.librdkafka.linger.ms=5").stdout,
        encoding="utf-8",
    )
    settings = load_settings(Path("shown.toml"))
    assert settings == load_settings(overrides={"kafka.group_id": "night", "kafka.librdkafka.linger.ms": "5"})
