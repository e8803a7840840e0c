"""Statements that take back what an earlier processing of a batch stored, and what was noted of it."""

from dataclasses import dataclass

from stream_assoc.core.model.times import MJD_OF_UNIX_EPOCH, SECONDS_PER_DAY
from stream_assoc.stores.apdb.rows.chunks import MAX_CHUNK_SECONDS
from stream_assoc.stores.apdb.rows.tables import KEYS, LEDGER, UPDATES, quoted
from stream_assoc.stores.apdb.rows.withdrawal import Withdrawable


def notes_statement(table: Withdrawable, mark: str, chosen: str) -> str:
    """Return the query of the primary keys and chunks of rows that come again; see `replace_statement`."""
    return (
        f"SELECT {quoted(KEYS[table.table], 'n.')}, n.apdb_replica_chunk FROM {{{table.table}Chunks}} n "
        f"JOIN {{{table.table}}} r USING ({quoted(KEYS[table.table])}) "
        f'WHERE r.visit = {mark} AND r.detector = {mark} AND r."{table.key}" {chosen}'
    )


def replace_statement(table: Withdrawable, mark: str, chosen: str) -> str:
    """Return the statement that makes room for rows that come again, and returns them; see `TakenBack`.

    Parameters
    ----------
    table : `Withdrawable`
    mark : `str`
        The dialect's parameter: visit, detector.
    chosen : `str`
        The dialect's condition that a value is among those of an array, the third parameter.
    """
    return (
        f'DELETE FROM {{{table.table}}} WHERE visit = {mark} AND detector = {mark} AND "{table.key}" {chosen} '
        f"RETURNING {_returned(table)}"
    )


def withdraw_statement(table: Withdrawable, mark: str) -> str:
    """Return the statement that withdraws all rows left; parameters: time, visit, detector."""
    return (
        f'UPDATE {{{table.table}}} SET "timeWithdrawnMjdTai" = {mark} '
        f'WHERE visit = {mark} AND detector = {mark} AND "timeWithdrawnMjdTai" IS NULL '
        f"RETURNING {_returned(table)}"
    )


def uncopied_statement(mark: str, chosen: str) -> str:
    """Return the query of those objects that were noted in a chunk that changed after a time.

    Parameters
    ----------
    mark : `str`
        The dialect's parameter, the time.
    chosen : `str`
        See `replace_statement`; the first parameter.
    """
    return (
        'SELECT DISTINCT n."diaObjectId" FROM {DiaObjectChunks} n JOIN {ApdbReplicaChunks} c '
        f'USING (apdb_replica_chunk) WHERE n."diaObjectId" {chosen} AND c.last_update_time > {mark}'
    )


@dataclass(frozen=True, slots=True)
class PayloadField:
    """How a dialect reads a field ``{name}`` of ``update_payload``: as text, and as a whole number."""

    text: str
    number: str


def forget_statement(table: Withdrawable, mark: str, chosen: str, field: PayloadField, *, all_kinds: bool) -> str:
    """Return the statement that deletes update records of rows of a batch that come again.

    They tell of the row before. A replica that has not copied it yet would
    apply them to the row that took its place.

    Parameters
    ----------
    table : `Withdrawable`
        The table of the rows.
    mark : `str`
        The dialect's parameter: visit and detector, for forced sources once more.
    chosen : `str`
        See `replace_statement`; the last parameter.
    field : `PayloadField`
    all_kinds : `bool`
        Whether to delete all of them, or those that tell of a withdrawal.
    """
    kind = "" if all_kinds else f" AND {field.text.format(name='update_type')} = '{table.update_type}'"
    others = [f" AND {field.number.format(name=name)} = {mark}" for name in KEYS[table.table] if name != table.key]
    # No record of a row is in a chunk before that of its first processing.
    return (
        f"DELETE FROM {{{UPDATES}}} WHERE apdb_replica_chunk >= "
        f'(SELECT (min("timeProcessedMjdTai") - {MJD_OF_UNIX_EPOCH}) * {SECONDS_PER_DAY} - {MAX_CHUNK_SECONDS} '
        f"FROM {{{LEDGER}}} WHERE visit = {mark} AND detector = {mark})"
        f"{kind}{''.join(others)} AND {field.number.format(name=table.key)} {chosen}"
    )


def _returned(table: Withdrawable) -> str:
    return f'"{table.key}", "diaObjectId", {quoted(table.columns)}'
