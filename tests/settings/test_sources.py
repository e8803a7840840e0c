"""Where settings come from, which of them wins, and what is refused with what words."""

import traceback
from pathlib import Path
from typing import Any

import pytest

from stream_assoc.exceptions import FatalError
from stream_assoc.settings import ConfigurationError, Settings, load_settings
from stream_assoc.settings.fields import environment_name, fields


def written(text: str, name: str = "night.toml") -> Path:
    path = Path(name)
    path.write_text(text, encoding="utf-8")
    return path


def refusal(config: Path | None = None, overrides: dict[str, object] | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(config, overrides)
    return str(caught.value)


def test_defaults_need_no_source() -> None:
    assert load_settings() == Settings()


def test_file_gives_values_and_the_rest_stays_default() -> None:
    settings = load_settings(written('[kafka]\ngroup_id = "night"\n[batch]\nbands = ["g", "r"]\n'))
    assert settings.kafka.group_id == "night"
    assert settings.batch.bands == ("g", "r")
    assert settings.kafka.input_topic == "dia-sources"


def test_file_in_the_working_directory_is_found() -> None:
    written('[kafka]\ngroup_id = "here"\n', "stream-assoc.toml")
    assert load_settings().kafka.group_id == "here"


def test_file_is_found_through_the_environment_and_yields_to_the_one_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written('[kafka]\ngroup_id = "here"\n', "stream-assoc.toml")
    monkeypatch.setenv("STREAM_ASSOC_CONFIG", str(written('[kafka]\ngroup_id = "named"\n', "named.toml")))
    assert load_settings().kafka.group_id == "named"
    assert load_settings(written('[kafka]\ngroup_id = "asked"\n')).kafka.group_id == "asked"


def test_environment_wins_over_the_file_and_overrides_over_both(monkeypatch: pytest.MonkeyPatch) -> None:
    config = written('[kafka]\ngroup_id = "file"\ninput_topic = "file"\nobjects_topic = "file"\n')
    monkeypatch.setenv("STREAM_ASSOC_KAFKA__GROUP_ID", "environment")
    monkeypatch.setenv("STREAM_ASSOC_KAFKA__INPUT_TOPIC", "environment")
    kafka = load_settings(config, {"kafka.group_id": "override"}).kafka
    assert (kafka.group_id, kafka.input_topic, kafka.objects_topic) == ("override", "environment", "file")


def test_made_directly_settings_do_not_read_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_ASSOC_KAFKA__GROUP_ID", "environment")
    assert Settings().kafka.group_id == "stream-assoc"


@pytest.mark.parametrize("text", ["u,g", " u , g ", '["u", "g"]'])
def test_list_in_the_environment_is_words_or_json(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("STREAM_ASSOC_BATCH__BANDS", text)
    assert load_settings().batch.bands == ("u", "g")


def test_numbers_and_unset_numbers_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_ASSOC_METRICS__PROMETHEUS_PORT", "9100")
    monkeypatch.setenv("STREAM_ASSOC_DAEMON__PIN_CLOCK_MJD", "60000.5")
    settings = load_settings()
    assert settings.metrics.prometheus_port == 9100
    assert settings.daemon.pin_clock_mjd == 60000.5


def test_empty_variable_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_ASSOC_METRICS__PROMETHEUS_PORT", "")
    assert load_settings().metrics.prometheus_port is None


def test_librdkafka_options_pass_through_from_every_source(monkeypatch: pytest.MonkeyPatch) -> None:
    config = written('[kafka.librdkafka]\n"security.protocol" = "SASL_SSL"\n"linger.ms" = 5\n')
    monkeypatch.setenv("STREAM_ASSOC_KAFKA__LIBRDKAFKA__LINGER_MS", "7")
    kafka = load_settings(config, {"kafka.librdkafka_producer.compression.type": "zstd"}).kafka
    assert kafka.consumer_options() == {
        "bootstrap.servers": "localhost:9092",
        "security.protocol": "SASL_SSL",
        "linger.ms": "7",
    }
    assert kafka.producer_options() == {**kafka.consumer_options(), "compression.type": "zstd"}


def test_librdkafka_options_pass_through_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_ASSOC_KAFKA__LIBRDKAFKA_CONSUMER", '{"fetch.wait.max.ms": 10}')
    assert load_settings().kafka.consumer_options()["fetch.wait.max.ms"] == 10


def test_unknown_name_in_the_file_is_refused_with_the_nearest() -> None:
    config = written('[kafka]\nbootstrap_server = "a:1"\n')
    assert (
        refusal(config) == "night.toml: unknown setting kafka.bootstrap_server; did you mean kafka.bootstrap_servers?"
    )


def test_unknown_section_in_the_file_is_refused_with_the_nearest() -> None:
    config = written('[kafak]\ngroup_id = "a"\n')
    assert refusal(config) == "night.toml: unknown setting kafak.group_id; did you mean kafka.group_id?"


def test_name_like_no_other_is_pointed_to_the_reference() -> None:
    assert refusal(written("zzzzzz = 1\n")) == (
        "night.toml: unknown setting zzzzzz; docs/configuration.md lists every setting"
    )


def test_unknown_variable_is_refused_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_ASSOC_KAFKA__BOOTSTRAP_SERVER", "a:1")
    assert refusal() == (
        "the environment: unknown setting STREAM_ASSOC_KAFKA__BOOTSTRAP_SERVER; "
        "did you mean STREAM_ASSOC_KAFKA__BOOTSTRAP_SERVERS?"
    )


def test_variable_without_a_section_is_refused_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_ASSOC_BOOTSTRAP_SERVERS", "a:1")
    assert "did you mean STREAM_ASSOC_KAFKA__BOOTSTRAP_SERVERS?" in refusal()


def test_variables_of_the_test_suite_are_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_ASSOC_TEST_KAFKA", "a:1")
    assert load_settings() == Settings()


def test_unknown_override_is_refused_with_the_nearest() -> None:
    assert refusal(overrides={"redis.urll": "redis://a"}) == (
        "the command line: unknown setting redis.urll; did you mean redis.url?"
    )


def test_override_below_a_plain_setting_is_refused() -> None:
    assert "unknown setting redis.url.host" in refusal(overrides={"redis.url.host": "a"})


def test_all_unknown_names_are_told_at_once() -> None:
    assert len(refusal(written("[redis]\nurll = 1\nprefixx = 2\n")).splitlines()) == 2


def test_wrong_type_names_setting_file_and_form() -> None:
    assert refusal(written('[association]\nmax_distance_arcsec = "one"\n')) == (
        "association.max_distance_arcsec (from night.toml): 'one': input should be a valid number, unable to parse "
        "string as a number. Valid: number, > 0, ≤ 60. Largest separation of a match, arcsec."
    )


def test_wrong_value_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_ASSOC_LOGGING__LEVEL", "loud")
    assert refusal() == (
        "logging.level (from the environment variable STREAM_ASSOC_LOGGING__LEVEL): 'loud': no such choice. "
        "Valid: debug or info or warning or error. Lowest level that is written."
    )


def test_a_choice_in_other_letters_is_guessed() -> None:
    message = refusal(overrides={"kafka.security_protocol": "sasl_plaintext"})
    assert "'sasl_plaintext': no such choice; did you mean SASL_PLAINTEXT? Valid: PLAINTEXT or SSL or " in message


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://host/0x", "database of Redis is a number"),
        ("redis://host/-1", "database of Redis is a number"),
        ("redis://host/0/1", "database of Redis is a number"),
        ("redis://host?db=one", "database of Redis is a number"),
        ("unix:///path?db=x", "database of Redis is a number"),
        ("redis:///0", "names no host"),
        ("redis://host:port", "names no host, or an invalid port"),
        ("redis://host:0", "names no host, or an invalid port"),
        ("redis://host:70000", "names no host, or an invalid port"),
        ("redis://host:1,host:port", "names no host, or an invalid port"),
        ("redis://host:1,", "names no host, or an invalid port"),
        ("redis://a,b/x", "database of Redis is a number"),
        ("unix://", "names no socket"),
    ],
)
def test_a_redis_url_that_leads_nowhere_is_refused(url: str, words: str) -> None:
    assert words in refusal(overrides={"redis.url": url})


@pytest.mark.parametrize(
    "url", ["redis://h", "redis://h/", "redis://h:1/15", "unix:///a/b?db=3", "rediss://u:p@[::1]:6"]
)
def test_a_redis_url_is_taken(url: str) -> None:
    assert load_settings(None, {"redis.url": url}).redis.url.get_secret_value() == url


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("apdb.url", "mysql://h/d", "does not begin with sqlite:/// or postgresql://"),
        ("apdb.url", "postgresql+psycopg2://h/d", "does not begin with sqlite:/// or postgresql://"),
        ("apdb.namespace", "a b", "should match pattern"),
        ("redis.url", "http://h", "does not begin with redis:// or rediss:// or unix://"),
        ("redis.prefix", "{a}", "should match pattern"),
        ("kafka.schema_registry_url", "h:8081", "does not begin with http:// or https://"),
        ("kafka.input_topic", "dia sources", "should match pattern"),
        ("kafka.partitions", "0", "greater than or equal to 1"),
        ("kafka.librdkafka", "linger.ms", "valid dictionary"),
        ("kafka.librdkafka.group.id", "a", "set kafka.group_id instead"),
        ("kafka.librdkafka_consumer.enable.auto.commit", "true", "offsets are committed with the outputs"),
        ("batch.bands", ["u", "Q"], "'Q' not among the bands u, g, r, i, z, y"),
        ("batch.bands", [], "at least 1 item"),
        ("batch.bands", "u", "valid list"),
        ("sky.cell_level", 12, "sky.cell_level (12) must not exceed sky.tile_level (10)"),
        ("daemon.retry_max_seconds", 0.1, "daemon.retry_initial_seconds must not exceed daemon.retry_max_seconds"),
        ("association.max_distance_arcsec", float("nan"), "finite number"),
        ("new_objects.min_reliability", 2, "less than or equal to 1"),
        ("metrics.prometheus_port", 70000, "less than or equal to 65535"),
    ],
)
def test_invalid_value_is_refused(name: str, value, words: str) -> None:
    assert words in refusal(overrides={name: value})


def test_option_refused_by_every_type_is_one_line() -> None:
    assert len(refusal(written('[kafka.librdkafka]\n"linger.ms" = [1]\n')).splitlines()) == 1


def test_section_that_is_no_table_is_refused() -> None:
    assert refusal(written("kafka = 3\n")).startswith("kafka: ")


def test_file_asked_for_must_exist() -> None:
    assert refusal(Path("missing.toml")).startswith("missing.toml: there is no such file")


def test_file_must_be_toml() -> None:
    assert refusal(written("[kafka\n")).startswith("night.toml: not valid TOML: ")


def test_file_must_be_text() -> None:
    Path("binary.toml").write_bytes(b"\xff\xfe\x00")
    assert refusal(Path("binary.toml")).startswith("binary.toml: cannot be read: ")


def test_configuration_errors_are_fatal() -> None:
    assert issubclass(ConfigurationError, FatalError)


def test_every_setting_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its default, put into its variable, is the default again."""
    masked = Settings().masked()
    for name in fields():
        section, _, key = name.partition(".")
        value = masked[section][key]
        if isinstance(value, list):
            value = ",".join(value) or "[]"
        if value is not None and value != {}:
            monkeypatch.setenv(environment_name(name), str(value))
    assert load_settings() == Settings()


@pytest.mark.parametrize(
    "overrides",
    [
        {"apdb.url": "mysql://u:hunter2@h/d"},
        {"redis.url": "http://:hunter2@h"},
        {"kafka.schema_registry_url": "ftp://u:hunter2@h"},
        {"kafka.librdkafka": "sasl.password=hunter2"},
        {"kafka.librdkafka": {"sasl.password": ["hunter2"]}},
        {"kafka.librdkafka": {"sasl.password": "hunter2", "group.id": "a"}},
        {"apdb.url": "postgresql://u:hunter2@h/d", "sky.cell_level": 12},
    ],
)
def test_no_error_and_no_traceback_tells_a_secret(overrides: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(overrides=overrides)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
