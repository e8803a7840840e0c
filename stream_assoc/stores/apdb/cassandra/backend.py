"""Apache Cassandra as a backend: URLs. The driver is imported by what they open, and not before."""

import importlib.util
import re
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from stream_assoc.stores.apdb.backend import Administration, OpenApdb
from stream_assoc.stores.apdb.backups import ApdbBackups
from stream_assoc.stores.apdb.cassandra.encryption import PARAMETERS, Encryption
from stream_assoc.stores.apdb.copying import CopySource, CopyStep, OpenSource
from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE, Patience
from stream_assoc.stores.apdb.reading.inspection import ApdbInspection
from stream_assoc.stores.apdb.reading.port import ApdbReader
from stream_assoc.stores.apdb.replication import Replication
from stream_assoc.stores.apdb.ring import ApdbRing

if TYPE_CHECKING:
    from lsst.dax.apdb import ApdbConfig

    from stream_assoc.stores.apdb.cassandra.connection import Connection

DEFAULT_PORT: Final = 9042
_GREATEST_PORT: Final = 65535

_HOST: Final = re.compile(r"(?P<name>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?")
_KEYSPACE: Final = re.compile(r"(?!system(_|$))[A-Za-z][A-Za-z0-9_]{0,47}")


@dataclass(frozen=True, slots=True)
class CassandraUrl:
    """`ApdbUrl` of a keyspace on a ring of Cassandra nodes.

    Attributes
    ----------
    hosts : `tuple` [`str`, ...]
        Some nodes of the ring, as names or addresses.
    keyspace : `str`
        Holds the tables.
    port : `int`
        Where all nodes listen to clients.
    user, password : `str` or `None`
        What the nodes ask for; shown in no message.
    encryption : `Encryption` or `None`
        `None` for connections in plain text.
    """

    hosts: tuple[str, ...]
    keyspace: str
    port: int = DEFAULT_PORT
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    encryption: Encryption | None = field(default=None, repr=False)

    def connect(self, patience: Patience, keyspace: str | None = None) -> "Connection":
        """Return a connection to this keyspace, or to another one of the same ring; close it after use.

        Raises
        ------
        ApdbConfigurationError
            If the ring refuses the user, or certificates cannot be used.
        ApdbSchemaError
            If there is no such keyspace.
        ApdbUnavailableError
            If no node answers.
        """
        from stream_assoc.stores.apdb.cassandra.connection import Connection

        chosen = self.keyspace if keyspace is None else keyspace
        encryption = None if self.encryption is None else self.encryption.context()
        login = {"user": self.user, "password": self.password}
        return Connection(self.hosts, chosen, patience, port=self.port, encryption=encryption, **login)

    def open(
        self, *, tile_level: int, flag_columns: Sequence[str], patience: Patience, replication: Replication
    ) -> OpenApdb:
        """See `ApdbUrl.open`."""
        from stream_assoc.stores.apdb.cassandra.apdb import CassandraApdb

        return CassandraApdb(
            self, tile_level=tile_level, flag_columns=flag_columns, patience=patience, replication=replication
        )

    def open_reader(self, patience: Patience, *, any_version: bool) -> ApdbReader:
        """See `ApdbUrl.open_reader`."""
        from stream_assoc.stores.apdb.cassandra.reading import CassandraReader

        return CassandraReader(self, patience, any_version=any_version)

    def inspection(
        self, patience: Patience, *, flag_columns: Sequence[str]
    ) -> AbstractContextManager[ApdbInspection]:
        """See `ApdbUrl.inspection`."""
        from stream_assoc.stores.apdb.cassandra.inspection import inspected

        return inspected(self, patience, flag_columns)

    def copy_source(self, patience: Patience) -> AbstractContextManager[CopySource]:
        """See `ApdbUrl.copy_source`."""
        raise ApdbConfigurationError("an APDB on Cassandra is not copied: name one in SQLite or PostgreSQL")

    def copy_from(
        self, open_source: OpenSource, patience: Patience, tell: Callable[[str], None]
    ) -> Iterator[CopyStep]:
        """See `ApdbUrl.copy_from`."""
        from stream_assoc.stores.apdb.cassandra.copying.copy import copied

        return copied(self, open_source, patience, tell)

    def administration(self) -> Administration:
        """See `ApdbUrl.administration`."""
        from stream_assoc.stores.apdb.cassandra.administration import CassandraAdministration

        return CassandraAdministration(self)

    def server(self, patience: Patience) -> None:
        """See `ApdbUrl.server`: it is about PostgreSQL."""
        return None

    def backups(self, patience: Patience) -> ApdbBackups:
        """See `ApdbUrl.backups`."""
        from stream_assoc.stores.apdb.cassandra.backups import CassandraBackups

        return CassandraBackups(self, patience)

    def ring(self, patience: Patience) -> ApdbRing:
        """See `ApdbUrl.ring`."""
        from stream_assoc.stores.apdb.cassandra.ring import read_ring

        return read_ring(self, patience)

    def dax_config(self) -> "ApdbConfig":
        """See `ApdbUrl.dax_config`: with what was fixed when the APDB was created, as its metadata says.

        It never holds the password: dax_apdb looks for that in ``db-auth.yaml``.
        """
        from lsst.dax.apdb.apdbConfigFreezer import ApdbConfigFreezer
        from lsst.dax.apdb.cassandra.config import ApdbCassandraConfig, ApdbCassandraConnectionConfig
        from lsst.dax.apdb.cassandra.connectionContext import ConnectionContext

        from stream_assoc.stores.apdb.cassandra.compatibility import CONFIGURATION_KEY, read_notes

        encryption = {} if self.encryption is None else {"ssl_options": self.encryption.for_dax()}
        connection_config = ApdbCassandraConnectionConfig(
            port=self.port, username=self.user or "", extra_parameters=encryption
        )
        config = ApdbCassandraConfig(
            contact_points=self.hosts, keyspace=self.keyspace, connection_config=connection_config
        )
        with closing(self.connect(DEFAULT_PATIENCE)) as connection:
            frozen = read_notes(connection).get(CONFIGURATION_KEY, "{}")
        return ApdbConfigFreezer[ApdbCassandraConfig](ConnectionContext.frozen_parameters).update(config, frozen)


class CassandraBackend:
    """`Backend` of Apache Cassandra."""

    scheme = "cassandra"
    form = "cassandra://host1,host2/keyspace"

    def parse(self, rest: str, namespace: str | None) -> CassandraUrl:
        """See `Backend.parse`."""
        if namespace is not None:
            raise ApdbConfigurationError(
                "the setting apdb.namespace is for PostgreSQL; on Cassandra apdb.url names the keyspace"
            )
        if importlib.util.find_spec("cassandra") is None:
            raise ApdbConfigurationError(
                "the setting apdb.url names Cassandra, whose driver is not installed: pip install "
                '"stream_assoc[cassandra]"'
            )
        named, _, parameters = rest.partition("?")
        place, _, keyspace = named.partition("/")
        login, _, nodes = place.rpartition("@")
        if _KEYSPACE.fullmatch(keyspace) is None:
            raise ApdbConfigurationError(
                f"the setting apdb.url names no keyspace: write {self.form}; a keyspace is a letter and up to 47 "
                "letters, digits and underscores, and not one of Cassandra's own (system...)"
            )
        hosts, port = _nodes_of(nodes, self.form)
        known = _parameters_of(parameters)
        user, password = _login_of(login, known.get("password"))
        return CassandraUrl(hosts, keyspace, port, user, password, Encryption.of(known))


CASSANDRA: Final = CassandraBackend()


def _nodes_of(text: str, form: str) -> tuple[tuple[str, ...], int]:
    """Return the nodes that a URL names, and the one port of all."""
    matches = [_HOST.fullmatch(host) for host in text.split(",")]
    known = [match for match in matches if match is not None]
    ports = {int(match["port"] or DEFAULT_PORT) for match in known}
    if len(known) < len(matches) or len(ports) > 1 or not all(1 <= port <= _GREATEST_PORT for port in ports):
        raise ApdbConfigurationError(
            f"the setting apdb.url names no nodes that can be read: write {form}, a port after each host "
            "(host1:9043,host2:9043) where it is not 9042 and the same for all, and user and password, "
            "percent-encoded, before an @"
        )
    return tuple(match["name"].strip("[]") for match in known), ports.pop()


def _parameters_of(text: str) -> dict[str, str]:
    """Return the parameters of a URL, as settings write them there, percent-decoded."""
    pairs = [pair.partition("=") for pair in text.split("&")] if text else []
    names = [name for name, _, _ in pairs]
    if (
        not {*names} <= {"password", *PARAMETERS}
        or len({*names}) < len(names)
        or any("=" in one for *_, one in pairs)
    ):
        raise _unreadable_login()
    return {name: urllib.parse.unquote(value) for name, _, value in pairs}


def _login_of(text: str, password: str | None) -> tuple[str | None, str | None]:
    """Return user and password; neither where the URL has none. The password may be a parameter, decoded already."""
    if not text and password is None:
        return None, None
    user, _, beside = text.partition(":")
    if not user or bool(beside) == bool(password) or set(beside) & {"@", ":"}:
        raise _unreadable_login()
    return urllib.parse.unquote(user), password or urllib.parse.unquote(beside)


def _unreadable_login() -> ApdbConfigurationError:
    return ApdbConfigurationError(
        "the setting apdb.url: write user and password as user:password@host, both percent-encoded, or leave "
        "both out, and no parameters but those of TLS; the password may be in apdb.password instead"
    )
