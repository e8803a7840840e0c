"""The cache in Redis, Valkey or anything that speaks MGET and MSET, and GETRANGE where it is warmed."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self, TypeVar

from redis.exceptions import NoPermissionError

from stream_assoc.core.model.objects import TiledObjects
from stream_assoc.core.model.states import ObjectStates, StateLayout
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.pipeline.ports.cache import CachedStates, CachedTiles, of_version
from stream_assoc.stores.cache.exceptions import CacheConfigurationError, CacheWritesRefusedError
from stream_assoc.stores.cache.packing import headers
from stream_assoc.stores.cache.packing.authentication import CacheKeys
from stream_assoc.stores.cache.packing.blobs import LAYOUT_VERSION, Blob
from stream_assoc.stores.cache.packing.state_packing import pack_states, unpack_state_versions, unpack_states
from stream_assoc.stores.cache.packing.tile_packing import pack_tiles, unpack_tiles
from stream_assoc.stores.cache.redis.connection import Client, connect, database_of, describe
from stream_assoc.stores.cache.redis.errors import translate, translated_errors
from stream_assoc.stores.cache.redis.memory import memory_advice
from stream_assoc.stores.cache.redis.servers import Command, servers_of

_Item = TypeVar("_Item")


class RedisCache:
    """An `~stream_assoc.pipeline.ports.cache.InspectableCache` shared by all daemons on one Redis.

    A tile is the string ``{prefix}:{version}:{layout}:{cell}:tile:{index}``, a
    state ``{prefix}:{version}:{layout}:{cell}:object:{id}``, where version is
    `~stream_assoc.stores.cache.packing.blobs.LAYOUT_VERSION` and the braces around the cell
    stay in the key: they are the hash tag that keeps a cell's keys on one node
    of a Redis Cluster. No key expires. Eviction is harmless, for a missing key
    is rebuilt.

    Parameters
    ----------
    client : `redis.Redis`, `redis.cluster.RedisCluster` or `str`
        A client that does not decode responses, or a URL for
        `~stream_assoc.stores.cache.redis.connection.connect`.
    layout : `StateLayout`
    tile_level, cell_level : `int`
        HTM levels of tiles and cells; a tile's cell is its ancestor.
    secret : `bytes`
        What the keys that authenticate blobs are drawn from, at most 64 bytes;
        shared by all daemons, and unknown to others who can write to this Redis.
    prefix : `str`, optional
        Begins every key, so that several surveys can share one Redis.
    chunk : `int`, optional
        Keys a command. A server answers nobody else while it runs one.

    Attributes
    ----------
    unreadable : `int`
        Blobs found damaged, forged or foreign so far.
    """

    def __init__(  # noqa: PLR0913 - what of these is configured varies by caller
        self,
        client: Client | str,
        layout: StateLayout,
        *,
        tile_level: int,
        cell_level: int,
        secret: bytes,
        prefix: str = "stream_assoc",
        chunk: int = 1000,
    ) -> None:
        if cell_level > tile_level:
            raise CacheConfigurationError(f"cell_level {cell_level} is finer than tile_level {tile_level}")
        stem = f"{prefix}:{LAYOUT_VERSION}:{layout.name}:"
        if "{" in stem or "}" in stem:
            raise CacheConfigurationError(f"redis.prefix and layout may not hold braces: {stem!r}")
        self._client = connect(client) if isinstance(client, str) else client
        self._servers = servers_of(self._client)
        self._place = describe(self._client)
        self._layout = layout
        self._stem = stem
        self._keys = CacheKeys.drawn_from(secret, stem)
        self._tile_shift = 2 * (tile_level - cell_level)
        self._chunk = chunk
        self.unreadable = 0

    def read_tiles(self, tiles: IntArray, versions: IntArray) -> TiledObjects:
        """Return those tiles that are cached with exactly the given version.

        Raises
        ------
        CacheUnavailableError
            If Redis cannot be reached or does not answer in time.
        CacheConfigurationError
            If Redis refuses the credentials or the command.
        """
        return of_version(self.peek_tiles(tiles), tiles, versions)

    def read_states(self, diaObjectId: IntArray, cells: IntArray, validityStartMjdTai: FloatArray) -> CachedStates:
        """Return those states that are cached for exactly the given object version.

        Raises
        ------
        CacheUnavailableError, CacheConfigurationError
            As `read_tiles`.
        """
        blobs = self._get(self.state_keys(diaObjectId, cells))
        cached, n_unreadable = unpack_states(blobs, self._layout, diaObjectId, validityStartMjdTai, self._keys.states)
        self.unreadable += n_unreadable
        return cached

    def peek_tiles(self, tiles: IntArray) -> CachedTiles:
        """Return those tiles that are cached, at whatever version.

        Raises
        ------
        CacheUnavailableError, CacheConfigurationError
            As `read_tiles`.
        """
        blobs = self._get([self.tile_key(tile) for tile in tiles.tolist()])
        cached, n_unreadable = unpack_tiles(blobs, tiles, self._keys.tiles)
        self.unreadable += n_unreadable
        return cached

    def peek_state_versions(self, diaObjectId: IntArray, cells: IntArray) -> FloatArray:
        """Return the validityStartMjdTai of each cached state, NaN for one that is absent or unreadable.

        Raises
        ------
        CacheUnavailableError, CacheConfigurationError
            As `read_tiles`.
        """
        blobs = self._get(self.state_keys(diaObjectId, cells))
        return unpack_state_versions(blobs, self._layout, diaObjectId, self._keys.states)

    def tile_versions(self, tiles: IntArray) -> IntArray:
        """Return the version that each tile is cached with, -1 for one that is absent.

        Raises
        ------
        CacheUnavailableError, CacheConfigurationError
            As `read_tiles`. The user needs GETRANGE.
        """
        keys = [self.tile_key(tile) for tile in tiles.tolist()]
        return headers.tile_versions(self._beginnings(keys, headers.TILE_BYTES), tiles)

    def state_versions(self, diaObjectId: IntArray, cells: IntArray) -> FloatArray:
        """Return the validityStartMjdTai that each state is cached with, NaN for one that is absent.

        Raises
        ------
        CacheUnavailableError, CacheConfigurationError
            As `tile_versions`.
        """
        keys = self.state_keys(diaObjectId, cells)
        return headers.state_versions(self._beginnings(keys, headers.STATE_BYTES), diaObjectId)

    def write(self, tiles: CachedTiles, states: ObjectStates, cells: IntArray) -> None:
        """Store these tiles, and these states under their cells, in one round trip.

        Raises
        ------
        CacheUnavailableError, CacheConfigurationError
            As `read_tiles`, or if Redis is full. Some of it may have been written.
        """
        tile_keys = map(self.tile_key, tiles.objects.tiles.tolist())
        blobs: dict[str, Blob] = dict(zip(tile_keys, pack_tiles(tiles, self._keys.tiles), strict=True))
        keys = self.state_keys(states.diaObjectId, cells)
        blobs.update(zip(keys, pack_states(states, self._layout, self._keys.states), strict=True))
        self._set(blobs)

    def close(self) -> None:
        """Release every connection."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def ping(self) -> None:
        """Return if Redis answers.

        Raises
        ------
        CacheUnavailableError, CacheConfigurationError
            As `read_tiles`.
        """
        with translated_errors(self._place):
            replies = self._servers.ping()
        self._raise_first_error(replies)

    def check(self) -> list[str]:
        """Verify that the cache works, and return what an operator should know.

        Writes and reads two small keys of different cells. A server that takes no writes for now, being
        full or a replica, is told and no obstacle, as it is none while batches are processed. What is told
        of its memory is in `~stream_assoc.stores.cache.redis.memory`.

        Returns
        -------
        advice : `list` [`str`]
            Sentences; empty when all is well.

        Raises
        ------
        CacheUnavailableError, CacheConfigurationError
            If it cannot be read, or will not let this user write.
        """
        self.ping()
        probes = [f"{self._stem}{{{cell}}}:check" for cell in range(2)]
        advice = []
        try:
            self._set(dict.fromkeys(probes, b"1"))
        except CacheWritesRefusedError as error:
            advice.append(f"{error}. Until then what is not cached is rebuilt from the APDB, which takes longer")
        self._get(probes)
        with translated_errors(self._place):
            try:
                nodes = self._information()
            except NoPermissionError:
                unchecked = (
                    f"The user of redis.url may not run INFO, so the memory policy of {self._place} is unchecked"
                )
                return [*advice, unchecked]
        database = database_of(self._client)
        for place, (memory, keyspace) in nodes.items():
            advice += memory_advice(place, memory, keyspace, database)
        return advice

    def tile_key(self, tile: int) -> str:
        """Return the key of a tile."""
        return f"{self._stem}{{{tile >> self._tile_shift}}}:tile:{tile}"

    def state_keys(self, diaObjectId: IntArray, cells: IntArray) -> list[str]:
        """Return the keys of states that live in these cells."""
        pairs = zip(diaObjectId.tolist(), cells.tolist(), strict=True)
        return [f"{self._stem}{{{cell}}}:object:{key}" for key, cell in pairs]

    def _information(self) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
        """Return what each server tells of its memory and of its databases."""
        return {
            place or self._place: (client.info("memory"), client.info("keyspace"))
            for place, client in self._servers.primaries().items()
        }

    def _get(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values of many keys, `None` for those that are missing."""
        parts = self._parts(keys)
        values: list[bytes | None] = [None] * len(keys)
        replies = self._run(("MGET", *(keys[one] for one in part)) for part in parts)
        for part, found in zip(parts, replies, strict=True):
            for place, value in zip(part, found, strict=True):
                values[place] = value
        return values

    def _beginnings(self, keys: Sequence[str], n_bytes: int) -> list[bytes]:
        """Return the first bytes of many values, none of those that are missing."""
        parts = (self._run(("GETRANGE", key, 0, n_bytes - 1) for key in part) for part in _chunks(keys, self._chunk))
        return list(itertools.chain.from_iterable(parts))

    def _set(self, blobs: Mapping[str, Blob]) -> None:
        items = list(blobs.items())
        parts = self._parts(list(blobs))
        self._run(("MSET", *itertools.chain.from_iterable(items[one] for one in part)) for part in parts)

    def _parts(self, keys: Sequence[str]) -> list[Sequence[int]]:
        """Divide keys, by their places, into those of one command each; of a divided cache each is of one cell."""
        if not self._servers.is_divided:
            return list(_chunks(range(len(keys)), self._chunk))
        of_cell: dict[str, list[int]] = {}
        for place, key in enumerate(keys):
            of_cell.setdefault(key[: key.index("}")], []).append(place)
        return [part for places in of_cell.values() for part in _chunks(places, self._chunk)]

    def _run(self, commands: Iterable[Command]) -> list[Any]:
        """Send commands together and return their replies, or raise the first error among them."""
        with translated_errors(self._place):
            replies = self._servers.run(commands)
        self._raise_first_error(replies)
        return replies

    def _raise_first_error(self, replies: Iterable[Any]) -> None:
        for reply in replies:
            if isinstance(reply, Exception):
                raise translate(reply, self._place)


def _chunks(items: Sequence[_Item], size: int) -> Iterable[Sequence[_Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))
