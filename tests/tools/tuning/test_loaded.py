"""A real server of each version at hand starts with what is advised, and takes every setting."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from documentation import postgresql as deployed
from stream_assoc.tools.embedded.postgresql import SYSTEM_FOLDER, EmbeddedPostgresql, _wheel_programs
from stream_assoc.tools.tuning.advice import Advised, advise
from stream_assoc.tools.tuning.machine import GIB, MIB, Build, Disk, Load, Machine
from stream_assoc.tools.tuning.rendering import Form, render
from tests.documentation.console import REPOSITORY

pytestmark = pytest.mark.integration

PROGRAMS = [*_wheel_programs(), *sorted(SYSTEM_FOLDER.glob("*/bin"))]
STARTED = [Machine(512 * MIB, 1, Disk.HDD), Machine(GIB, 1), Machine(8 * GIB, 2)]
"""Of which the shared buffers fit into any machine that tests run on."""

LARGE = [Machine(64 * GIB, 16), Machine(1024 * GIB, 256, Disk.HDD)]


@pytest.fixture(scope="module", params=PROGRAMS, ids=lambda path: path.parts[-2])
def server(request: pytest.FixtureRequest) -> Iterator[EmbeddedPostgresql]:
    with EmbeddedPostgresql(programs=request.param, settings={}) as made:
        yield made


def build_of(server: EmbeddedPostgresql) -> Build:
    with psycopg.connect(server.url) as connection:
        ((choices,),) = connection.execute("SELECT enumvals FROM pg_settings WHERE name = 'wal_compression'")
        return Build(connection.info.server_version // 10_000, has_lz4="lz4" in choices)


def data_of(server: EmbeddedPostgresql) -> Path:
    with psycopg.connect(server.url) as connection:
        return Path(connection.execute("SHOW data_directory").fetchone()[0])  # type: ignore[index]


def write(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o644)


def expect_in_force(server: EmbeddedPostgresql, settings: tuple[Advised, ...]) -> None:
    with psycopg.connect(server.url) as connection:
        faults = connection.execute(
            "SELECT name, error FROM pg_file_settings WHERE (error IS NOT NULL OR NOT applied) "
            "AND sourcefile LIKE '%stream-assoc.conf'"
        ).fetchall()
        in_force: dict[str, str] = dict(
            connection.execute("SELECT name, current_setting(name) FROM pg_settings").fetchall()
        )
    assert faults == []
    wanted = {one.name: one.value for one in settings}
    assert {name: in_force[name] for name in wanted} == wanted


@pytest.mark.parametrize("machine", STARTED, ids=lambda machine: f"{machine.memory // MIB}MiB")
def test_a_server_starts_with_it(server: EmbeddedPostgresql, machine: Machine) -> None:
    settings = advise(machine, Load(), build_of(server))
    data = data_of(server)
    write(data / "stream-assoc.conf", render(settings, Form.CONF, ["The heading"]))
    main = data / "postgresql.conf"
    before = main.read_text()
    write(main, f"{before}\ninclude 'stream-assoc.conf'\n")
    try:
        server.stop()
        server.start()
        expect_in_force(server, settings)
    finally:
        write(main, before)


@pytest.mark.parametrize("machine", [*STARTED, *LARGE], ids=lambda machine: f"{machine.memory // MIB}MiB")
def test_a_server_takes_its_statements(server: EmbeddedPostgresql, machine: Machine) -> None:
    settings = advise(machine, Load(14, 5000) if machine.memory > GIB else Load(), build_of(server))
    with psycopg.connect(server.url, autocommit=True) as connection:
        try:
            for line in render(settings, Form.SQL, ["The heading"]).splitlines():
                connection.execute(line.encode())
            written = connection.execute(
                "SELECT name, setting FROM pg_file_settings WHERE sourcefile LIKE '%postgresql.auto.conf'"
            ).fetchall()
        finally:
            connection.execute("ALTER SYSTEM RESET ALL")
    assert dict(written) == {one.name: one.value for one in settings}


def test_a_server_takes_its_arguments(server: EmbeddedPostgresql) -> None:
    settings = advise(Machine(GIB, 1), Load(), build_of(server))
    words = render(settings, Form.ARGUMENTS, []).split()[1::2]
    given = dict(word.split("=", 1) for word in words)
    with EmbeddedPostgresql(programs=server.programs, settings=given) as other:
        expect_in_force(other, settings)


def test_the_files_of_compose_are_taken_by_a_build_like_that_of_its_image() -> None:
    if not (programs := sorted(SYSTEM_FOLDER.glob("*/bin"))):
        pytest.skip("no PostgreSQL of Debian, which is built with LZ4 as Docker's images are")
    folder = REPOSITORY / "docker" / "postgresql"
    with EmbeddedPostgresql(programs=programs[-1], settings={}) as server:
        data = data_of(server)
        here = data / "mounted"
        here.mkdir()
        here.chmod(0o755)
        for file in folder.iterdir():
            write(here / file.name, file.read_text().replace("/var/lib/postgresql/data", str(data)))
        server.stop()
        with EmbeddedPostgresql(
            data, programs=programs[-1], settings={"config_file": str(here / "postgresql.conf")}
        ) as composed:
            expect_in_force(composed, advise(deployed.COMPOSE, Load(), deployed.DOCKER_BUILD))
