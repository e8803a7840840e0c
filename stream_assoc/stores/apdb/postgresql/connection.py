"""Connections to PostgreSQL that notice when nobody is at the other end.

A network that breaks says nothing: both ends wait. Four things bound that.

* A call that hears nothing for `Patience.silence_seconds` fails, and so does
  a connecting that takes too long. This holds behind a proxy and with a hung
  server too, where the kernel sees nothing wrong.
* Both kernels probe an idle connection (keepalives) and give up one on which
  nothing is acknowledged, so that the session of a machine that vanished ends
  on the server, and with it its advisory locks, after a minute.
* The server ends a session that holds cells and asks for nothing (`locks`):
  kernels answer for a process that stands still.
* A process that comes back first ends those of its own sessions whose end it
  has not seen, and so does not wait for locks that it holds itself. Sessions
  bear its mark, a random word in their ``application_name``: one that a pooler
  has passed on to somebody else no longer does, and is left alone.
"""

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import psycopg
import psycopg.conninfo
from psycopg.abc import PQGen
from psycopg.waiting import Ready, Wait

from stream_assoc.exceptions import reason_of
from stream_assoc.pipeline.exceptions import ApdbError, ApdbUnavailableError
from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError, ApdbDamagedError, ApdbSchemaError
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE, Patience
from stream_assoc.stores.apdb.postgresql.poolers import check_backend, check_sessions_are_own

Result = TypeVar("Result")

_LOOK_EVERY_SECONDS: Final = 0.1
"""psycopg's own interval, at which it hands control back."""

_KEEPALIVES: Final = {"idle": 30, "interval": 10, "count": 3}
"""Seconds, seconds and probes: a minute in all."""

_NETWORK_SETTINGS: Final = {
    **{f"tcp_keepalives_{name}": str(value) for name, value in _KEEPALIVES.items()},
    "tcp_user_timeout": "60000",
}
"""The server's side of it, per session; without effect on a Unix socket."""

_DURABLE: Final = (
    "set_config('synchronous_commit', replace(current_setting('synchronous_commit'), 'off', 'on'), false)"
)
"""What was published must not be lost by the database: a commit waits at least for the server's own disk."""

PATIENCE_SETTING: Final = "stream_assoc.lock_timeout"
"""A setting of our own that keeps ``lock_timeout`` for a transaction that lowers it for a while."""

_GHOST_SECONDS: Final = 5
"""How long to wait for the end of a session that was told to end."""

_REMEDIES: Final = {
    "53100": "its disk is full: free space there",
    "53200": "it is out of memory",
    "53300": "it has no free connection: raise its max_connections, or end other sessions",
    "40P01": "another program changes the same rows, and both waited for each other",
    "55P03": "cells were held by another session for longer than apdb.lock_timeout_seconds, or another program "
    "changes rows of them",
}
"""What a server says by SQLSTATE, and what to do about it, where its own words do not tell."""

_USER: Final = "check the user in apdb.url and apdb.password"
_TLS: Final = "check apdb.ssl_mode: verify-full encrypts, disable does not"

_REFUSALS: Final = {
    "password authentication failed": _USER,
    "no password supplied": _USER,
    "does not exist": "check the user and the database in apdb.url, and the files of apdb.ssl_*",
    "certificate verify failed": "set apdb.ssl_ca_file to the authority that signed the server's certificate",
    "does not match host name": "the host in apdb.url must be one that the server's certificate was made for",
    "no pg_hba.conf entry": f"the server's pg_hba.conf does not let this user in from here; {_TLS}",
    "pg_hba.conf rejects": f"the server's pg_hba.conf does not let this user in from here; {_TLS}",
    "server does not support SSL": f"turn ssl on in the server; {_TLS}",
    "requires a valid client certificate": "set apdb.ssl_certificate_file and apdb.ssl_key_file",
    "private key file": "check apdb.ssl_key_file: it must belong to this user, and nobody else may read it",
    "could not read root certificate": "check apdb.ssl_ca_file",
    "could not read certificate": "check apdb.ssl_certificate_file",
}
"""What to do about a refused connection, by words of its message: libpq passes no SQLSTATE on for one.

The words are the server's and libpq's English ones. In another language a
refusal is taken for an outage, which ends by `daemon.restart_budget`.
"""

_READ_ONLY: Final = "25006"
_STANDBY: Final = "it is a standby: apdb.url must lead to the primary"
_DEFAULT_READ_ONLY: Final = (
    "default_transaction_read_only is on for the server, the database or this user: turn it off (hosted servers turn "
    "it on when their disk is full)"
)

_DAMAGE: Final = ("XX001", "XX002")
"""SQLSTATEs of a damaged table and a damaged index."""


_MARK_BYTES: Final = 8
_MAX_NAME_BYTES: Final = 63 - 1 - 2 * _MARK_BYTES
"""What PostgreSQL leaves of an ``application_name``, without a space and the mark."""

_NAME: Final = "stream_assoc"


@dataclass(frozen=True, slots=True)
class ServerSession:
    """The server's side of a connection; the start tells it from a later one with the same number."""

    pid: int
    started: str


class BoundedConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that is given up when the server is silent for too long."""

    silence_seconds: float = DEFAULT_PATIENCE.silence_seconds
    session: ServerSession | None = None

    def wait(
        self,
        gen: PQGen[Result],
        interval: float = _LOOK_EVERY_SECONDS,
        *rest: Any,  # noqa: ANN401 - psycopg's own, which differ between its versions
        **named: Any,  # noqa: ANN401 - the same
    ) -> Result:
        """Run what psycopg wants to run on this connection.

        Raises
        ------
        psycopg.OperationalError
            If nothing came for `silence_seconds`. The connection is closed
            then; what the server made of the last command is unknown.
        """
        return super().wait(self._while_it_answers(gen), interval, *rest, **named)

    def check_backend(self, pid: int) -> None:
        """Raise `ApdbConfigurationError` unless this is the server process that the connection was made to."""
        if self.session is not None:
            check_backend(self.session.pid, pid)

    def _while_it_answers(self, gen: PQGen[Result]) -> PQGen[Result]:
        try:
            wanted = next(gen)
            deadline = time.monotonic() + self.silence_seconds
            while True:
                # psycopg flushes once and then only reads. A statement that is larger than the socket's buffers would
                # stay half sent, with the server waiting for the rest of it.
                is_unsent = wanted == Wait.R and bool(self.pgconn.flush())
                ready = yield Wait.RW if is_unsent else wanted
                if ready:
                    deadline = time.monotonic() + self.silence_seconds
                elif time.monotonic() > deadline:
                    self.close()
                    raise psycopg.OperationalError(
                        f"no answer within {self.silence_seconds:g} s "
                        "(apdb.timeout_seconds + apdb.lock_timeout_seconds)"
                    )
                if not is_unsent or ready & Ready.R:
                    wanted = gen.send(ready & wanted)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


class Connector:
    """Opens connections of one process to one database, and ends the sessions it has lost.

    Parameters
    ----------
    conninfo : `str`
        libpq connection string or URL; what it sets is not overridden.
    settings : mapping
        Server settings of each session.
    patience : `Patience`
        How long to wait.
    """

    def __init__(self, conninfo: str, settings: Mapping[str, str], patience: Patience) -> None:
        self._conninfo = conninfo
        lock_timeout = _milliseconds(patience.lock_seconds)
        self._settings = {
            **settings,
            **_NETWORK_SETTINGS,
            "lock_timeout": lock_timeout,
            PATIENCE_SETTING: lock_timeout,
        }
        self._patience = patience
        self._mark = secrets.token_hex(_MARK_BYTES)
        self._is_direct = False
        self._lost: dict[ServerSession, None] = {}

    def connect(self) -> BoundedConnection:
        """Return a new connection in autocommit mode, its session set up.

        Raises
        ------
        ApdbConfigurationError
            If a pooler between shares sessions among its clients.
        ApdbUnavailableError
            If the server cannot be reached, or a lost session does not end.
        """
        with translated():
            connection = self._open(self._patience.silence_seconds)
            try:
                self._check_sessions(connection)
                connection.session = self._set_up(connection)
                self._end_lost_sessions(connection)
            except BaseException:
                connection.close()
                raise
        return connection

    def lose(self, connection: BoundedConnection) -> None:
        """Remember that a connection was given up without knowing that its session has ended."""
        if connection.session is not None:
            self._lost[connection.session] = None

    def _open(self, silence_seconds: float) -> BoundedConnection:
        connection = BoundedConnection.connect(self._parameters(), autocommit=True)
        connection.silence_seconds = silence_seconds
        return connection

    def _check_sessions(self, connection: BoundedConnection) -> None:
        """Refuse a pooler that shares sessions, the first time, before a setting of ours is left in one of them."""
        if not self._is_direct:
            with closing(self._open(self._patience.connect_seconds)) as other:
                check_sessions_are_own(connection, other)
            self._is_direct = True

    def _parameters(self) -> str:
        parameters = psycopg.conninfo.conninfo_to_dict(self._conninfo)
        defaults: dict[str, str | int] = {
            # libpq counts whole seconds, 2 at least.
            "connect_timeout": max(2, round(self._patience.connect_seconds)),
            "application_name": _NAME,
            "tcp_user_timeout": _milliseconds(self._patience.silence_seconds),
            **{f"keepalives_{name}": value for name, value in _KEEPALIVES.items()},
        }
        return psycopg.conninfo.make_conninfo("", **{**defaults, **parameters})

    def _set_up(self, connection: BoundedConnection) -> ServerSession:
        name = connection.info.get_parameters().get("application_name", _NAME)[:_MAX_NAME_BYTES]
        wanted = {**self._settings, "application_name": f"{name} {self._mark}"}
        settings = ", ".join([_DURABLE, *["set_config(%s, %s, false)"] * len(wanted)])
        values = [text for setting in wanted.items() for text in setting]
        # Not the number that the protocol tells: a proxy tells its own.
        statement = f"SELECT pid, backend_start::text, {settings} FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        (row,) = connection.execute(statement.encode(), values)
        return ServerSession(*row[:2])

    def _end_lost_sessions(self, connection: BoundedConnection) -> None:
        lost = list(self._lost)
        if not lost:
            return
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity "
            "JOIN unnest(%s::int[], %s::text[]) AS lost(pid, started) USING (pid) "
            "WHERE backend_start::text = started AND right(application_name, %s) = %s",
            (
                1000 * _GHOST_SECONDS,
                [one.pid for one in lost],
                [one.started for one in lost],
                len(self._mark),
                self._mark,
            ),
        )
        if not all(is_ended for (is_ended,) in ended):
            raise ApdbUnavailableError("a session of this process that was cut off does not end on the server")
        for session in lost:
            self._lost.pop(session, None)


@contextmanager
def translated(connection: "psycopg.Connection[Any] | None" = None) -> Iterator[None]:
    """Raise what PostgreSQL raises as what a caller can do about it; a connection tells more of why."""
    try:
        yield
    except psycopg.Error as error:
        raise translate(error, connection) from error


def translate(error: psycopg.Error, connection: "psycopg.Connection[Any] | None" = None) -> ApdbError:
    """Return a psycopg error as one of the kinds the daemon distinguishes.

    Parameters
    ----------
    error : `psycopg.Error`
    connection : `psycopg.Connection`, optional
        What it was raised on.

    Notes
    -----
    A violated constraint and a value that does not fit are the session's to
    judge: it knows the batch.
    """
    code = error.sqlstate or ""
    if code in _DAMAGE:
        return ApdbDamagedError(f"PostgreSQL finds the APDB damaged: {reason_of(error)}")
    if isinstance(error, psycopg.ProgrammingError):
        return ApdbSchemaError(
            f"the APDB does not have what this version expects, or not for this user: {reason_of(error)}"
        )
    if not code and (refused := _refusal_remedy(str(error))):
        return ApdbConfigurationError(f"PostgreSQL refuses apdb.url: {reason_of(error)}; {refused}")
    remedies = {**_REMEDIES, _READ_ONLY: _why_read_only(connection)}
    remedy = f"; {remedies[code]}" if code in remedies else ""
    return ApdbUnavailableError(f"PostgreSQL cannot be used now (apdb.url): {reason_of(error)}{remedy}")


def _why_read_only(connection: "psycopg.Connection[Any] | None") -> str:
    """Return what keeps a server from taking writes; one before version 14 does not tell which."""
    told = {
        name: None if connection is None or connection.closed else connection.info.parameter_status(name)
        for name in ("in_hot_standby", "default_transaction_read_only")
    }
    if told["in_hot_standby"] == "on":
        return _STANDBY
    if told["default_transaction_read_only"] == "on":
        return _DEFAULT_READ_ONLY
    return f"{_STANDBY}; or {_DEFAULT_READ_ONLY}"


def _milliseconds(seconds: float) -> str:
    return str(max(1, round(1000 * seconds)))


def _refusal_remedy(text: str) -> str | None:
    """Return what to do about a refused connection, `None` for an error of another kind."""
    return next((remedy for phrase, remedy in _REFUSALS.items() if phrase in text), None)
