"""``apdb init`` and ``apdb check``."""

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from lsst.dax.apdb import Apdb
from typer.testing import Result

from stream_assoc.pipeline.exceptions import ApdbError
from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError, ApdbSchemaError
from stream_assoc.stores.apdb.sql.migrations import MIGRATIONS
from tests.apps.cli.invoking import Invoke
from tests.cassandra.ring import Ring


def test_database_is_made_then_found_ready(invoke: Invoke) -> None:
    made = invoke("apdb", "init", "--set", "apdb.url=sqlite:///night.db")
    assert made.exit_code == 0
    assert "sqlite:///night.db is ready: APDB schema " in made.stdout
    assert Path("night.db").exists()
    assert invoke("apdb", "check", "--set", "apdb.url=sqlite:///night.db").stdout == made.stdout


def test_database_that_is_no_apdb_is_told(invoke: Invoke) -> None:
    Path("empty.db").touch()
    with pytest.raises(ApdbSchemaError, match="apdb init"):
        invoke("apdb", "check", "--set", "apdb.url=sqlite:///empty.db")


def test_missing_database_is_told(invoke: Invoke) -> None:
    with pytest.raises(ApdbError):
        invoke("apdb", "check", "--set", "apdb.url=sqlite:///missing.db")


def test_a_dry_run_tells_the_steps_and_does_nothing(invoke: Callable[..., Result]) -> None:
    told = invoke("apdb", "init", "--dry-run", "--set", "apdb.url=sqlite:///night.db")
    lines = told.stdout.splitlines()
    assert lines[0].startswith("would create the tables of lsst.dax.apdb, APDB schema ")
    assert [line.split(":")[0] for line in lines[1 : 1 + len(MIGRATIONS)]] == [
        f"would migrate to {one.version}" for one in MIGRATIONS
    ]
    assert not Path("night.db").exists()
    invoke("apdb", "init", "--set", "apdb.url=sqlite:///night.db")
    told = invoke("apdb", "init", "--dry-run", "--set", "apdb.url=sqlite:///night.db")
    assert told.stdout == "sqlite:///night.db is up to date.\n"
    told = invoke("apdb", "init", "--dry-run", "--drop", "--set", "apdb.url=sqlite:///night.db")
    assert told.stdout.startswith("would drop all tables of the APDB, with their rows\n")


def test_the_configuration_of_dax_apdb_is_written_of_a_new_and_of_an_existing_database(invoke: Invoke) -> None:
    asked = ("apdb", "init", "--config-out", "apdb.yaml", "--set", "apdb.url=sqlite:///night.db")
    told = invoke(*asked, "--dry-run")
    assert told.stdout.splitlines()[-1] == "would write apdb.yaml"
    assert not Path("apdb.yaml").exists()
    made = invoke(*asked)
    assert "it may hold a password" in made.stderr
    written = Path("apdb.yaml").read_text(encoding="utf-8")
    assert f"db_url: sqlite:///{Path('night.db').absolute()}" in written.replace("\n  ", " ")
    database = Path("night.db").read_bytes()
    Path("apdb.yaml").unlink()
    assert invoke(*asked).exit_code == 0
    assert Path("apdb.yaml").read_text(encoding="utf-8") == written
    assert Path("night.db").read_bytes() == database


@pytest.mark.parametrize("option", [("--replication-factor", "3"), ("--time-partition-tables",)])
def test_choices_of_a_cluster_are_refused_for_one_machine(invoke: Invoke, option: tuple[str, ...]) -> None:
    with pytest.raises(ApdbConfigurationError, match="are for Cassandra"):
        invoke("apdb", "init", *option, "--set", "apdb.url=sqlite:///night.db")
    assert not Path("night.db").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--time-partition-start", "2026-01-01T00:00:00"), "go with --time-partition-tables"),
        (("--time-partition-tables", "--time-partition-end", "2026-01-01"), "yyyy-mm-ddThh:mm:ss"),
        (("--replication-factor", "0"), "greater than or equal to 1"),
    ],
)
def test_times_and_numbers_that_make_no_sense_are_refused(
    invoke: Invoke, options: tuple[str, ...], words: str
) -> None:
    refused = invoke("apdb", "init", *options)
    assert refused.exit_code == 2
    assert words in " ".join(refused.stderr.replace("│", " ").split())


@pytest.mark.integration
def test_a_dry_run_on_a_ring_tells_the_steps(invoke: Invoke, cassandra_node: Ring) -> None:
    told = invoke("apdb", "init", "--dry-run", "--set", f"apdb.url=cassandra://{cassandra_node.addresses[0]}/absent")
    assert told.stdout.startswith("would create the tables of lsst.dax.apdb, APDB schema ")


@pytest.mark.integration
def test_an_apdb_is_made_on_a_ring_checked_and_opened_by_dax_apdb(invoke: Invoke, cassandra_node: Ring) -> None:
    place = ("--set", f"apdb.url=cassandra://{cassandra_node.addresses[0]}/night_{uuid4().hex}")
    made = invoke("apdb", "init", "--replication-factor", "1", "--config-out", "apdb.yaml", *place)
    assert "is ready: APDB schema 10.0.0, tables of stream_assoc 1.1.0, partition 10/8" in made.stdout
    checked = invoke("apdb", "check", *place)
    assert checked.stdout == made.stdout
    assert "warning: replication factor in datacenter1 is 1, advised: 3 or more" in checked.stderr
    assert Apdb.from_uri("apdb.yaml").metadata.get("version:stream_assoc") == "1.1.0"
    divided = invoke("apdb", "init", "--repartition", "--set", "sky.tile_level=11", *place)
    assert "partition 11/8" in divided.stdout
