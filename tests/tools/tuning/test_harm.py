"""Which settings of a server are warned of, and which are not."""

from collections.abc import Mapping
from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given

from stream_assoc.stores.apdb.server import ApdbServer, ServerSetting
from stream_assoc.tools.tuning.advice import advise
from stream_assoc.tools.tuning.harm import Harm, harms
from stream_assoc.tools.tuning.machine import GIB, MIB, Build, Load, Machine, bytes_of

DEFAULTS = {
    "fsync": ServerSetting("on", "on"),
    "full_page_writes": ServerSetting("on", "on"),
    "zero_damaged_pages": ServerSetting("off", "off"),
    "ignore_checksum_failure": ServerSetting("off", "off"),
    "synchronous_commit": ServerSetting("on", "on"),
    "default_transaction_read_only": ServerSetting("off", "off"),
    "autovacuum": ServerSetting("on", "on"),
    "track_counts": ServerSetting("on", "on"),
    "shared_buffers": ServerSetting("16384", "128MB", "8kB"),
    "max_wal_size": ServerSetting("4096", "4GB", "MB"),
    "checkpoint_timeout": ServerSetting("300", "5min", "s"),
    "statement_timeout": ServerSetting("0", "0", "ms"),
    "wal_compression": ServerSetting("off", "off", None, ("pglz", "lz4", "on", "off")),
    "max_connections": ServerSetting("100", "100"),
    "max_locks_per_transaction": ServerSetting("64", "64"),
}
SOUND = ApdbServer(18, False, False, DEFAULTS, {"DiaObject": {"fillfactor": "50"}, "DiaSource": {}}, ())


def changed(**settings: ServerSetting) -> ApdbServer:
    return replace(SOUND, settings={**DEFAULTS, **settings})


def found(server: ApdbServer, machine: Machine | None = None) -> list[str]:
    return [one.setting for one in harms(server, Load(), machine)]


def test_nothing_is_said_of_a_sound_server() -> None:
    assert found(SOUND) == []


def test_nothing_is_said_of_what_a_server_does_not_tell() -> None:
    assert found(ApdbServer(14, False, False, {}, {}, ())) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("fsync", "off"), ("full_page_writes", "off"), ("zero_damaged_pages", "on"), ("ignore_checksum_failure", "on")],
)
def test_what_may_lose_data_is_told_as_such(name: str, value: str) -> None:
    (harm,) = harms(changed(**{name: ServerSetting(value, value)}), Load())
    assert (harm.setting, harm.found, harm.loses_data) == (name, value, True)
    assert harm.advised == DEFAULTS[name].value


def test_an_unlogged_table_may_lose_data() -> None:
    (harm,) = harms(replace(SOUND, unlogged_tables=("DiaSource",)), Load())
    assert harm.loses_data
    assert 'ALTER TABLE "DiaSource" SET LOGGED' in harm.advised


def test_standbys_that_may_lack_what_is_committed_are_named() -> None:
    (harm,) = harms(replace(SOUND, asynchronous_standbys=("east", "west")), Load())
    assert (harm.setting, harm.loses_data) == ("synchronous_standby_names", False)
    assert "east, west" in harm.found


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("synchronous_commit", ServerSetting("off", "off")),
        ("default_transaction_read_only", ServerSetting("on", "on")),
        ("autovacuum", ServerSetting("off", "off")),
        ("track_counts", ServerSetting("off", "off")),
        ("shared_buffers", ServerSetting("8192", "64MB", "8kB")),
        ("shared_buffers", ServerSetting("16383", "131064kB", "8kB")),
        ("max_wal_size", ServerSetting("1024", "1GB", "MB")),
        ("checkpoint_timeout", ServerSetting("299", "299s", "s")),
        ("statement_timeout", ServerSetting("59999", "59999ms", "ms")),
        ("transaction_timeout", ServerSetting("1", "1ms", "ms")),
        ("max_connections", ServerSetting("21", "21")),
        ("max_locks_per_transaction", ServerSetting("39", "39")),
    ],
)
def test_what_hurts_is_told_and_loses_nothing(name: str, setting: ServerSetting) -> None:
    server = changed(**{name: setting})
    told = {one.setting: one for one in harms(server, Load())}
    assert name in told
    assert (told[name].found, told[name].loses_data) == (setting.shown, False)


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("synchronous_commit", ServerSetting("local", "local")),
        ("synchronous_commit", ServerSetting("remote_apply", "remote_apply")),
        ("max_wal_size", ServerSetting("2048", "2GB", "MB")),
        ("statement_timeout", ServerSetting("60000", "1min", "ms")),
        ("max_connections", ServerSetting("70", "70")),
        ("max_locks_per_transaction", ServerSetting("40", "40")),
    ],
)
def test_what_is_enough_is_not_told(name: str, setting: ServerSetting) -> None:
    assert found(changed(**{name: setting})) == []


@pytest.mark.parametrize(
    ("value", "choices", "advised"),
    [
        ("pglz", ("pglz", "lz4", "zstd", "on", "off"), ["lz4"]),
        ("on", ("on", "off"), ["off"]),
        ("lz4", ("pglz", "lz4", "on", "off"), []),
        ("zstd", ("pglz", "zstd", "on", "off"), []),
    ],
)
def test_slow_compression_of_the_log(value: str, choices: tuple[str, ...], advised: list[str]) -> None:
    server = changed(wal_compression=ServerSetting(value, value, None, choices))
    assert [one.advised for one in harms(server, Load())] == advised


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"DiaObject": {}}, ["fillfactor of DiaObject"]),
        ({"DiaObject": {"fillfactor": "100"}}, ["fillfactor of DiaObject"]),
        ({"DiaObject": {"fillfactor": "70"}}, []),
        ({"DiaSource": {"autovacuum_enabled": "false"}}, ["autovacuum_enabled of DiaSource"]),
        ({"DiaSource": {"autovacuum_enabled": "OFF"}}, ["autovacuum_enabled of DiaSource"]),
        ({"DiaSource": {"autovacuum_enabled": "true"}}, []),
    ],
)
def test_options_of_tables(options: Mapping[str, Mapping[str, str]], expected: list[str]) -> None:
    assert found(replace(SOUND, table_options=options)) == expected


def test_a_standby_is_told_once() -> None:
    server = replace(changed(default_transaction_read_only=ServerSetting("on", "on")), is_standby=True)
    assert found(server) == ["apdb.url"]


def test_where_the_machine_is_known_its_size_counts() -> None:
    assert found(SOUND, Machine(GIB, 1)) == []
    (harm,) = harms(SOUND, Load(), Machine(64 * GIB, 16))
    assert harm == Harm("shared_buffers", "128MB", "16GB", harm.reason)
    huge = changed(shared_buffers=ServerSetting("131072", "1GB", "8kB"))
    assert found(huge) == found(huge, Machine(2 * GIB, 1)) == []
    assert found(huge, Machine(GIB, 1)) == ["shared_buffers"]


@given(st.integers(1, 4096), st.integers(1, 64), st.integers(1, 4), st.integers(1, 5000))
def test_what_is_advised_is_never_warned_of(gib: int, cpus: int, n_daemons: int, cells: int) -> None:
    machine, load = Machine(gib * GIB, cpus), Load(n_daemons, cells)
    settings = dict(DEFAULTS)
    for one in advise(machine, load, Build(18)):
        if one.name in settings:
            unit = {"shared_buffers": "MB", "max_wal_size": "MB", "checkpoint_timeout": "min"}.get(one.name)
            value = str(bytes_of(one.value) // MIB) if unit == "MB" else one.value.removesuffix("min")
            settings[one.name] = ServerSetting(value, one.value, unit)
    assert harms(replace(SOUND, settings=settings), load, machine) == ()


def test_what_loses_data_is_told_first() -> None:
    server = changed(autovacuum=ServerSetting("off", "off"), fsync=ServerSetting("off", "off"))
    assert found(replace(server, unlogged_tables=("DiaObject",))) == ["fsync", "table DiaObject", "autovacuum"]
