"""Errors of the APDB, by what a caller can do about them."""

from stream_assoc.exceptions import FatalError, PoisonError, RetriableError, StreamAssocError


class ApdbError(StreamAssocError):
    """Base of all errors of the APDB adapters."""


class ApdbUnavailableError(ApdbError, RetriableError):
    """The database cannot be reached, is shutting down, is locked or is full."""


class LocksExhaustedError(ApdbUnavailableError):
    """The server has no room for the locks on so many cells: the same cells asked for again would fail again.

    Parameters
    ----------
    n_cells : `int`
        How many were asked for.
    fair_share : `int`
        How many locks the server has room for in each of its sessions, if all take as many.
    table_size : `int`
        How many it has room for in all.
    """

    def __init__(self, n_cells: int, fair_share: int, table_size: int) -> None:
        super().__init__(
            f"PostgreSQL has no room for locks on {n_cells} cells of the sky: its lock table holds about "
            f"{table_size} of all its sessions together. Raise max_locks_per_transaction there, or lower "
            "daemon.micro_batch_cells and batch.max_cells"
        )
        self.n_cells = n_cells
        self.fair_share = fair_share


class LedgerConflictError(ApdbError, RetriableError):
    """Another session stored the same batch meanwhile, under other cells; nothing was written.

    It takes two messages of one visit and detector with footprints that share
    no cell. Tried again, the batch finds the other's ledger entry.
    """


class ApdbConfigurationError(ApdbError, FatalError):
    """A setting of the APDB is wrong, such as ``apdb.url``."""


class ApdbDamagedError(ApdbError, FatalError):
    """The database says that what it holds is damaged: it must be restored before anything is written."""


class ApdbSchemaError(ApdbError, FatalError):
    """The database is not an APDB of the schema version this package writes."""


class DuplicateSourceError(ApdbError, PoisonError):
    """A batch brings a diaSourceId that another batch has stored."""

    reason = "duplicate_source"


class RowsRefusedError(ApdbError, PoisonError):
    """The database refuses the batch's rows: a value is missing, too long or repeated."""

    reason = "refused_by_apdb"
