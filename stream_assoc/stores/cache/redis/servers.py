"""Who runs the commands of the cache: one server, or the nodes of a cluster."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final, Protocol, TypeAlias, TypeVar

import redis
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import AskError, ResponseError, TryAgainError
from redis.exceptions import ConnectionError as NotConnectedError
from redis.exceptions import TimeoutError as SilentError

from stream_assoc.stores.cache.packing.blobs import Blob

Command: TypeAlias = tuple[str | int | Blob, ...]
"""A command's name, its key, and whatever follows."""

T = TypeVar("T")

_REDIRECTIONS: Final = (AskError, TryAgainError)
"""Replies of a node whose slots move."""


class Servers(Protocol):
    """What the cache needs of whoever keeps its keys."""

    is_divided: bool
    """Whether the keys of one command must be of one cell."""

    def run(self, commands: Iterable[Command]) -> list[Any]:
        """Send commands together, and return the reply of each, which may be an exception."""

    def ping(self) -> list[Any]:
        """Return the reply of every primary, which may be an exception."""

    def primaries(self) -> Mapping[str, redis.Redis]:
        """Return a client of each primary, by its address; of a single server by none."""


def servers_of(client: redis.Redis | RedisCluster) -> Servers:
    """Return who answers this client."""
    return _Cluster(client) if isinstance(client, RedisCluster) else _OneServer(client)


class _OneServer:
    is_divided = False

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def run(self, commands: Iterable[Command]) -> list[Any]:
        pipeline: Any = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        # redis-py's own raising would print a command's whole content into the message.
        return list(pipeline.execute(raise_on_error=False))

    def ping(self) -> list[Any]:
        return self.run([("PING",)])

    def primaries(self) -> Mapping[str, redis.Redis]:
        return {"": self._client}


class _NodeDownError(Exception):
    """A node has closed the connection, or is silent."""

    def __init__(self, node: ClusterNode, error: NotConnectedError | SilentError) -> None:
        super().__init__(node.name)
        self.node, self.error = node, error


class _Cluster:
    """The nodes of a cluster: all are sent to before the first answer is read.

    redis-py's own pipeline sends the commands of a node that is silent to it
    again, one by one, and waits its timeout for each. Here the first silence is
    enough: the other nodes are asked who has its slots now, and if that is still
    it, nothing more is sent.
    """

    is_divided = True

    def __init__(self, client: RedisCluster) -> None:
        self._client = client
        self._named = [(node.host, node.port) for node in client.startup_nodes]

    def run(self, commands: Iterable[Command]) -> list[Any]:
        all_commands = list(commands)
        return self._with_nodes_that_are_up(lambda: self._followed(all_commands, self._sent(all_commands)))

    def ping(self) -> list[Any]:
        def ask() -> list[Any]:
            return _exchanged(self._client, {node: [("PING",)] for node in self._nodes()})

        return self._with_nodes_that_are_up(ask)

    def primaries(self) -> Mapping[str, redis.Redis]:
        return {str(node.name): self._client.get_redis_connection(node) for node in self._nodes()}

    def _nodes(self) -> list[ClusterNode]:
        return self._client.get_primaries()  # type: ignore[no-any-return, no-untyped-call]

    def _sent(self, commands: Sequence[Command]) -> list[Any]:
        """Send each command to the node that has its slot, as far as is known."""
        numbers: dict[ClusterNode, list[int]] = {}
        for number, command in enumerate(commands):
            node = self._client.get_node_from_key(command[1])  # type: ignore[no-untyped-call]
            numbers.setdefault(node, []).append(number)
        replies: list[Any] = [None] * len(commands)
        of_node = {node: [commands[number] for number in of_it] for node, of_it in numbers.items()}
        in_turn = (number for of_it in numbers.values() for number in of_it)
        for number, reply in zip(in_turn, _exchanged(self._client, of_node), strict=True):
            replies[number] = reply
        return replies

    def _followed(self, commands: Sequence[Command], replies: list[Any]) -> list[Any]:
        """Send commands on to where their slots have moved."""
        client: Any = self._client
        return [
            client.execute_command(*command) if isinstance(reply, _REDIRECTIONS) else reply
            for command, reply in zip(commands, replies, strict=True)
        ]

    def _with_nodes_that_are_up(self, call: Callable[[], T]) -> T:
        """Try again with whoever has taken over from a node that is down."""
        for n_left in reversed(range(1 + self._client.retry.get_retries())):
            try:
                return call()
            except _NodeDownError as caught:
                down = caught
            self._client.nodes_manager.initialize(
                additional_startup_nodes_info=self._named, last_failed_node_name=down.node.name
            )
            if not n_left or (isinstance(down.error, SilentError) and down.node in self._nodes()):
                break
        # Not in the handler, where it would lose the context that tells what is wrong with TLS.
        raise down.error


def _exchanged(client: RedisCluster, commands: Mapping[ClusterNode, Sequence[Command]]) -> list[Any]:
    """Send each node its commands, and return all replies in this order.

    Raises
    ------
    _NodeDownError
        If one is down; what the others have answered is lost.
    """
    replies: list[Any] = []
    with ExitStack() as stack:
        lent = [(node, stack.enter_context(_connection_to(client, node)), of_it) for node, of_it in commands.items()]
        for node, connection, of_it in lent:
            with _blamed(node):
                connection.send_packed_command(connection.pack_commands(of_it))
        for node, connection, of_it in lent:
            with _blamed(node):
                replies += [_reply(client.get_redis_connection(node), connection, name) for name, *_ in of_it]
    return replies


@contextmanager
def _connection_to(client: RedisCluster, node: ClusterNode) -> Iterator[Any]:
    """Lend a connection to a node; what is left unread ends with it."""
    pool = client.get_redis_connection(node).connection_pool
    with _blamed(node):
        connection: Any = pool.get_connection()
    try:
        yield connection
    except BaseException:
        connection.disconnect()
        raise
    finally:
        pool.release(connection)


def _reply(server: redis.Redis, connection: object, command: object) -> object:
    try:
        return server.parse_response(connection, command)  # type: ignore[no-untyped-call]
    except ResponseError as error:
        return error


@contextmanager
def _blamed(node: ClusterNode) -> Iterator[None]:
    try:
        yield
    except (NotConnectedError, SilentError) as error:
        raise _NodeDownError(node, error) from error
