"""Whether a compacted topic of objects would hold the sky as it is."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.messaging.avro.output_decoder import decode_objects
from tests.contents import columns


def out_of_order(messages: Sequence[OutputMessage]) -> list[int]:
    """Return the objects of which a version comes behind a later one, ascending.

    Parameters
    ----------
    messages : sequence of `OutputMessage`
        The topic of objects, in the order of each partition; a message without
        a value tells when its object ended.
    """
    times = _times(messages)
    return sorted(key for key, of_one in times.items() if any(later <= sooner for sooner, later in pairwise(of_one)))


def not_as_stored(messages: Sequence[OutputMessage], apdb_url: str) -> list[int]:
    """Return the objects whose last message is not their current version in the APDB, ascending."""
    living = {int(one.key or b"") for one in messages} - {int(key) for key, value in _last(messages) if value is None}
    last = {key: of_one[-1] for key, of_one in _times(messages).items() if key in living}
    stored: dict[int, float] = dict(columns(apdb_url, "DiaObjectLast", "diaObjectId", "validityStartMjdTai"))
    return sorted(key for key in last.keys() | stored.keys() if last.get(key) != stored.get(key))


def _last(messages: Iterable[OutputMessage]) -> Iterable[tuple[bytes, bytes | None]]:
    return {one.key or b"": one.value for one in messages}.items()


def _times(messages: Sequence[OutputMessage]) -> dict[int, list[float]]:
    """Return when each version of an object begins, or the object ends, in order of the messages."""
    values = [one.value for one in messages if one.value is not None]
    begins = iter(decode_objects(values).column("validityStartMjdTai").to_pylist())
    times: dict[int, list[float]] = {}
    for one in messages:
        ended = dict(one.headers).get("validityEndMjdTai")
        time = next(begins) if one.value is not None else float(ended or b"nan")
        times.setdefault(int(one.key or b""), []).append(time)
    return times
