import dataclasses

import pytest

from stream_assoc.messaging.avro.batch_encoder import BatchEncoder
from stream_assoc.messaging.avro.batch_header import batch_header
from stream_assoc.messaging.avro.wire import header
from stream_assoc.messaging.exceptions import DecodeError
from tests.pipeline.skies import MJD, batch

BATCH = batch(7, [150.0, 150.1], [2.0, 2.1], detector=94)


def test_single_values_and_lengths_of_lists_are_told() -> None:
    told = batch_header(BatchEncoder().encode(BATCH))
    assert (told["visit"], told["detector"], told["band"], told["midpointMjdTai"]) == (7, 94, "r", MJD + 7)
    assert (told["footprint"], told["diaSources"], told["solarSystemObjects"]) == (4, 2, 0)
    assert told["scienceImageUri"] is None


def test_a_batch_that_decoding_refuses_is_told_all_the_same() -> None:
    refused = dataclasses.replace(batch(8, [150.0, 150.1], [2.0, 2.1], ids=[5, 5]), band="w")
    told = batch_header(BatchEncoder().encode(refused))
    assert (told["visit"], told["band"], told["diaSources"]) == (8, "w", 2)


@pytest.mark.parametrize("value", [None, b"", b"{}", header(4242), BatchEncoder().encode(BATCH)[:-1]])
def test_bytes_that_are_no_batch_are_refused(value) -> None:
    with pytest.raises(DecodeError):
        batch_header(value)
