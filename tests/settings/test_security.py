"""What encryption and users need: complete, said once, and refused with the name of the setting otherwise."""

from pathlib import Path

import psycopg.conninfo
import pytest

from stream_assoc.settings import ConfigurationError, load_settings
from stream_assoc.stores.apdb.backends import parse_url
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl

SECRET = "hunter2"
SASL = {
    "kafka.security_protocol": "SASL_SSL",
    "kafka.sasl_mechanism": "SCRAM-SHA-512",
    "kafka.sasl_username": "daemon",
    "kafka.sasl_password": SECRET,
}
POSTGRESQL = {"apdb.url": "postgresql://daemon@db/apdb"}
TLS_REDIS = {"redis.url": "rediss://cache:6379"}
SENTINELS = {"redis.url": "redis://s1,s2/0", "redis.sentinel_service": "night"}
HTTPS = {"kafka.schema_registry_url": "https://registry:8081"}


@pytest.fixture
def pem(tmp_path: Path) -> str:
    path = tmp_path / "some.pem"
    path.touch()
    return str(path)


def refusal(overrides: dict[str, object]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(overrides=overrides)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_kafka_gets_its_own_names(pem: str) -> None:
    files = {f"kafka.ssl_{name}_file": pem for name in ("ca", "certificate", "key")}
    kafka = load_settings(overrides=SASL | files | {"kafka.ssl_key_password": SECRET}).kafka
    expected = {
        "bootstrap.servers": "localhost:9092",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "daemon",
        "sasl.password": SECRET,
        "ssl.ca.location": pem,
        "ssl.certificate.location": pem,
        "ssl.key.location": pem,
        "ssl.key.password": SECRET,
    }
    assert kafka.client_options() == kafka.consumer_options() == kafka.producer_options() == expected


def test_what_has_no_setting_passes_through_beside_ours() -> None:
    options = {"kafka.security_protocol": "SASL_SSL", "kafka.librdkafka": {"sasl.mechanisms": "OAUTHBEARER"}}
    assert load_settings(overrides=options).kafka.client_options()["sasl.mechanisms"] == "OAUTHBEARER"


def test_redis_gets_its_own_names(pem: str) -> None:
    given = {"redis.username": "daemon", "redis.password": SECRET, "redis.ssl_ca_file": pem}
    assert load_settings(overrides=TLS_REDIS | given).redis.client_options() == {
        "username": "daemon",
        "password": SECRET,
        "ssl_ca_certs": pem,
    }


def test_sentinels_have_a_user_of_their_own() -> None:
    given = {"redis.password": "other", "redis.sentinel_username": "watcher", "redis.sentinel_password": SECRET}
    redis = load_settings(overrides=SENTINELS | given).redis
    assert redis.urls() == ("redis://s1/0", "redis://s2/0")
    assert redis.client_options() == {"password": "other"}
    assert redis.sentinel_options() == {"username": "watcher", "password": SECRET}
    assert SECRET not in repr(redis)


def test_postgresql_gets_its_own_names_whatever_the_password(pem: str) -> None:
    password = "p@ss:/?#[]%41 +&=é"
    given = {
        "apdb.url": "postgresql://daemon@db,db2:5433/apdb?target_session_attrs=read-write",
        "apdb.password": password,
        "apdb.ssl_mode": "verify-full",
        "apdb.ssl_ca_file": pem,
        "apdb.ssl_certificate_file": pem,
        "apdb.ssl_key_file": pem,
    }
    settings = load_settings(overrides=given)
    assert psycopg.conninfo.conninfo_to_dict(settings.apdb.connection_url()) == {
        "user": "daemon",
        "host": "db,db2",
        "port": ",5433",
        "dbname": "apdb",
        "target_session_attrs": "read-write",
        "password": password,
        "sslmode": "verify-full",
        "sslrootcert": pem,
        "sslcert": pem,
        "sslkey": pem,
    }
    assert password not in repr(settings)


@pytest.mark.parametrize("password", [SECRET, "p@ss w+rd&=?%41"])
def test_the_password_of_cassandra_may_be_beside_its_url(password: str) -> None:
    given = {"apdb.url": "cassandra://daemon@node1,node2/apdb", "apdb.password": password}
    settings = load_settings(overrides=given)
    url = CassandraUrl(("node1", "node2"), "apdb", user="daemon", password=password)
    assert parse_url(settings.apdb.connection_url()) == url
    assert password not in repr(settings)


def test_without_any_of_it_the_url_is_as_it_was() -> None:
    assert load_settings(overrides=POSTGRESQL).apdb.connection_url() == POSTGRESQL["apdb.url"]
    assert load_settings().redis.client_options() == {}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kafka.security_protocol": "TLS"}, "Valid: PLAINTEXT or SSL or SASL_PLAINTEXT or SASL_SSL"),
        ({"kafka.security_protocol": "SASL_SSL"}, "kafka.security_protocol SASL_SSL needs kafka.sasl_mechanism"),
        (SASL | {"kafka.security_protocol": "SSL"}, "kafka.sasl_mechanism has no effect with"),
        ({"kafka.sasl_password": SECRET}, "kafka.sasl_password has no effect with kafka.security_protocol PLAINTEXT"),
        (
            {"kafka.security_protocol": "SASL_SSL", "kafka.sasl_mechanism": "PLAIN", "kafka.sasl_username": "daemon"},
            "kafka.sasl_mechanism PLAIN needs kafka.sasl_password",
        ),
        (SASL | {"kafka.librdkafka.sasl.password": SECRET}, "kafka.librdkafka sasl.password say the same thing"),
        (SASL | {"kafka.librdkafka_producer.sasl.mechanisms": "PLAIN"}, "kafka.sasl_mechanism and"),
        ({"kafka.ssl_ca_file": "PEM"}, "kafka.ssl_ca_file has no effect with"),
        ({"kafka.ssl_ca_file": "nowhere.pem"}, "does not point to a file"),
        ({"kafka.security_protocol": "SSL", "kafka.ssl_key_file": "PEM"}, "needs kafka.ssl_certificate_file"),
        ({"kafka.security_protocol": "SSL", "kafka.ssl_key_password": SECRET}, "needs kafka.ssl_key_file"),
        ({"redis.ssl_ca_file": "PEM"}, "redis.ssl_ca_file needs a redis.url that begins with rediss://"),
        (TLS_REDIS | {"redis.ssl_certificate_file": "PEM"}, "needs redis.ssl_key_file"),
        ({"redis.username": "daemon"}, "redis.username needs redis.password"),
        ({"redis.url": f"redis://:{SECRET}@cache", "redis.password": SECRET}, "keep one of them"),
        ({"redis.sentinel_password": SECRET}, "redis.sentinel_password need redis.sentinel_service"),
        (SENTINELS | {"redis.sentinel_username": "daemon"}, "redis.sentinel_username needs redis.sentinel_password"),
        ({"apdb.password": SECRET}, "apdb.password is for PostgreSQL"),
        ({"apdb.url": f"postgresql://u:{SECRET}@db/apdb", "apdb.password": SECRET}, "keep one of them"),
        ({"apdb.url": f"cassandra://u:{SECRET}@node/apdb", "apdb.password": SECRET}, "keep one of them"),
        ({"apdb.url": "cassandra://node/apdb", "apdb.ssl_mode": "require"}, "needs apdb.ssl_mode verify-full"),
        ({"apdb.url": "cassandra://node/apdb", "apdb.ssl_ca_file": "PEM"}, "needs apdb.ssl_mode verify-full"),
        ({"apdb.url": "cassandra://node/apdb", "apdb.ssl_mode": "verify-full"}, "needs apdb.ssl_ca_file"),
        (POSTGRESQL | {"apdb.ssl_ca_file": "PEM"}, "has no effect with apdb.ssl_mode prefer"),
        (POSTGRESQL | {"apdb.ssl_mode": "verify-full"}, "apdb.ssl_mode verify-full needs apdb.ssl_ca_file"),
        (POSTGRESQL | {"apdb.ssl_key_file": "PEM"}, "apdb.ssl_key_file needs apdb.ssl_certificate_file"),
        (
            {"apdb.url": "postgresql://db/apdb?sslmode=require", "apdb.ssl_mode": "require"},
            "apdb.url holds sslmode, and so does apdb.ssl_mode",
        ),
        (HTTPS | {"kafka.schema_registry_user": "daemon"}, "needs kafka.schema_registry_password"),
        (
            {"kafka.schema_registry_user": "daemon", "kafka.schema_registry_password": SECRET},
            "needs kafka.schema_registry_url",
        ),
        (
            {
                "kafka.schema_registry_url": f"https://u:{SECRET}@registry",
                "kafka.schema_registry_user": "daemon",
                "kafka.schema_registry_password": SECRET,
            },
            "names a user",
        ),
        ({"kafka.schema_registry_ca_file": "PEM"}, "begins with https://"),
    ],
)
def test_what_does_not_fit_together_is_refused(pem: str, settings, words: str) -> None:
    assert words in refusal({name: pem if value == "PEM" else value for name, value in settings.items()})


class TestSecretsInFiles:
    @pytest.mark.parametrize("text", [SECRET, f"{SECRET}\n", f"{SECRET}\r\n"])
    def test_a_file_gives_a_secret(self, monkeypatch: pytest.MonkeyPatch, text) -> None:
        Path("secret").write_text(text, encoding="utf-8", newline="")
        monkeypatch.setenv("STREAM_ASSOC_REDIS__PASSWORD_FILE", "secret")
        password = load_settings().redis.password
        assert password is not None
        assert password.get_secret_value() == SECRET

    def test_a_file_gives_a_whole_url(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Path("secret").write_text(f"postgresql://u:{SECRET}@db/apdb", encoding="utf-8")
        monkeypatch.setenv("STREAM_ASSOC_APDB__URL_FILE", "secret")
        assert str(load_settings().apdb.url) == "postgresql://u:***@db/apdb"

    def test_a_variable_and_a_file_are_one_too_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Path("secret").write_text(SECRET, encoding="utf-8")
        monkeypatch.setenv("STREAM_ASSOC_REDIS__PASSWORD_FILE", "secret")
        monkeypatch.setenv("STREAM_ASSOC_REDIS__PASSWORD", SECRET)
        assert "STREAM_ASSOC_REDIS__PASSWORD_FILE are both set" in refusal({})

    def test_a_file_that_cannot_be_read_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("STREAM_ASSOC_REDIS__PASSWORD_FILE", "nowhere")
        assert refusal({}) == (
            "STREAM_ASSOC_REDIS__PASSWORD_FILE: the secret in nowhere cannot be read: No such file or directory"
        )

    def test_a_file_that_is_no_text_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Path("secret").write_bytes(b"\xff\xfe")
        monkeypatch.setenv("STREAM_ASSOC_REDIS__PASSWORD_FILE", "secret")
        assert "it is not UTF-8 text" in refusal({})

    def test_a_wrong_value_names_the_variable_of_the_file(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Path("secret").write_text(f"mysql://u:{SECRET}@db", encoding="utf-8")
        monkeypatch.setenv("STREAM_ASSOC_APDB__URL_FILE", "secret")
        assert "STREAM_ASSOC_APDB__URL_FILE" in refusal({})

    def test_only_secrets_may_be_in_files(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("STREAM_ASSOC_KAFKA__GROUP_ID_FILE", "secret")
        assert "did you mean STREAM_ASSOC_KAFKA__GROUP_ID?" in refusal({})
