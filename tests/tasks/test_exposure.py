from typing import Any

import numpy as np
import pytest

from stream_assoc.tasks import Exposure
from stream_assoc.tasks.exceptions import ExposureError
from tests.pipeline.skies import square

GOOD: dict[str, Any] = {
    "visit": 7,
    "detector": 5,
    "band": "r",
    "midpointMjdTai": 61_366.25,
    "footprint": square(150.0, 2.0),
}


def test_integers_of_numpy_are_integers() -> None:
    exposure = Exposure(**GOOD | {"visit": np.int64(2**62), "detector": np.int32(188)})
    assert exposure.id == (2**62, 188)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("visit", -1),
        ("visit", 2**63),
        ("visit", 7.0),
        ("detector", -1),
        ("detector", 40_000),
        ("band", "w"),
        ("band", b"r"),
        ("midpointMjdTai", 2_461_002.5),
        ("midpointMjdTai", 1.76e9),
        ("midpointMjdTai", np.nan),
        ("midpointMjdTai", None),
        ("midpointMjdTai", "61366.25"),
        ("exposureTime", "30"),
        ("exposureTime", True),
        ("photoCalib", "1.0"),
        ("footprint", "a square"),
        ("footprint", [["150", "two"]] * 3),
        ("exposureTime", -30.0),
        ("exposureTime", np.inf),
        ("photoCalib", 0.0),
        ("photoCalib", -1.0),
        ("photoCalib", np.nan),
        ("photoCalib", np.inf),
        ("photoCalibErr", -0.1),
        ("photoCalibErr", np.nan),
        ("photoCalibErr", np.inf),
        ("pixelScale", 0.0),
        ("pixelScale", -0.2),
        ("pixelScale", np.nan),
    ],
)
def test_what_is_out_of_range_is_named(name: str, value: object) -> None:
    with pytest.raises(ExposureError, match=rf"visit .* detector .*: {name}"):
        Exposure(**GOOD | {name: value})
