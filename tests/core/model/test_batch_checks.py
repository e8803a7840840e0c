from dataclasses import replace

import numpy as np
import pytest

from stream_assoc.core.exceptions import InvalidBatchError
from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.batch_checks import check_batch, check_source_ids, check_visit
from tests.pipeline.skies import batch

GOOD = (BatchId(7, 5), "r", 61_366.25, 30.0)


def reason(batch: BatchId, band: str, midpoint: float, exposure: float | None) -> str:
    with pytest.raises(InvalidBatchError, match=f"visit {batch.visit} detector {batch.detector}: ") as caught:
        check_visit(batch, band, midpoint, exposure)
    return caught.value.reason


@pytest.mark.parametrize("exposure", [30.0, None, float("nan"), 86_400.0])
def test_a_good_visit(exposure: float | None) -> None:
    check_visit(BatchId(2**63 - 1, 2**15 - 1), "y", 61_366.25, exposure)
    check_visit(BatchId(0, 0), "u", 61_366.25, exposure)


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        (0, BatchId(-1, 5), "invalid_visit"),
        (0, BatchId(2**63, 5), "invalid_visit"),
        (0, BatchId(True, 5), "invalid_visit"),
        (0, BatchId(7.0, 5), "invalid_visit"),  # type: ignore[arg-type]
        (0, BatchId(7, -1), "invalid_detector"),
        (0, BatchId(7, 40_000), "invalid_detector"),
        (1, "w", "unknown_band"),
        (1, b"r", "unknown_band"),
        (2, 2_461_002.5, "invalid_time"),
        (2, 1.76e9, "invalid_time"),
        (2, float("nan"), "invalid_time"),
        (2, 0.0, "invalid_time"),
        (3, -30.0, "invalid_exposure_time"),
        (3, 0.0, "invalid_exposure_time"),
        (3, float("inf"), "invalid_exposure_time"),
        (3, 1.76e9, "invalid_exposure_time"),
    ],
)
def test_what_is_out_of_range_is_named(place: int, value: object, expected: str) -> None:
    parts: list[object] = list(GOOD)
    parts[place] = value
    assert reason(*parts) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ids", "expected"),
    [([0], "invalid_id"), ([5, -1], "invalid_id"), ([5, 6, 5], "duplicate_ids")],
)
def test_source_ids(ids: list[int], expected: str) -> None:
    with pytest.raises(InvalidBatchError, match="visit 7 detector 5: ") as caught:
        check_source_ids(GOOD[0], np.array(ids))
    assert caught.value.reason == expected


def test_a_whole_batch() -> None:
    one = batch(1, [150.0], [2.0])
    check_batch(one)
    with pytest.raises(InvalidBatchError, match="none of g"):
        check_batch(one, ("g",))
    with pytest.raises(InvalidBatchError, match="Julian date"):
        check_batch(replace(one, midpointMjdTai=2_461_002.5))
    with pytest.raises(InvalidBatchError, match="not positive"):
        check_batch(batch(1, [150.0], [2.0], ids=[0]))
