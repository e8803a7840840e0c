"""What an operator should know about the memory of a Redis server."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

_EVICTING: Final = ("allkeys-lru", "allkeys-lfu", "allkeys-random")


def memory_advice(place: str, memory: Mapping[str, Any], keyspace: Mapping[str, Any], database: int) -> Iterator[str]:
    """Yield a sentence for each thing that should be otherwise.

    Parameters
    ----------
    place : `str`
        Address of the server, without credentials.
    memory, keyspace : `~collections.abc.Mapping`
        What its ``INFO memory`` and ``INFO keyspace`` say.
    database : `int`
        The number of the cache's own database.

    Notes
    -----
    No key of the cache expires. So the ``volatile`` policies evict nothing, and
    a key that does expire belongs to another program.
    """
    limit, policy = memory.get("maxmemory"), memory.get("maxmemory_policy")
    if limit == 0:
        yield (
            f"Redis at {place} has no maxmemory: it grows until its machine is out of memory. Set maxmemory "
            "(docs/how-to/size.md tells what it means), and maxmemory-policy allkeys-lru"
        )
    elif limit and policy not in _EVICTING:
        yield (
            f"Redis at {place} has maxmemory-policy {policy} and will refuse writes when full: "
            "set allkeys-lru (an evicted key is rebuilt from the APDB)"
        )
    if others := _others(keyspace, database):
        yield (
            f"Redis at {place} also holds keys of other programs ({others}): they share its memory, and an allkeys "
            "policy evicts theirs too. Give the cache a Redis of its own"
        )


def _others(keyspace: Mapping[str, Any], database: int) -> str:
    """Return where keys are that the cache did not write, as far as the counts of keys tell."""
    found = []
    for name, counts in keyspace.items():
        if name != f"db{database}":
            found.append(f"{counts['keys']} in {name}")
        elif counts["expires"]:
            found.append(f"{counts['expires']} that expire in {name}")
    return ", ".join(found)
