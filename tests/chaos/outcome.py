"""What a night came to: the APDB, the sky as a daemon reads it through the cache, what subscribers saw."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stream_assoc.messaging.avro.wire import HEADER_BYTES
from stream_assoc.pipeline.neighbourhood import Neighbourhood
from stream_assoc.pipeline.ports.cache import CachedTiles
from stream_assoc.pipeline.services import Services
from stream_assoc.pipeline.staging import StagedCache
from stream_assoc.stores.cache.packing.authentication import CacheKeys
from stream_assoc.stores.cache.packing.state_packing import pack_states
from stream_assoc.stores.cache.packing.tile_packing import pack_tiles
from stream_assoc.stores.cache.redis.connection import Client, connect
from stream_assoc.wiring.stores import open_services
from tests.contents import CHECKPOINT, CHUNK_TABLES, COUNTER, LEDGER, OUTBOX, SCIENCE_TABLES, Rows, contents
from tests.integration.deployment import Deployment
from tests.order import not_as_stored, out_of_order

KEYS = CacheKeys.drawn_from(b"secret", "outcomes")
"""Of all blobs that are compared, whatever keys the deployment has."""

STAND_IN = "n" * 32
"""Stands for the deployment's own name, which is as long, in everything that is compared."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What must not depend on how often the daemon died.

    Attributes
    ----------
    apdb : `dict`
        The rows of every table, but for the replica chunks' random ids.
    outbox : `list`
        Outputs that still wait to be published.
    sky : `dict`
        Tiles and states as the next batch would meet them, packed: from Redis
        what is current there, from the APDB what is not.
    keys : `frozenset` [`str`]
        What is in Redis. A daemon that dies before it writes the cache leaves
        fewer, so they are no part of what is compared for equality.
    published : `dict`
        Key, value without its schema id, and headers of each message that a
        read_committed subscriber sees, in order, by topic.
    disordered : `list` [`int`]
        Objects whose versions were published in another order than they were
        made, or whose last message is not what the APDB holds of them.
    """

    apdb: dict[str, Rows]
    outbox: Rows
    sky: dict[str, bytes]
    keys: frozenset[str] = field(compare=False)
    published: dict[str, list[tuple[Any, ...]]]
    disordered: list[int]


def outcome_of(deployment: Deployment) -> Outcome:
    url = deployment.settings.apdb.url.get_secret_value()
    tables = (*SCIENCE_TABLES, *CHUNK_TABLES, LEDGER, COUNTER, CHECKPOINT)
    return Outcome(
        apdb=contents(url, *tables, without=("input_topic", "apdb_replica_chunk")),
        outbox=contents(url, OUTBOX)[OUTBOX],
        sky=sky_of(deployment),
        keys=keys_of(deployment),
        published=published(deployment),
        disordered=disordered(deployment),
    )


def assert_nothing_shows(outcome: Outcome, expected: Outcome) -> None:
    """Check that nobody can tell an interrupted night from an uninterrupted one."""
    assert outcome.outbox == []
    assert outcome.disordered == []
    assert outcome.apdb == expected.apdb
    assert outcome.published == expected.published
    assert outcome.sky == expected.sky
    assert outcome.keys <= expected.keys


def sky_of(deployment: Deployment) -> dict[str, bytes]:
    with open_services(deployment.settings) as services:
        return sky_in(services)


def sky_in(services: Services) -> dict[str, bytes]:
    tiles = services.apdb.known_tiles()
    with services.apdb.exclusive(np.unique(services.partition.cells(tiles))) as one:
        versions = dict(zip(tiles.tolist(), one.read_snapshot([], tiles).tile_versions.tolist(), strict=True))
        staged = StagedCache(services.cache, services.layout)
        neighbourhood = Neighbourhood(one, staged, services.calculator, services.partition, versions)
        objects = neighbourhood.objects(tiles)
        # How often a tile was written depends on which batches shared a transaction.
        blobs = pack_tiles(CachedTiles(objects, np.zeros(len(tiles), np.int64)), KEYS.tiles)
        sky = {f"tile {tile}": bytes(blob) for tile, blob in zip(tiles.tolist(), blobs, strict=True)}
        states = neighbourhood.states(objects.positions, objects.tile_of(np.arange(len(objects))))
        blobs = pack_states(states, services.layout, KEYS.states)
        sky |= {f"state {key}": bytes(blob) for key, blob in zip(states.diaObjectId.tolist(), blobs, strict=True)}
    return sky


def keys_of(deployment: Deployment) -> frozenset[str]:
    with client_of(deployment) as client:
        keys = [key.decode() for key in client.scan_iter(match=f"{deployment.settings.redis.prefix}:*", count=1000)]
    # After the prefix comes the identity of the APDB, which is random.
    return frozenset(key.split(":", 2)[2] for key in keys)


def empty_cache(deployment: Deployment) -> int:
    """Delete what this deployment has in Redis; return how many keys that was."""
    with client_of(deployment) as client:
        keys = list(client.scan_iter(match=f"{deployment.settings.redis.prefix}:*", count=1000))
        return client.delete(*keys) if keys else 0


@contextlib.contextmanager
def client_of(deployment: Deployment) -> Iterator[Client]:
    redis = deployment.settings.redis
    client = connect(
        *redis.urls(), cluster=redis.cluster, sentinel_service=redis.sentinel_service, timeout_seconds=5.0
    )
    with contextlib.closing(client):
        yield client


def disordered(deployment: Deployment) -> list[int]:
    """Return the objects of which a compacted topic would not hold the sky as it is."""
    messages = deployment.read(deployment.settings.kafka.objects_topic)
    url = deployment.settings.apdb.url.get_secret_value()
    return sorted({*out_of_order(messages), *not_as_stored(messages, url)})


def published(deployment: Deployment) -> dict[str, list[tuple[Any, ...]]]:
    kafka = deployment.settings.kafka
    name = kafka.input_topic.removesuffix(".dia-sources")
    assert len(name) == len(STAND_IN)
    return {
        topic.replace(name, STAND_IN): [
            (one.key, datum_of(one.value, name), one.headers) for one in deployment.read(topic)
        ]
        for topic in (kafka.objects_topic, kafka.forced_sources_topic, kafka.metrics_topic, kafka.dead_letter_topic)
    }


def datum_of(value: bytes | None, name: str) -> bytes | None:
    """Return the value of a message without the name of its deployment, nor the schema id, which releases change."""
    return value and value[HEADER_BYTES:].replace(name.encode(), STAND_IN.encode())
