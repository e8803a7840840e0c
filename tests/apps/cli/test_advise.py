"""``apdb advise``, and what ``apdb check`` says of settings."""

import json
from typing import Any

import psycopg
import pytest

from stream_assoc.tools.tuning.advice import advise
from stream_assoc.tools.tuning.harm import Harm
from stream_assoc.tools.tuning.machine import GIB, Build, Disk, Load, Machine
from stream_assoc.tools.tuning.rendering import Form, heading, render
from tests.apps.cli.invoking import Invoke

SIZE = ("--memory", "8GiB", "--cpus", "2")


def expected(build: Build, load: Load | None = None) -> str:
    machine, load = Machine(8 * GIB, 2, Disk.SSD), load or Load()
    return render(advise(machine, load, build), Form.CONF, heading(machine, load, build))


def test_without_a_server_it_suits_every_version(invoke: Invoke) -> None:
    assert invoke("apdb", "advise", *SIZE).stdout == expected(Build())


def test_the_version_can_be_given(invoke: Invoke) -> None:
    asked = ("apdb", "advise", *SIZE, "--postgresql", 18, "--lz4")
    assert invoke(*asked).stdout == expected(Build(18, has_lz4=True))


def test_daemons_and_their_cells_count(invoke: Invoke) -> None:
    told = invoke("apdb", "advise", *SIZE, "--daemons", 9, "--set", "daemon.micro_batch_cells=5000")
    assert told.stdout == expected(Build(), Load(9, 5000))


def test_what_is_not_given_is_this_machines_and_that_is_said(invoke: Invoke) -> None:
    assert "of this machine" not in invoke("apdb", "advise", *SIZE).stderr
    told = invoke("apdb", "advise", "--cpus", 2)
    assert "give --memory and --cpus" in told.stderr
    assert "shared_buffers = '" in told.stdout


@pytest.mark.parametrize(
    "wrong",
    [
        ("--memory", "much"),
        ("--memory", "100MiB"),
        ("--cpus", "0"),
        ("--daemons", "0"),
        ("--daemons", "1000"),
        ("--postgresql", "9"),
        ("--lz4",),
        ("--disk", "tape"),
        ("--form", "xml"),
    ],
)
def test_what_cannot_be_is_refused(invoke: Invoke, wrong: tuple[str, ...]) -> None:
    told = invoke("apdb", "advise", "--memory", "8GiB", *wrong)
    assert told.exit_code == 2
    assert told.stdout == ""


def test_a_server_that_is_away_is_said_and_changes_nothing(invoke: Invoke) -> None:
    away = ("--set", "apdb.url=postgresql://user@localhost:1/apdb", "--set", "apdb.connect_timeout_seconds=2")
    told = invoke("apdb", "advise", *SIZE, *away)
    assert told.stdout == expected(Build())
    assert "what follows suits every version" in told.stderr


@pytest.mark.integration
def test_the_version_and_the_build_are_those_of_the_server(invoke: Invoke, postgresql_database: str) -> None:
    with psycopg.connect(postgresql_database) as connection:
        version = connection.info.server_version // 10_000
        ((choices,),) = connection.execute("SELECT enumvals FROM pg_settings WHERE name = 'wal_compression'")
    told = invoke("apdb", "advise", *SIZE, "--set", f"apdb.url={postgresql_database}")
    assert told.stdout == expected(Build(version, has_lz4="lz4" in choices))


@pytest.mark.integration
def test_check_warns_and_is_content(invoke: Invoke, postgresql_apdb_url: str) -> None:
    with psycopg.connect(postgresql_apdb_url, autocommit=True) as connection:
        connection.execute('ALTER TABLE "DiaSource" SET (autovacuum_enabled = off)')
    told = invoke("apdb", "check", "--set", f"apdb.url={postgresql_apdb_url}")
    assert told.exit_code == 0
    assert " is ready: " in told.stdout
    assert "warning: autovacuum_enabled of DiaSource is off, advised: ALTER TABLE" in told.stderr
    asked = invoke("apdb", "check", "--json", "--set", f"apdb.url={postgresql_apdb_url}")
    outcome = json.loads(asked.stdout)
    assert outcome["apdb"] == told.stdout.strip()
    (found,) = [one for one in outcome["settings"] if one["setting"].startswith("autovacuum_enabled")]
    assert found.keys() == {"setting", "found", "advised", "reason", "loses_data"}
    assert len(outcome["settings"]) == len(told.stderr.splitlines())


@pytest.mark.integration
def test_check_fails_where_a_crash_may_lose_what_was_committed(invoke: Invoke, postgresql_apdb_url: str) -> None:
    with psycopg.connect(postgresql_apdb_url, autocommit=True) as connection:
        connection.execute('ALTER TABLE "StreamAssocTile" SET UNLOGGED')
    told = invoke("apdb", "check", "--set", f"apdb.url={postgresql_apdb_url}")
    assert told.exit_code == 3
    assert " is ready: " in told.stdout
    assert "may lose data: table StreamAssocTile is UNLOGGED" in told.stderr


def test_a_file_has_no_settings_to_warn_of(invoke: Invoke) -> None:
    here = ("--set", "apdb.url=sqlite:///night.db")
    invoke("apdb", "init", *here)
    told = invoke("apdb", "check", "--json", *here)
    assert json.loads(told.stdout)["settings"] == []
    assert told.stderr == ""


def test_a_warning_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    from stream_assoc.apps.cli.advise import warn

    common: dict[str, Any] = {"found": "off", "advised": "on", "reason": "all is lost"}
    warn([Harm("fsync", **common, loses_data=True), Harm("autovacuum", **common)])
    assert capsys.readouterr().err.splitlines() == [
        "may lose data: fsync is off, advised: on; all is lost",
        "warning: autovacuum is off, advised: on; all is lost",
    ]
