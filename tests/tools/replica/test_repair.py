"""What is found in a PPDB, and what a repair makes of it."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stream_assoc.core.model.schema import apdb_table
from stream_assoc.stores.apdb.backends import parse_url
from stream_assoc.stores.apdb.rows.tables import KEYS, quoted
from stream_assoc.testing.rows import BIG
from stream_assoc.tools.replica.check import comparing
from stream_assoc.tools.replica.databases import Side, apdb_side, ppdb_side
from stream_assoc.tools.replica.exceptions import ReplicaBusyError, ReplicaError, ReplicaUnavailableError
from stream_assoc.tools.replica.findings import Findings, TableTally
from stream_assoc.tools.replica.place import PpdbPlace
from stream_assoc.tools.replica.repair import Repair
from tests.tools.replica.replicas import N, Pair, another_chunk, replicated_pair


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return replicated_pair(tmp_path)


def sides(pair: Pair) -> tuple[Side, Side]:
    return apdb_side(pair.apdb_url, None), ppdb_side(PpdbPlace(pair.ppdb_url))


def compare(pair: Pair, *, repair: bool = False, meanwhile: Callable[[], None] = lambda: None) -> Findings:
    apdb, ppdb = sides(pair)
    tallies = {table: TableTally() for table in KEYS}
    with contextlib.closing(Repair()) as plan:
        with comparing(apdb, ppdb) as both:
            for table, tally in tallies.items():
                for judgement in both.judgements(table):
                    tally.add(judgement)
                    plan.add(table, judgement)
        meanwhile()
        if repair:
            plan.carry_out(parse_url(pair.apdb_url).administration(), ppdb, both)
    return Findings(tallies, len(both.replicated), both.n_awaiting, len(both.changed))


def test_a_replica_equals_what_it_has_copied(pair: Pair) -> None:
    found = compare(pair)
    assert (found.n_faults, found.n_replicated, found.n_awaiting) == (0, N, 0)
    assert list(found.lines()) == [
        *(
            f"{table}: {N} equal, 0 different, 0 missing, 0 in the PPDB only, 0 awaiting replication"
            for table in ("DiaObject", "DiaSource", "DiaForcedSource")
        ),
        f"chunks: {N} replicated, 0 awaiting replication",
    ]


def test_rows_of_chunks_that_are_deleted_are_expected(pair: Pair) -> None:
    for table in KEYS:
        pair.change("apdb", f'DELETE FROM "{table}Chunks"')
    pair.change("apdb", "DELETE FROM ApdbReplicaChunks")
    assert compare(pair).n_faults == 0
    pair.change("ppdb", 'DELETE FROM "DiaSource" WHERE "diaSourceId" = ?', BIG)
    assert (
        compare(pair).tables["DiaSource"].line().startswith(f"{N - 1} equal, 0 different, 1 missing (such as {BIG})")
    )


def test_different_and_missing_rows_are_repaired(pair: Pair) -> None:
    pair.change("ppdb", 'DELETE FROM "DiaSource" WHERE "diaSourceId" = ?', BIG)
    pair.change("ppdb", 'UPDATE "DiaSource" SET "psfFlux" = NULL WHERE "diaSourceId" = ?', BIG + 1)
    changed = '"nDiaSources" = 9, "validityEndMjdTai" = 1'
    pair.change("ppdb", f'UPDATE "DiaObject" SET {changed} WHERE "diaObjectId" = ?', BIG)
    pair.change("ppdb", 'UPDATE "DiaForcedSource" SET "psfFlux" = 3')
    pair.change("ppdb", "UPDATE PpdbReplicaChunk SET unique_id = ? WHERE apdb_replica_chunk IN "
                "(SELECT min(apdb_replica_chunk) FROM PpdbReplicaChunk)", "0" * 32)  # fmt: skip
    found = compare(pair, repair=True)
    told = found.as_json()
    assert told["chunks"] == {"replicated": N, "awaiting": 0, "changed": 1}
    assert told["tables"]["DiaObject"]["columns"] == {"nDiaSources": 1, "validityEndMjdTai": 1}
    assert told["tables"]["DiaSource"]["examples"] == {"missing": [[BIG]], "different": [[BIG + 1]]}
    assert told["tables"]["DiaForcedSource"]["different"] == N
    assert told["faults"] == 1 + 1 + 2 + N
    assert compare(pair).n_faults == 0
    for table in KEYS:
        rows = f'SELECT {quoted(apdb_table(table).names)} FROM "{table}" ORDER BY 1, 2, 3'
        assert pair.select("ppdb", rows) == pair.select("apdb", rows)


def test_rows_of_the_ppdb_only_are_told_and_left(pair: Pair) -> None:
    pair.change("apdb", 'DELETE FROM "DiaSource" WHERE "diaSourceId" = ?', BIG)
    assert compare(pair, repair=True).n_extra == 1
    assert (
        compare(pair)
        .tables["DiaSource"]
        .line()
        .endswith(f"1 in the PPDB only (such as {BIG}), 0 awaiting replication")
    )


def test_rows_that_wait_are_left_to_the_replicator(pair: Pair) -> None:
    last = "(SELECT max(apdb_replica_chunk) FROM ApdbReplicaChunks)"
    pair.change("ppdb", "DELETE FROM PpdbReplicaChunk WHERE apdb_replica_chunk = "
                "(SELECT max(apdb_replica_chunk) FROM PpdbReplicaChunk)")  # fmt: skip
    pair.change("ppdb", 'DELETE FROM "DiaSource" WHERE "diaSourceId" = ?', BIG + N - 1)
    pair.change("apdb", 'UPDATE "DiaSource" SET "timeWithdrawnMjdTai" = 7 WHERE "diaSourceId" = ?', BIG)
    payload = json.dumps({"update_type": "withdraw_diasource", "diaSourceId": BIG, "timeWithdrawnMjdTai": 7.0})
    pair.change("apdb", f"INSERT INTO ApdbUpdateRecordChunks VALUES ({last}, 1, 0, 'a', ?)", payload)
    told = compare(pair, repair=True).as_json()
    assert told["tables"]["DiaSource"]["awaiting"] == 2
    assert told["tables"]["DiaSource"]["stopping"] == {"rows": 0, "records": 0}
    # Objects and forced sources of that chunk have been copied: their notes would bring them again.
    assert told["tables"]["DiaObject"]["stopping"] == {"rows": 1, "records": 0}
    assert pair.select("apdb", f'SELECT "diaObjectId" FROM "DiaObjectChunks" WHERE apdb_replica_chunk = {last}') == []
    assert pair.select("apdb", f'SELECT "diaSourceId" FROM "DiaSourceChunks" WHERE apdb_replica_chunk = {last}') == [
        (BIG + N - 1,)
    ]
    assert pair.select("apdb", "SELECT count(*) FROM ApdbUpdateRecordChunks") == [(1,)]
    assert pair.select("ppdb", f'SELECT "timeWithdrawnMjdTai" FROM "DiaSource" WHERE "diaSourceId" = {BIG}') == [
        (None,)
    ]


def test_records_that_can_only_stop_are_withdrawn(pair: Pair) -> None:
    payload = json.dumps({"update_type": "update_n_dia_sources", "diaObjectId": 5, "nDiaSources": 1})
    pair.change("apdb", "INSERT INTO ApdbUpdateRecordChunks VALUES (9999999999, 1, 0, 'a', ?)", payload)
    found = compare(pair, repair=True)
    assert (
        found.tables["DiaObject"]
        .line()
        .endswith(", 1 update records that will not find their row, which stops the replicator")
    )
    assert compare(pair).n_faults == 0


def test_a_repair_ends_if_the_replicator_goes_on(pair: Pair) -> None:
    pair.change("ppdb", 'UPDATE "DiaSource" SET "psfFlux" = 3')

    def replicated() -> None:
        pair.change("ppdb", "INSERT INTO PpdbReplicaChunk VALUES (?, ?, ?, ?)", *another_chunk())

    with pytest.raises(ReplicaBusyError, match="replica repair"):
        compare(pair, repair=True, meanwhile=replicated)
    assert pair.select("ppdb", 'SELECT DISTINCT "psfFlux" FROM "DiaSource"') == [(3.0,)]


def test_a_database_that_is_no_ppdb_is_told(pair: Pair) -> None:
    pair.change("ppdb", "DROP TABLE PpdbReplicaChunk")
    with pytest.raises(ReplicaError, match=r"PpdbReplicaChunk|ppdb-cli create-sql"):
        compare(pair)


def test_a_ppdb_that_cannot_be_reached_is_told(pair: Pair, tmp_path: Path) -> None:
    elsewhere = Pair(pair.apdb, tmp_path / "none" / "ppdb.db")
    with pytest.raises(ReplicaUnavailableError, match="the PPDB"):
        compare(elsewhere)
