"""Servers behind a network that a test can cut."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from psycopg.conninfo import conninfo_to_dict

from tests.chaos.proxy import CuttableProxy


@dataclass(frozen=True, slots=True)
class Network:
    """What lies between clients and a server.

    Attributes
    ----------
    proxy : `CuttableProxy`
        What cuts it.
    url : `str`
        The server's URL through it.
    """

    proxy: CuttableProxy
    url: str


@contextmanager
def network_to_postgresql(url: str) -> Iterator[Network]:
    """Put a network before the PostgreSQL at a URL, be that TCP or a Unix socket."""
    parts = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    host, port = parts.get("host", "localhost"), parts.get("port", "5432")
    target = (f"{host}/.s.PGSQL.{port}", 0) if host.startswith("/") else (host, int(port))
    password = f":{quote(parts['password'])}" if "password" in parts else ""
    with CuttableProxy(*target) as proxy:
        place = f"{parts['user']}{password}@127.0.0.1:{proxy.port}"
        yield Network(proxy, f"postgresql://{place}/{parts['dbname']}")


@contextmanager
def network_to_valkey(url: str) -> Iterator[Network]:
    """Put a network before the Valkey at a URL, be that TCP or a Unix socket."""
    parts = urlsplit(url)
    target = (parts.path, 0) if parts.scheme == "unix" else (str(parts.hostname), parts.port or 6379)
    with CuttableProxy(*target) as proxy:
        yield Network(proxy, f"redis://127.0.0.1:{proxy.port}/0")
