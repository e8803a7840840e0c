"""Statements on one keyspace, and what each kind of them promises."""

import logging
import ssl
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, Final

import numpy as np
from cassandra import (
    AuthenticationFailed,
    ConsistencyLevel,
    InvalidRequest,
)
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import (
    EXEC_PROFILE_DEFAULT,
    Cluster,
    ExecutionProfile,
    NoHostAvailable,
    ResponseFuture,
    Session,
)
from cassandra.murmur3 import murmur3
from cassandra.policies import ConstantReconnectionPolicy, FallthroughRetryPolicy, RoundRobinPolicy, TokenAwarePolicy
from cassandra.query import BatchStatement, BatchType, PreparedStatement, tuple_factory

from stream_assoc.core.model.types import IntArray
from stream_assoc.exceptions import reason_of
from stream_assoc.stores.apdb.cassandra.backend import DEFAULT_PORT
from stream_assoc.stores.apdb.cassandra.failures import translated, undecided
from stream_assoc.stores.apdb.cassandra.requests import Request, Write, requests_of
from stream_assoc.stores.apdb.cassandra.side_by_side import side_by_side
from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError, ApdbSchemaError
from stream_assoc.stores.apdb.notes import INIT_REMEDY
from stream_assoc.stores.apdb.patience import Patience

PROTOCOL_VERSION: Final = 5
RECONNECT_SECONDS: Final = 0.5

IN_AT_ONCE: Final = 64
"""Partitions that one statement asks for: each statement costs the client more than each row costs a server."""


PAGE_ROWS: Final = 5_000
PAGES_AT_ONCE: Final = 8
"""Answers that are read page by page side by side: no more than that many pages wait for whoever takes them."""
_ABOUT_NAMES: Final = "`USE <keyspace>` with prepared statements"


class _OtherWarnings(logging.Filter):
    """Leaves out what servers say of each statement that does not repeat the keyspace; each connection has one."""

    def filter(self, record: logging.LogRecord) -> bool:
        return _ABOUT_NAMES not in record.getMessage()


logging.getLogger("cassandra.protocol").addFilter(_OtherWarnings())


class Connection:
    """A connection to the ring, on one keyspace. Threads may share it.

    Rows are read and written at QUORUM. What is written under conditions is
    read at SERIAL, which finishes whatever conditional write has begun.
    Nothing is tried again unseen: a repeated conditional write would find its own first try.

    Parameters
    ----------
    hosts : sequence of `str`
        Some nodes of the ring.
    keyspace : `str`
        Holds the tables.
    patience : `Patience`
        How long to wait for the ring.
    port : `int`
        Where all nodes listen to clients.
    user, password : `str`, optional
        What the nodes ask for.
    encryption : `ssl.SSLContext`, optional
        For nodes that encrypt; they are verified by it.

    Raises
    ------
    ApdbConfigurationError
        If the nodes refuse the user.
    ApdbSchemaError
        If there is no such keyspace.
    ApdbUnavailableError
        If no node answers.
    """

    def __init__(  # noqa: PLR0913 - what nodes ask for varies
        self,
        hosts: Sequence[str],
        keyspace: str,
        patience: Patience,
        *,
        port: int = DEFAULT_PORT,
        user: str | None = None,
        password: str | None = None,
        encryption: ssl.SSLContext | None = None,
    ) -> None:
        profile = ExecutionProfile(
            load_balancing_policy=TokenAwarePolicy(RoundRobinPolicy()),
            retry_policy=FallthroughRetryPolicy(),
            consistency_level=ConsistencyLevel.QUORUM,
            serial_consistency_level=ConsistencyLevel.SERIAL,
            request_timeout=patience.answer_seconds,
            row_factory=tuple_factory,
        )
        self._cluster = Cluster(
            list(hosts),
            port=port,
            auth_provider=None if user is None else PlainTextAuthProvider(user, password),
            ssl_context=encryption,
            execution_profiles={EXEC_PROFILE_DEFAULT: profile},
            protocol_version=PROTOCOL_VERSION,
            reconnection_policy=ConstantReconnectionPolicy(RECONNECT_SECONDS, None),
            connect_timeout=patience.connect_seconds,
            # What a node tells of ring and tables comes in that time too; the driver would wait two seconds.
            control_connection_timeout=patience.connect_seconds,
        )
        try:
            self._session = _opened(self._cluster, keyspace)
        except BaseException:
            self._cluster.shutdown()
            raise
        self.keyspace = keyspace
        self._prepare = lru_cache(maxsize=None)(self._prepared)

    def read(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Return the rows that a quorum knows."""
        with translated():
            return list(self._session.execute(self._prepare(statement, ConsistencyLevel.QUORUM), parameters))

    def read_each(self, statement: str, parameters: Iterable[Sequence[object]]) -> list[list[tuple[Any, ...]]]:
        """Return the rows of each of these parameters, which are read side by side."""
        prepared = self._prepare(statement, ConsistencyLevel.QUORUM)
        asked = [(prepared, values) for values in parameters]
        with translated():
            return [list(answer) for answer in side_by_side(self._session, asked)]

    def read_in(self, statement: str, values: Sequence[object], *parameters: object) -> list[tuple[Any, ...]]:
        """Return the rows whose partition is among these values, the statement's first parameter, in any order."""
        stretches = [values[begin : begin + IN_AT_ONCE] for begin in range(0, len(values), IN_AT_ONCE)]
        return [
            row
            for rows in self.read_each(statement, [(stretch, *parameters) for stretch in stretches])
            for row in rows
        ]

    def pages(
        self, statement: str, parameters: Iterable[Sequence[object]], page_rows: int = PAGE_ROWS
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the rows of each of these parameters a page at a time, in any order; never an empty page.

        The pages of one answer come in its order. Some answers are read side by
        side and no further ahead than a page, however slowly the pages are taken.
        """
        prepared = self._prepare(statement, ConsistencyLevel.QUORUM)
        asked = iter(parameters)
        waiting: deque[ResponseFuture] = deque()

        def ask(some: Iterable[Sequence[object]]) -> None:
            for values in some:
                bound = prepared.bind(values)
                bound.fetch_size = page_rows
                waiting.append(self._session.execute_async(bound))

        with translated():
            ask(islice(asked, PAGES_AT_ONCE))
            while waiting:
                answer = waiting.popleft()
                page = answer.result().current_rows
                if answer.has_more_pages:
                    answer.start_fetching_next_page()
                    waiting.append(answer)
                else:
                    ask(islice(asked, 1))
                if page:
                    yield page

    def read_serial(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Return the rows of one partition as all conditional writes that have ended have left them."""
        with translated():
            return list(self._session.execute(self._prepare(statement, ConsistencyLevel.SERIAL), parameters))

    def read_of_each_node(self, statement: str) -> dict[str, list[tuple[Any, ...]]]:
        """Return what each node of the ring that answers says of itself, by its address."""
        with translated():
            hosts = [host for host in self._cluster.metadata.all_hosts() if host.is_up]
            return {host.address: list(self._session.execute(statement, host=host)) for host in hosts}

    def write(self, statement: str, *parameters: object) -> None:
        """Write to a quorum."""
        with translated():
            self._session.execute(self._prepare(statement, ConsistencyLevel.QUORUM), parameters)

    def write_each(self, statement: str, parameters: Iterable[Sequence[object]]) -> None:
        """Write these rows to a quorum each, side by side and in any order."""
        prepared = self._prepare(statement, ConsistencyLevel.QUORUM)
        with translated():
            side_by_side(self._session, [(prepared, values) for values in parameters])

    def write_together(self, groups: Iterable[Sequence[tuple[str, Sequence[object]]]]) -> None:
        """Write groups of rows to a quorum: what has begun of a group ends without us, though perhaps later."""
        batches = []
        for group in groups:
            batch = BatchStatement(BatchType.LOGGED, consistency_level=ConsistencyLevel.QUORUM)
            for statement, parameters in group:
                batch.add(self._prepare(statement, ConsistencyLevel.QUORUM), parameters)
            batches.append(batch)
        self.send(batches)

    def requests(self, writes: Iterable[Write]) -> list[Request]:
        """Return what `send` sends to write rows of several tables: rows that lie on the same nodes go together.

        Raises
        ------
        RowsRefusedError
            If a value is none of its column's type.
        """
        prepared = ((self._prepare(write.statement, ConsistencyLevel.QUORUM), write) for write in writes)
        return requests_of(prepared, self._nodes_of)

    def send(self, requests: Sequence[Request]) -> None:
        """Write to a quorum each, side by side and in any order."""
        with translated():
            side_by_side(self._session, [(request, ()) for request in requests])

    def decide(self, statement: str, *parameters: object) -> bool:
        """Write if the statement's condition holds, and tell whether it did.

        Raises
        ------
        UnknownOutcomeError
            If the answer did not come.
        """
        with undecided():
            answer = self._session.execute(self._prepare(statement, ConsistencyLevel.QUORUM), parameters)
            return bool(answer.was_applied)

    def decide_together(self, statements: Sequence[tuple[str, Sequence[object]]]) -> bool:
        """Write rows of one partition if the conditions of all hold, and tell whether they did.

        Raises
        ------
        UnknownOutcomeError
            If the answer did not come.
        """
        batch = BatchStatement(BatchType.UNLOGGED, consistency_level=ConsistencyLevel.QUORUM)
        for statement, parameters in statements:
            batch.add(self._prepare(statement, ConsistencyLevel.QUORUM), parameters)
        with undecided():
            return bool(self._session.execute(batch).was_applied)

    def change_tables(self, statement: str) -> None:
        """Create, alter or drop a table; returns when all nodes agree on it."""
        with translated():
            self._session.execute(statement)

    def close(self) -> None:
        """Release every connection."""
        self._cluster.shutdown()

    def _nodes_of(self, keys: Sequence[bytes]) -> IntArray:
        """Return which nodes hold each of these partitions: the same number, the same nodes."""
        tokens = self._cluster.metadata.token_map
        ring = np.array([token.value for token in tokens.ring], np.int64)
        holders = [frozenset(tokens.get_replicas(self.keyspace, token)) for token in tokens.ring]
        numbers = {nodes: number for number, nodes in enumerate(dict.fromkeys(holders))}
        # The first token that is not below a partition's own has it; beyond the last one the ring begins anew.
        place = np.searchsorted(ring, np.fromiter(map(murmur3, keys), np.int64, len(keys))) % len(ring)
        return np.array([numbers[nodes] for nodes in holders], np.int64)[place]

    def _prepared(self, statement: str, consistency: int) -> PreparedStatement:
        # Whoever asks for it may have no translation of errors around it.
        with translated():
            try:
                prepared = self._session.prepare(statement)
            except InvalidRequest as error:
                raise ApdbSchemaError(
                    f"the keyspace {self.keyspace} lacks a table or column of an APDB of this version "
                    f"({reason_of(error)}); {INIT_REMEDY}"
                ) from error
        prepared.consistency_level = consistency
        return prepared


def _opened(cluster: Cluster, keyspace: str) -> Session:
    """Return a session on a keyspace."""
    with translated():
        try:
            # Until its pool is there, a node that is up is told to be down to whoever asks that very one.
            session = cluster.connect(wait_for_all_pools=True)
            session.set_keyspace(keyspace)
        except InvalidRequest as error:
            raise ApdbSchemaError(
                f"the Cassandra ring that apdb.url names has no keyspace {keyspace}; {INIT_REMEDY}"
            ) from error
        except NoHostAvailable as error:
            reasons = error.errors.values() if isinstance(error.errors, dict) else ()
            if any(isinstance(one, AuthenticationFailed) for one in reasons):
                raise ApdbConfigurationError(
                    "Cassandra refuses the user of apdb.url: check the user, and its password (apdb.password)"
                ) from None
            raise
    return session
