"""A copy of an APDB into a keyspace, from its beginning or from where another run has left it.

What is written is the same in every run, at one timestamp, so that nothing
comes twice. The batches that are copied count once all is compared: the ledger
names one group for all of them, and that is committed last.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Final

import numpy as np
import pyarrow as pa

from stream_assoc.failpoints import failpoint
from stream_assoc.stores.apdb import copying
from stream_assoc.stores.apdb.cassandra.applier import Applier
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.cassandra.compatibility import Layout, read_columns, read_layout, read_report_of_any
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.copying.cells import CopiedCells
from stream_assoc.stores.apdb.cassandra.copying.comparing import Comparison, values_of
from stream_assoc.stores.apdb.cassandra.copying.note import Copy, CopyNote
from stream_assoc.stores.apdb.cassandra.copying.rows import CopiedRows
from stream_assoc.stores.apdb.cassandra.ending import end_sessions
from stream_assoc.stores.apdb.cassandra.groups import Commitment, Groups, State
from stream_assoc.stores.apdb.cassandra.leases import Leases
from stream_assoc.stores.apdb.cassandra.places import Places
from stream_assoc.stores.apdb.cassandra.plans import Change
from stream_assoc.stores.apdb.cassandra.tables import LEDGER
from stream_assoc.stores.apdb.cassandra.whole_tables import WholeTables
from stream_assoc.stores.apdb.copying import CopiedTable, CopySource, CopyStep, OpenSource
from stream_assoc.stores.apdb.exceptions import ApdbDamagedError, ApdbSchemaError
from stream_assoc.stores.apdb.notes import cell_level_of, tile_level_of
from stream_assoc.stores.apdb.patience import Patience
from stream_assoc.stores.apdb.rows.tables import quoted

CLAIMS_AT_ONCE: Final = 16
"""Conditional writes that are on their way at once."""

_SHOWN: Final = 3
_SCIENCE: Final = (copying.OBJECTS, copying.LAST, copying.SOURCES, copying.FORCED_SOURCES)
_COUNTED: Final = (*_SCIENCE, copying.CHECKPOINTS, copying.LEDGER)
"""Tables whose rows are counted too: nothing else may be in them."""

_RESHAPED: Final = (copying.OUTBOX.name, copying.CHANGED.name)
"""Tables that have other columns in a keyspace."""

BEGIN_ANEW: Final = "empty the keyspace by `stream-assoc apdb init --drop`, and copy anew"


def copied(
    url: CassandraUrl, open_source: OpenSource, patience: Patience, tell: Callable[[str], None]
) -> Iterator[CopyStep]:
    """Copy an APDB, and yield what is done; see `ApdbUrl.copy_from`."""
    with ExitStack() as stack:
        source = stack.enter_context(open_source())
        connection = stack.enter_context(closing(url.connect(patience)))
        run = _Run(connection, source)
        if run.copy.is_whole:
            return
        run.tell_of_replicas(tell)
        yield from run.rows()
        yield from run.comparison()
        # What was stored since this moment began is not in the copy, and would be lost with the source.
        with open_source() as now:
            run.check_unchanged(now)
        run.finish()


class _Run:
    """One run of a copy."""

    def __init__(self, connection: Connection, source: CopySource) -> None:
        self._connection = connection
        self._source = source
        self._layout = read_layout(connection)
        report = read_report_of_any(connection)
        if report.partition != source.report.partition:
            raise ApdbSchemaError(
                f"the sky of the source is divided as {source.report.partition}, that of the keyspace as "
                f"{report.partition}; make it anew with sky.tile_level and sky.cell_level of the source "
                "(`stream-assoc apdb init --drop`)"
            )
        self._cell_shift = 2 * (tile_level_of(report.partition) - cell_level_of(report.partition))
        self._whole = WholeTables(connection, self._layout)
        self._tables = [table for table in source.tables() if table is not copying.TILES]
        _check_room(connection, self._layout, self._tables)
        self._groups = Groups(connection)
        self._applier = Applier(connection, self._groups)
        self._note = CopyNote(connection)
        self.copy = self._begun()
        self._rows = CopiedRows(
            source,
            Places.of(self._layout),
            self.copy,
            self._cell_shift,
            self._layout.n_subchunks if self._layout.replication else 0,
        )
        self._cells = CopiedCells(connection, self.copy.timestamp, self._cell_shift)

    def tell_of_replicas(self, tell: Callable[[str], None]) -> None:
        """Tell why there will be no replica chunks, if only one of both databases has them."""
        if self._layout.replication and not self._source.report.replication:
            tell(
                "The source was made without replication: what it holds will be in no replica chunk, and a new PPDB "
                "never gets it."
            )
        elif self._source.report.replication and not self._layout.replication:
            tell(
                "The keyspace was made without replication: replica chunks are not copied. Those that the PPDB does "
                "not have yet are in the source alone."
            )

    def rows(self) -> Iterator[CopyStep]:
        """Copy all tables, each from where it was left."""
        estimated = self._source.estimated_rows()
        for table in self._tables:
            if self.copy.is_copied(table.name):
                continue
            n_rows = 0
            for rows in self._source.stretches(table, self.copy.after(table.name)):
                self._write(self._rows.of(table, rows))
                failpoint("after-copied-rows")
                self._reach(table, tuple(rows.column(name)[-1].as_py() for name in table.key))
                n_rows += rows.num_rows
                yield CopyStep(f"{table.name}: rows copied", n_rows, estimated.get(table.name))
            self._reach(table, None)
            failpoint("after-copied-table")
        for leases in self._cells.by_region(self._source.stretches(copying.TILES)):
            self._cells.write(leases)
        self._cells.write_count(self._source.single_source_objects())
        failpoint("after-copied-cells")

    def comparison(self) -> Iterator[CopyStep]:
        """Compare all tables.

        Raises
        ------
        ApdbDamagedError
            If they differ.
        """
        comparison = Comparison(self._connection)
        for table in self._tables:
            n_rows = 0
            for rows in self._source.stretches(table):
                for change in self._rows.of(table, rows):
                    _refuse(list(comparison.differences(change)))
                n_rows += rows.num_rows
                yield CopyStep(f"{table.name}: rows compared", n_rows, compares=True)
            if table in _COUNTED:
                self._check_number(table, comparison.partition_key(self._whole.names(table.name)[0]), n_rows)
        yield from self._compare_cells()

    def check_unchanged(self, now: CopySource) -> None:
        """Return if the source is as it was when the copy began.

        Raises
        ------
        ApdbSchemaError
            If it is not.
        """
        if now.fingerprint() != self.copy.fingerprint:
            raise _has_changed()

    def finish(self) -> None:
        """Let the batches count."""
        if self._groups.read(self.copy.group).state is State.PREPARING:
            nothing = hashlib.sha256().digest()
            self._groups.commit(self.copy.group, Commitment(self.copy.timestamp, 0, nothing, (), None, 0))
        self._groups.mark_applied(self.copy.group)
        failpoint("after-copy-counts")
        self.copy = self._note.move(self.copy, self.copy.whole())

    def _begun(self) -> Copy:
        """Return the copy that is gone on with, or a new one."""
        source, fingerprint = self._source.report.identity, self._source.fingerprint()
        copy = self._note.read()
        if copy is None:
            return self._begin(source, fingerprint)
        if copy.source != source:
            raise ApdbSchemaError(f"the keyspace holds a copy of another APDB than this one; {BEGIN_ANEW}")
        if copy.fingerprint != fingerprint and not copy.is_whole:
            raise _has_changed()
        return copy

    def _begin(self, source: str, fingerprint: str) -> Copy:
        self._check_empty()
        group_id = self._groups.begin(np.empty(0, np.int64))
        copy = Copy(source, fingerprint, time.time_ns() // 1000, str(group_id))
        self._note.begin(copy)
        # Daemons that have cells now commit nothing any more; those that take some find the new notes.
        end_sessions(self._connection, self._cell_shift)
        try:
            self._check_empty()
        except ApdbSchemaError:
            self._note.take_back(copy)
            raise
        failpoint("after-copy-begins")
        return copy

    def _check_empty(self) -> None:
        for table in (*_SCIENCE, copying.LEDGER):
            for name in self._whole.names(table.name):
                if self._connection.read(f'SELECT * FROM "{name}" LIMIT 1'):
                    raise ApdbSchemaError(
                        f"the keyspace {self._connection.keyspace} is not empty ({name} has rows), and a copy goes "
                        "into an empty APDB only; name another keyspace in apdb.url and make it by `stream-assoc "
                        "apdb init`, or drop what is there (--drop)"
                    )

    def _reach(self, table: CopiedTable, key: copying.Key | None) -> None:
        self.copy = self._note.move(self.copy, self.copy.at(table.name, key))

    def _write(self, changes: Sequence[Change]) -> None:
        claims = [change for change in changes if change.table == LEDGER]
        others = [change for change in changes if change.table != LEDGER]
        self._applier.write(self._applier.requests(others, self.copy.timestamp))
        for change in claims:
            self._claim(change.rows)

    def _claim(self, entries: pa.Table) -> None:
        """Write entries of the ledger, which conditional writes alone may write to."""
        names = entries.column_names
        marks = ", ".join("?" * len(names))
        statement = f'INSERT INTO "{LEDGER}" ({quoted(names)}) VALUES ({marks}) IF NOT EXISTS'
        values = zip(*(values_of(column) for column in entries.columns), strict=True)
        with ThreadPoolExecutor(CLAIMS_AT_ONCE) as claiming:
            list(claiming.map(lambda row: self._connection.decide(statement, *row), values))

    def _compare_cells(self) -> Iterator[CopyStep]:
        leases = Leases(
            self._connection, self._groups, self._applier, tile_shift=self._cell_shift, patience_seconds=0.0
        )
        n_tiles = 0
        for expected in self._cells.by_region(self._source.stretches(copying.TILES)):
            stored = leases.read(expected)
            _refuse(
                [f"the lease of the cell {cell} differs" for cell, one in expected.items() if stored[cell] != one]
            )
            n_tiles += sum(len(one.tile_versions) for one in expected.values())
            yield CopyStep("StreamAssocTile: rows compared", n_tiles, compares=True)
        if (number := self._cells.count()) != (expected_number := self._source.single_source_objects()):
            _refuse([f"the number of objects with one source is {number}, not {expected_number}"])

    def _check_number(self, table: CopiedTable, partition_key: Sequence[str], expected: int) -> None:
        pages = self._whole.pages(table.name, partition_key[:1], partition_key)
        if (number := sum(map(len, pages))) != expected:
            _refuse([f"{table.name} has {number:,} rows, and {expected:,} are copied"])


def _check_room(connection: Connection, layout: Layout, tables: Sequence[CopiedTable]) -> None:
    """Tell whether a column of the source would be lost."""
    columns = read_columns(connection)
    whole = WholeTables(connection, layout)
    for table in tables:
        there = columns.get(whole.names(table.name)[-1])
        known = frozenset(table.schema.names) - {copying.CHUNK}
        if there is not None and table.name not in _RESHAPED and (lacking := sorted(known - there)):
            raise ApdbSchemaError(
                f"{table.name} of the keyspace lacks columns of the source ({', '.join(lacking)}); run `stream-assoc "
                "apdb init` with the statistics.plugins of the source"
            )


def _refuse(differences: Sequence[str]) -> None:
    if differences:
        more = f", and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
        raise ApdbDamagedError(
            f"the copy is not what the source holds: {'; '.join(differences[:_SHOWN])}{more}. Another program has "
            f"changed one of them: stop it, {BEGIN_ANEW}"
        )


def _has_changed() -> ApdbSchemaError:
    return ApdbSchemaError(
        f"the source has changed since the copy began: stop all daemons and programs that write to it, {BEGIN_ANEW}"
    )
