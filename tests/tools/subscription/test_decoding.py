import pyarrow as pa
import pytest

from stream_assoc.core.model.batch import Observation
from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import InputMessage
from stream_assoc.exceptions import PoisonError
from stream_assoc.messaging.avro.alerts.decoder import Alert
from stream_assoc.messaging.avro.alerts.encoder import AlertEncoder
from stream_assoc.messaging.avro.dead_letters import DeadLetter, dead_letter
from stream_assoc.tools.subscription.decoding import (
    alerts_decoder,
    dead_letter_decoder,
    forced_sources_decoder,
    metrics_decoder,
    objects_decoder,
)
from stream_assoc.tools.subscription.records import BadMessage, DiaObjectUpdate, ForcedSource
from tests.messaging.avro.alerts.rows import random_alerts
from tests.outputs import ended, forced_sources_of, metrics_of, metrics_value, objects_of

LARGE = 2**60 + 1


def read(values):
    """Return messages as they are read: each an `OutputMessage` or the bytes of a value."""
    return [
        InputMessage(InputPosition("t", 0, offset), -1, None, value)
        if isinstance(value, bytes | None)
        else InputMessage(InputPosition("t", 0, offset), -1, value.key, value.value, value.headers)
        for offset, value in enumerate(values)
    ]


def test_metrics_are_records_and_what_is_none_is_told() -> None:
    records = list(metrics_decoder(None).decode(read([metrics_value(metrics_of(1)), b"rubbish", None])))
    assert records[0] == metrics_of(1)
    assert isinstance(records[1], BadMessage)
    assert records[1].position.offset == 1
    assert "t[0]@1 passed over: the value begins with" in str(records[1])
    assert records[2] is None


def test_alerts_are_views_and_what_is_none_is_told() -> None:
    (value,) = AlertEncoder().encode(random_alerts([2], [1], seed=5), None, Observation("ddf")).to_pylist()
    alert, bad, empty = alerts_decoder(None).decode(read([value, b"rubbish", None]))
    assert isinstance(alert, Alert)
    assert (alert.reason, len(alert.record["prvDiaSources"])) == ("ddf", 2)
    assert isinstance(bad, BadMessage)
    assert isinstance(empty, BadMessage)


def test_objects_keep_their_ids_and_nulls_and_ends() -> None:
    first, second = objects_of([LARGE, LARGE + 2], ra=[10.0, 11.0], g_psfFluxMean=[120.5, None])
    one, two, three = objects_decoder(None).decode(read([first, ended(LARGE), second]))
    assert isinstance(one, DiaObjectUpdate)
    assert isinstance(three, DiaObjectUpdate)
    assert (one.diaObjectId, one.ra, one.bands, one["g_psfFluxMean"]) == (LARGE, 10.0, ("g",), 120.5)
    assert isinstance(two, DiaObjectUpdate)
    assert two == DiaObjectUpdate(LARGE, None)
    assert (three.diaObjectId, three.bands, three["r_psfFluxMean"]) == (LARGE + 2, (), None)
    assert [one.has_ended, two.has_ended, three.has_ended] == [False, True, False]


def test_statistics_beyond_dia_object_are_columns_like_others() -> None:
    further = pa.table({"r_psfFluxSkew": pa.array([0.5, None])})
    with_more = objects_of([1, 2], further=further)
    (without,) = objects_of([3])
    one, two, three = objects_decoder(None).decode(read([*with_more, without]))
    assert isinstance(one, DiaObjectUpdate)
    assert isinstance(two, DiaObjectUpdate)
    assert isinstance(three, DiaObjectUpdate)
    assert (one["r_psfFluxSkew"], one["r_psfFluxMAD"], two["r_psfFluxSkew"]) == (0.5, None, None)
    assert three["r_psfFluxMean"] is None
    with pytest.raises(KeyError, match=r"statistics\.plugins"):
        three["r_psfFluxSkew"]


def test_the_columns_of_an_end_are_refused_by_name() -> None:
    with pytest.raises(KeyError, match="has ended"):
        _ = DiaObjectUpdate(5, None).ra


def test_a_bad_object_among_many_harms_no_other() -> None:
    good = objects_of([1, 2, 3], ra=[1.0, 2.0, 3.0])
    records = list(objects_decoder(None).decode(read([good[0], b"\0\0\0\0\x64rubbish", good[1], ended(9), good[2]])))
    assert [isinstance(one, BadMessage) for one in records] == [False, True, False, False, False]
    assert [one.diaObjectId for one in records if isinstance(one, DiaObjectUpdate)] == [1, 2, 9, 3]


def test_a_tombstone_without_an_id_is_told() -> None:
    (record,) = objects_decoder(None).decode(read([None]))
    assert isinstance(record, BadMessage)
    assert "is no diaObjectId" in str(record)


def test_dead_letters_come_with_their_original() -> None:
    original = InputMessage(InputPosition("dia-sources", 3, 17), 5, b"k", None, (("h", b"v"),))
    letter, other = dead_letter_decoder(None).decode(
        read([dead_letter(original, PoisonError("bad"), "dlq", 1), b"x"])
    )
    assert isinstance(letter, DeadLetter)
    assert letter.original == original
    assert letter.record.message == "bad"
    assert isinstance(other, BadMessage)


def test_forced_sources_are_records() -> None:
    (value,) = forced_sources_of([LARGE], visit=[7], psfFlux=[-1.5])
    good, bad, empty = forced_sources_decoder(None).decode(read([value, b"x", None]))
    assert isinstance(good, ForcedSource)
    assert (good.diaObjectId, good["visit"], good["psfFlux"], good["scienceFlux"]) == (LARGE, 7, -1.5, None)
    assert isinstance(bad, BadMessage)
    assert isinstance(empty, BadMessage)
