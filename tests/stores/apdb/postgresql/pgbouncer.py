"""A real PgBouncer before the PostgreSQL of the tests."""

import os
import pwd
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
import psycopg.conninfo
import pytest

from stream_assoc.tools.embedded.kafka import free_ports
from stream_assoc.tools.embedded.process import ServerProcess
from tests.parts import POOLERS, SEARCHED

START_SECONDS = 20.0


class PgBouncer:
    """A PgBouncer before one database."""

    def __init__(self, process: ServerProcess, url: str) -> None:
        self._process = process
        self.url: Final = url

    def start(self) -> None:
        """Start it; again after `kill`, at the same place."""
        self._process.start(lambda: _answers(self.url), START_SECONDS)

    def kill(self) -> None:
        """End it at once, and with it all its sessions."""
        self._process.stop(stop_signal=signal.SIGKILL)


@contextmanager
def pgbouncer(url: str, pool_mode: str, pool_size: int = 5, round_robin: bool = False) -> Iterator[str]:
    """Yield the URL of this database behind a PgBouncer of its own."""
    with restartable_pgbouncer(url, pool_mode, pool_size, round_robin) as pooler:
        yield pooler.url


@contextmanager
def restartable_pgbouncer(
    url: str, pool_mode: str, pool_size: int = 5, round_robin: bool = False
) -> Iterator[PgBouncer]:
    """Yield a PgBouncer of its own before this database, which may be killed and started."""
    program = shutil.which("pgbouncer", path=SEARCHED)
    if program is None:
        pytest.skip(POOLERS.reason)
    parameters = psycopg.conninfo.conninfo_to_dict(url)
    database = parameters.pop("dbname")
    (port,) = free_ports(1)
    settings = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": pool_mode,
        "default_pool_size": pool_size,
        "server_round_robin": int(round_robin),
    }
    with tempfile.TemporaryDirectory(prefix="stream_assoc_pgbouncer_") as folder:
        configuration = Path(folder, "pgbouncer.ini")
        server = " ".join(f"{name}='{value}'" for name, value in parameters.items())
        lines = ["[databases]", f"{database} = {server}", "[pgbouncer]"]
        lines += [f"{name} = {value}" for name, value in settings.items()]
        configuration.write_text("\n".join(lines) + "\n")
        # It does not run as root, and must reach a socket that only PostgreSQL's user does.
        user = pwd.getpwnam("postgres") if os.getuid() == 0 else None
        if user is not None:
            shutil.chown(folder, user.pw_uid)
            shutil.chown(configuration, user.pw_uid)
        process = ServerProcess([program, str(configuration)], Path(folder, "log"), user=user)
        pooled = f"postgresql://{parameters.get('user', 'postgres')}@127.0.0.1:{port}/{database}"
        pooler = PgBouncer(process, pooled)
        pooler.start()
        try:
            yield pooler
        finally:
            process.stop()


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
