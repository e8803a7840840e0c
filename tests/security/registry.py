"""A Schema Registry that speaks TLS only, and answers a user with a password."""

import hmac
import ssl
import threading
from base64 import b64encode
from types import TracebackType
from typing import Self

from tests.schema_registry import RegistryHandler, RegistryServer
from tests.security.certificates import Certificate


class SecuredRegistry(RegistryServer):
    """Serves within its block.

    Attributes
    ----------
    n_refused : `int`
        Requests without the right password.
    """

    daemon_threads = True

    def __init__(self, server: Certificate, user: str, password: str) -> None:
        super().__init__({})
        self.RequestHandlerClass = _Handler
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(server.certificate, server.key)
        # The thread of a connection makes its handshake, so that nobody else waits for it.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.expected = "Basic " + b64encode(f"{user}:{password}".encode()).decode()
        self.n_refused = 0
        self._thread = threading.Thread(target=self.serve_forever)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that does not trust the certificate is the test's business."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(RegistryHandler):
    server: SecuredRegistry

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        if hmac.compare_digest(self.headers.get("Authorization", ""), self.server.expected):
            return True
        self.server.n_refused += 1
        self.send_error(401)
        return False
