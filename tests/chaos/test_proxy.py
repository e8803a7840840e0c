"""The proxy does to connections what the tests of failures say it does."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.chaos.proxy import CuttableProxy

SECONDS = 10.0
"""Longest wait for something that must come."""

A_WHILE = 0.2
"""How long to look for something that must not come."""


@pytest.fixture
def echo_port() -> Iterator[int]:
    """Port of a server that sends back what it hears."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_echo_all, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(echo_port: int) -> Iterator[CuttableProxy]:
    with CuttableProxy("127.0.0.1", echo_port) as proxy:
        yield proxy


def test_it_passes_bytes_and_the_end_on(proxy: CuttableProxy) -> None:
    with connect(proxy) as client:
        assert exchange(client, b"hello") == b"hello"
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""


def is_cut(proxy: CuttableProxy) -> bool:
    return proxy.is_cut


def test_nothing_passes_a_cut_and_the_connection_goes_on_after_it(proxy: CuttableProxy) -> None:
    with connect(proxy) as client:
        exchange(client, b"before")
        proxy.cut()
        assert is_cut(proxy)
        client.sendall(b"during")
        assert is_silent(client)
        proxy.mend()
        assert not is_cut(proxy)
        assert client.recv(100) == b"during"


def test_a_dead_connection_never_hears_again_and_is_not_told(proxy: CuttableProxy) -> None:
    with connect(proxy) as old:
        exchange(old, b"before")
        proxy.cut()
        with connect(proxy) as opened_meanwhile:
            opened_meanwhile.sendall(b"during")
            proxy.mend(dead=True)
            old.sendall(b"after")
            assert is_silent(old)
            assert is_silent(opened_meanwhile)
        with connect(proxy) as new:
            assert exchange(new, b"new") == b"new"


def test_a_connection_opened_during_a_cut_leads_somewhere_after_it(proxy: CuttableProxy) -> None:
    proxy.cut()
    with connect(proxy) as client:
        client.sendall(b"during")
        assert is_silent(client)
        proxy.mend()
        assert client.recv(100) == b"during"


@pytest.mark.parametrize("delivered", [True, False])
def test_it_cuts_at_a_request(delivered: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SECONDS)
        with CuttableProxy(*listener.getsockname()) as proxy, connect(proxy) as client:
            server, _ = listener.accept()
            with closing(server):
                server.settimeout(SECONDS)
                proxy.cut_at(b"COMMIT", delivered=delivered)
                client.sendall(b"BEGIN")
                assert server.recv(100) == b"BEGIN"
                client.sendall(b"COMMIT")
                if delivered:
                    assert server.recv(100) == b"COMMIT"
                    server.sendall(b"done")
                    assert is_silent(client)
                else:
                    assert is_silent(server)
                assert is_cut(proxy)


def test_the_port_can_be_given(echo_port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with CuttableProxy("127.0.0.1", echo_port, port=port) as proxy, connect(proxy) as client:
        assert proxy.port == port
        assert exchange(client, b"hello") == b"hello"


def test_closing_it_ends_its_connections(echo_port: int) -> None:
    with CuttableProxy("127.0.0.1", echo_port) as proxy:
        client = connect(proxy)
        exchange(client, b"hello")
    with client:
        assert client.recv(1) == b""


def connect(proxy: CuttableProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=SECONDS)


def exchange(client: socket.socket, message: bytes) -> bytes:
    client.sendall(message)
    return client.recv(100)


def is_silent(one: socket.socket) -> bool:
    one.settimeout(A_WHILE)
    try:
        one.recv(1)
    except TimeoutError:
        return True
    finally:
        one.settimeout(SECONDS)
    return False


def _echo_all(listener: socket.socket) -> None:
    try:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_echo, args=(connection,), daemon=True).start()
    except OSError:
        return


def _echo(connection: socket.socket) -> None:
    with connection:
        while heard := connection.recv(100):
            connection.sendall(heard)
