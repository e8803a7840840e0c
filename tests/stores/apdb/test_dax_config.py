"""The configuration file that programs of lsst-dax-apdb open an APDB by."""

import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from lsst.dax.apdb import Apdb, ApdbReplica
from lsst.dax.apdb.sql import ApdbSqlConfig

from stream_assoc.core.model.batch import BatchId
from stream_assoc.stores.apdb.create import init, save_dax_config
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.testing.rows import BIG, new_objects, store
from stream_assoc.tools.embedded.postgresql import EmbeddedPostgresql
from tests.standbys import url_of


def opens_what_is_stored(url: str, namespace: str | None, config: Path, elsewhere: Path) -> None:
    """Check that dax_apdb reads the same database, from Python and from its own program in another folder."""
    apdb = open_apdb(url, namespace)
    store(apdb, new_objects(BatchId(7, 8), [BIG]))
    apdb.close()
    opened = Apdb.from_uri(str(config))
    assert opened.metadata.get("stream_assoc:identity") is not None
    chunks = ApdbReplica.from_uri(str(config)).getReplicaChunks()
    assert chunks is not None
    assert len(chunks) == 1
    program = Path(sys.executable).with_name("apdb-cli")
    shown = subprocess.run(
        [program, "metadata", "get", config, "version:stream_assoc"],
        check=True,
        capture_output=True,
        text=True,
        cwd=elsewhere,
    )
    assert shown.stdout.strip() == opened.metadata.get("version:stream_assoc")


def test_dax_apdb_opens_an_sqlite_file_named_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(here)
    url = "sqlite:///a%20night.db"
    report = init(url)
    save_dax_config(url, None, Path("apdb.yaml"), replication=report.replication)
    opens_what_is_stored(url, None, here / "apdb.yaml", elsewhere)


def test_dax_apdb_makes_and_opens_an_apdb_on_whichever_of_several_servers_takes_writes(tmp_path: Path) -> None:
    with EmbeddedPostgresql() as primary, EmbeddedPostgresql(follows=primary) as standby:
        # The first that answers is the standby.
        url = url_of(standby, primary)
        report = init(url)
        config = tmp_path / "apdb.yaml"
        save_dax_config(url, None, config, replication=report.replication)
        opens_what_is_stored(url, None, config, tmp_path)
        primary.stop(immediately=True)
        standby.promote()
        assert Apdb.from_uri(str(config)).metadata.get("stream_assoc:identity") is not None


def test_dax_apdb_opens_a_namespace_of_postgresql_with_its_password(postgresql_database: str, tmp_path: Path) -> None:
    separator = "&" if urlsplit(postgresql_database).query else "?"
    url = f"{postgresql_database}{separator}password=p%40ss+word"
    report = init(url, "night")
    config = tmp_path / "apdb.yaml"
    save_dax_config(url, "night", config, replication=report.replication)
    opens_what_is_stored(url, "night", config, tmp_path)
    read = ApdbSqlConfig.from_uri(str(config))
    assert isinstance(read, ApdbSqlConfig)
    assert read.namespace == "night"
    assert "password=p%40ss%2Bword" in read.db_url
    assert stat.S_IMODE(config.stat().st_mode) == 0o600


@pytest.mark.parametrize("replication", [True, False])
def test_the_file_says_what_is_fixed_in_the_database(tmp_path: Path, sqlite_apdb_url: str, replication: bool) -> None:
    save_dax_config(sqlite_apdb_url, None, tmp_path / "apdb.yaml", replication=replication, replica_chunk_seconds=300)
    read = ApdbSqlConfig.from_uri(str(tmp_path / "apdb.yaml"))
    assert isinstance(read, ApdbSqlConfig)
    assert (read.dia_object_index, read.enable_replica) == ("last_object_table", replication)
    assert read.replica_chunk_seconds == 300


def test_the_permissions_of_a_file_that_exists_are_its_owners_choice(tmp_path: Path, sqlite_apdb_url: str) -> None:
    path = tmp_path / "apdb.yaml"
    path.touch(0o640)
    path.chmod(0o640)
    save_dax_config(sqlite_apdb_url, None, path, replication=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
