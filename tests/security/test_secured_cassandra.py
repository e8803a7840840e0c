"""A ring that asks for TLS and a password: an APDB is made and written there, and whoever is refused is told why."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import pytest
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import Cluster
from lsst.dax.apdb import Apdb

from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.settings import Settings
from stream_assoc.stores.apdb.backends import parse_url
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.cassandra.creation import lent_credentials
from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError
from stream_assoc.stores.apdb.notes import OUR_VERSION_KEY
from stream_assoc.stores.apdb.patience import Patience
from stream_assoc.testing.case import ApdbCase
from stream_assoc.testing.rows import FIRST, new_objects, store
from tests import services
from tests.cassandra.prepared import ONE_NODE
from tests.cassandra.ring import Ring
from tests.configured import configured
from tests.security.certificates import Authority, Certificate
from tests.security.conftest import PASSWORD

pytestmark = pytest.mark.integration

USER: Final = "stream assoc"
PEM: Final = {"class_name": "org.apache.cassandra.security.PEMBasedSslContextFactory"}


@dataclass(frozen=True, slots=True)
class SecuredRing:
    """A node, the authority of its certificate, and a certificate for a client."""

    ring: Ring
    authority: Authority
    client: Certificate

    def settings(self, **apdb: Any) -> Settings:
        return configured(
            apdb={
                "url": f"cassandra://{USER.replace(' ', '%20')}@{self.ring.addresses[0]}/secured",
                "password": PASSWORD,
                "ssl_mode": "verify-full",
                "ssl_ca_file": self.authority.file,
                "ssl_certificate_file": self.client.certificate,
                "ssl_key_file": self.client.key,
                **apdb,
            }
        )

    def url(self, **apdb: Any) -> CassandraUrl:
        url = parse_url(self.settings(**apdb).apdb.connection_url())
        assert isinstance(url, CassandraUrl)
        return url


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredRing]:
    folder = tmp_path_factory.mktemp("secured")
    try:
        authority = Authority.in_folder(folder / "authority")
        client = authority.issue("client")
        ring = Ring(services.cassandra_jars(), 1, secured=lambda address: security(address, authority, client))
    except services.ServiceUnavailableError as error:
        pytest.skip(str(error))
    with ring:
        address = ring.addresses[0]
        _, options = security(address, authority, client)
        with Cluster([address], protocol_version=5, **options) as cluster:
            session = cluster.connect()
            session.execute(
                "CREATE ROLE %s WITH PASSWORD = %s AND LOGIN = true AND SUPERUSER = true", [USER, PASSWORD]
            )
        yield SecuredRing(ring, authority, client)


def security(
    address: str, authority: Authority, client: Certificate
) -> tuple[Mapping[str, object], Mapping[str, object]]:
    """Return the settings of a node that lets nobody in without TLS, a certificate and a password; and a client's."""
    server = authority.issue(f"node-{address}", address)
    store_file = server.key.with_suffix(".both")
    store_file.write_text(server.both)
    encryption = {"enabled": True, "optional": False, "require_client_auth": True, "ssl_context_factory": PEM}
    files = {"keystore": str(store_file), "truststore": str(authority.file)}
    context = ssl.create_default_context(cafile=authority.file)
    context.load_cert_chain(client.certificate, client.key)
    return (
        {"client_encryption_options": encryption | files, "authenticator": "PasswordAuthenticator"},
        {"ssl_context": context, "auth_provider": PlainTextAuthProvider("cassandra", "cassandra")},
    )


def test_an_apdb_is_made_and_written_over_tls_with_a_password(secured: SecuredRing) -> None:
    url = secured.url()
    url.administration().init(drop=False, replication=True, tile_level=10, cell_level=8, cluster=ONE_NODE)
    with closing(ApdbCase.open(url)) as apdb:
        store(apdb, new_objects(FIRST, [1]))
        assert apdb.contains(FIRST)
    # What programs of dax_apdb are configured with, and where they look for passwords.
    with lent_credentials(url):
        assert Apdb.from_config(url.dax_config()).metadata.get(OUR_VERSION_KEY) is not None


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"password": "wrong"}, ApdbConfigurationError, r"refuses the user of apdb\.url"),
        ({"ssl_ca_file": "CLIENT"}, ApdbUnavailableError, "certificate verify failed"),
        ({"ssl_key_file": "CA"}, ApdbConfigurationError, r"apdb\.ssl_key_file, cannot be used"),
    ],
)
def test_who_is_refused_is_told_why(
    secured: SecuredRing, changes: dict[str, str], error: type[Exception], words: str
) -> None:
    files = {"CLIENT": secured.client.certificate, "CA": secured.authority.file}
    url = secured.url(**{name: files.get(value, value) for name, value in changes.items()})
    with pytest.raises(error, match=words) as caught:
        url.connect(Patience(connect_seconds=10), "system")
    assert PASSWORD not in str(caught.value)


def test_a_certificate_is_for_its_node(secured: SecuredRing) -> None:
    """The context checks the name; of another address the node's certificate is not."""
    encryption = secured.url().encryption
    assert encryption is not None
    assert encryption.context().check_hostname
    by_authority = secured.url(ssl_mode="verify-ca").encryption
    assert by_authority is not None
    assert not by_authority.context().check_hostname
    assert by_authority.context().verify_mode is ssl.CERT_REQUIRED
