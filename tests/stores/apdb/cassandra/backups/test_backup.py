"""A backup of real nodes while batches are stored, and what is restored from it."""

import shlex
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from stream_assoc.apps.cli.main import app
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.testing.rows import CELLS
from tests import services
from tests.cassandra.prepared import ONE_NODE, written
from tests.cassandra.ring import Ring
from tests.contents import ALL_TABLES, CHECKPOINT, OUTBOX, columns, contents
from tests.pipeline.skies import night
from tests.stores.apdb.cassandra.copying.nights import SETTINGS, live_on
from tests.tools.inspection.skies import inspected

pytestmark = [pytest.mark.integration, pytest.mark.long]

TABLES = (*(table for table in ALL_TABLES if table != OUTBOX), CHECKPOINT)
"""What is published by then is not what a backup says: the outbox is left out."""


@pytest.fixture
def node() -> Iterator[Ring]:
    """A node of the test's own, which answers to `nodetool`."""
    try:
        ring = Ring(services.cassandra_jars(), 1, has_tools=True)
    except services.ServiceUnavailableError as error:
        pytest.skip(str(error))
    with ring:
        yield ring


def made(node: Ring, keyspace: str) -> str:
    """Make an APDB, and return its URL."""
    url = CassandraUrl(node.addresses, keyspace)
    url.administration().init(drop=False, replication=True, tile_level=10, cell_level=8, cluster=ONE_NODE)
    return written(url)


def run(url: str, *arguments: str) -> list[str]:
    """Run a command on an APDB, and return the lines that it prints."""
    ended = CliRunner().invoke(app, ["apdb", *arguments, "--set", f"apdb.url={url}"])
    assert ended.exit_code == 0, ended.output
    return ended.stdout.splitlines()


def torn(command: str) -> list[str]:
    """Return two commands for half of the tables each, as two nodes that are not copied at the same moment."""
    begin, tables = command.rsplit(" ", 1)
    names = tables.split(",")
    some, others = names[: len(names) // 2], names[len(names) // 2 :]
    return [f"{begin} {','.join(tables)}" for tables in (some, others) if tables]


def restore(node: Ring, commands: Sequence[str], keyspace: str) -> None:
    """Copy the snapshots of these commands into the tables of a keyspace, while the node is stopped."""
    node.kill(0)
    data = node.folder(0) / "data"
    for command in commands:
        words = shlex.split(command)
        tag, names = words[words.index("--tag") + 1], words[words.index("--kt-list") + 1].split(",")
        for table in (name.partition(".")[2] for name in names):
            (snapshot,) = data.glob(f"apdb/{table}-*/snapshots/{tag}")
            (target,) = data.glob(f"{keyspace}/{table}-*")
            copy_sstables(snapshot, target)
    node.start(0)
    node.wait_until_reached(f'{keyspace}."DiaSource"')


def copy_sstables(snapshot: Path, target: Path) -> None:
    for file in snapshot.iterdir():
        if file.name not in ("manifest.json", "schema.cql"):
            shutil.copy(file, target)


@pytest.mark.rules("IntentsAfterRows", "PlansAfterIntents")
def test_it_is_whole_though_batches_are_stored_meanwhile(node: Ring, sqlite_apdb_url: str) -> None:
    url, n_stored = made(node, "apdb"), 0

    def store() -> None:
        nonlocal n_stored
        live_on(url, night(), n_stored, n_stored + 2)
        n_stored += 2

    store()
    run(url, "begin-backup", "before")
    assert run(url, "end-backup") == ["1 plans of batches that the backup holds are deleted."]
    commands = [part for command in run(url, "begin-backup", "night") for part in torn(command)]
    n_known = 0
    with closing(open_apdb(url)) as apdb, apdb.exclusive(CELLS):
        for command in commands:
            node.nodetool(0, *shlex.split(command)[1:])
            n_known = n_stored if "-groups" in command else n_known
            store()
    restored = made(node, "restored")
    restore(node, commands, "restored")

    # Two batches were stored before the first command, and two after each.
    assert n_known >= 4
    expected = sqlite_apdb_url
    live_on(expected, night(), 0, n_known)
    assert contents(restored, "DiaSource") != contents(expected, "DiaSource")
    run(restored, "apply-plans")
    assert contents(restored, *TABLES) == contents(expected, *TABLES)
    assert versions_of_tiles(restored) == sorted(columns(expected, "StreamAssocTile", "tile", "version"))
    assert inspected(restored, settings=SETTINGS) == []
    assert live_on(restored, night(), n_known, len(night())) == live_on(expected, night(), n_known, len(night()))
    assert contents(restored, *TABLES) == contents(expected, *TABLES)


def versions_of_tiles(url: str) -> list[tuple[int, int]]:
    with closing(open_apdb(url)) as apdb, apdb.reading() as reader:
        tiles = apdb.known_tiles()
        versions = reader.read_snapshot([], tiles).tile_versions
    return list(zip(tiles.tolist(), np.asarray(versions).tolist(), strict=True))
