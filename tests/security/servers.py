"""Servers that ask who is there, and speak TLS only."""

import contextlib
import os
import selectors
import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import psycopg
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from stream_assoc.tools.embedded.kafka import EmbeddedKafka, free_ports
from stream_assoc.tools.embedded.postgresql import SYSTEM_FOLDER, _unprivileged_user
from stream_assoc.tools.embedded.process import ServerProcess
from tests.manifests import AclRules
from tests.parts import ENCRYPTION
from tests.security.certificates import Authority, Certificate
from tests.services import ServiceUnavailableError, kafka_jars

HOST = "localhost"
ANSWER_SECONDS = 30


class SecuredKafka(EmbeddedKafka):
    """A broker with a listener for its administrator, one for SCRAM users and one for clients with certificates.

    Nobody but the administrator may do anything that `allow` has not allowed.
    """

    def __init__(self, authority: Authority, server: Certificate) -> None:
        super().__init__(kafka_jars())
        self._sasl_port, self._ssl_port = free_ports(2)
        store = server.key.with_suffix(".store.pem")
        store.write_text(server.both)
        plain = f"127.0.0.1:{self._port}"
        self._extra_settings |= {
            "listeners": f"PLAINTEXT://{plain},CONTROLLER://127.0.0.1:{self._controller_port},"
            f"SASL_SSL://127.0.0.1:{self._sasl_port},SSL://127.0.0.1:{self._ssl_port}",
            "advertised.listeners": f"PLAINTEXT://{plain},SASL_SSL://{self.sasl_ssl},SSL://{self.ssl}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(store),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(authority.file),
            "listener.name.ssl.ssl.client.auth": "required",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }

    @property
    def sasl_ssl(self) -> str:
        """Where users with a password connect."""
        return f"{HOST}:{self._sasl_port}"

    @property
    def ssl(self) -> str:
        """Where clients with a certificate connect."""
        return f"{HOST}:{self._ssl_port}"

    def add_user(self, name: str, password: str) -> None:
        """Make a SCRAM user, who may do nothing yet."""
        credential = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        change = UserScramCredentialUpsertion(name, credential, password=password.encode())
        administrator = self._administrator()
        _wait_for(administrator.alter_user_scram_credentials([change]))

    def allow(self, principal: str, rules: AclRules) -> None:
        """Allow operations on resources."""
        bindings = [
            AclBinding(
                ResourceType[kind],
                name,
                ResourcePatternType[pattern],
                f"User:{principal}",
                "*",
                AclOperation[operation],
                AclPermissionType.ALLOW,
            )
            for (kind, name, pattern), operations in rules.items()
            for operation in operations
        ]
        administrator = self._administrator()
        _wait_for(administrator.create_acls(bindings))

    def _administrator(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.bootstrap_servers})


def _wait_for(futures: Mapping[Any, Future[None]]) -> None:
    for future in futures.values():
        future.result(ANSWER_SECONDS)


class SecuredPostgresql:
    """PostgreSQL on TCP that takes encrypted connections with a password, and no others.

    Its superuser comes over a Unix socket.
    """

    def __init__(self, folder: Path, server: Certificate) -> None:
        self._programs = _programs_with_tls()
        self._user = _unprivileged_user() if os.getuid() == 0 else None
        self._folder, self._data = folder, folder / "data"
        (self.port,) = free_ports(1)
        self._server = server
        self._process: ServerProcess | None = None

    @property
    def admin_url(self) -> str:
        """Where the superuser connects."""
        return f"postgresql://postgres@/postgres?host={self._folder}&port={self.port}"

    def url(self, user: str, database: str = "postgres") -> str:
        """Where a user connects, without a password."""
        return f"postgresql://{user}@{HOST}:{self.port}/{database}"

    def __enter__(self) -> "SecuredPostgresql":
        self._folder.mkdir()
        self._owned(self._folder)
        initdb = [str(self._programs / "initdb"), "-D", str(self._data), "-U", "postgres", "--no-sync", "-A", "trust"]
        user, group = (None, None) if self._user is None else (self._user.pw_uid, self._user.pw_gid)
        subprocess.run(initdb, check=True, capture_output=True, cwd=self._folder, user=user, group=group)
        (self._data / "pg_hba.conf").write_text(
            "local all postgres trust\n"
            "hostssl all all 127.0.0.1/32 scram-sha-256\n"
            "hostssl all all ::1/128 scram-sha-256\n"
        )
        # PostgreSQL insists that nobody else can read the key.
        key = shutil.copy(self._server.key, self._folder / "server.key")
        certificate = shutil.copy(self._server.certificate, self._folder / "server.pem")
        Path(key).chmod(0o600)
        for path in (key, certificate):
            self._owned(Path(path))
        options = {
            "listen_addresses": HOST,
            "port": self.port,
            "unix_socket_directories": self._folder,
            "ssl": "on",
            "ssl_cert_file": certificate,
            "ssl_key_file": key,
            "password_encryption": "scram-sha-256",
            "fsync": "off",
        }
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        self._process = ServerProcess(
            [str(self._programs / "postgres"), "-D", str(self._data), *words],
            self._folder / "log",
            user=self._user,
        )
        self._process.start(self._is_ready, ANSWER_SECONDS)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process is not None:
            self._process.stop()

    def run(self, *statements: str, database: str = "postgres") -> None:
        """Run statements as the superuser."""
        url = self.admin_url.replace("/postgres?", f"/{database}?")
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def _owned(self, path: Path) -> None:
        if self._user is not None:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def _is_ready(self) -> bool:
        try:
            psycopg.connect(self.admin_url).close()
        except psycopg.OperationalError:
            return False
        return True


def _programs_with_tls() -> Path:
    """Return the folder of a PostgreSQL with TLS; the wheel's has none."""
    for programs in sorted(SYSTEM_FOLDER.glob("*/bin"), reverse=True):
        if (programs / "initdb").exists():
            return programs
    raise ServiceUnavailableError(ENCRYPTION.reason)


_TLS_HANDSHAKE = b"\x16"


@contextlib.contextmanager
def tls_front(
    server: Certificate, authority: Authority, socket_path: str, *, takes_plain_text: bool = False
) -> Iterator[int]:
    """Yield a port where a server on a Unix socket speaks TLS; the wheel's Valkey does not by itself.

    It asks clients for a certificate of the authority. Those that speak plain text it may take as they are.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.file)
    context.load_cert_chain(server.certificate, server.key)
    context.verify_mode = ssl.CERT_REQUIRED

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            if takes_plain_text and self.request.recv(1, socket.MSG_PEEK) != _TLS_HANDSHAKE:
                with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as inside:
                    inside.connect(socket_path)
                    _pass_on(self.request, inside)
                return
            # A client that speaks no TLS, or trusts another authority, is the test's business.
            with (
                contextlib.suppress(OSError),
                context.wrap_socket(self.request, server_side=True) as outside,
                socket.socket(socket.AF_UNIX) as inside,
            ):
                inside.connect(socket_path)
                _pass_on(outside, inside)

    class Front(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Front(("127.0.0.1", 0), Handler) as front:
        thread = threading.Thread(target=front.serve_forever)
        thread.start()
        try:
            yield front.server_address[1]
        finally:
            front.shutdown()
            thread.join()


def _pass_on(outside: socket.socket, inside: socket.socket) -> None:
    """Carry bytes both ways until one end closes."""
    with selectors.DefaultSelector() as selector:
        selector.register(outside, selectors.EVENT_READ, inside)
        selector.register(inside, selectors.EVENT_READ, outside)
        while True:
            for key, _ in selector.select():
                assert isinstance(key.fileobj, socket.socket)
                data = key.fileobj.recv(2**16)
                # What TLS has decrypted already, the selector does not see.
                while key.fileobj is outside and isinstance(outside, ssl.SSLSocket) and outside.pending():
                    data += outside.recv(2**16)
                if not data:
                    return
                key.data.sendall(data)
