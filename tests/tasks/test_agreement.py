from typing import Any

import numpy as np
import pandas as pd
import pytest
from astropy.table import Table

from stream_assoc.tasks import Exposure
from stream_assoc.tasks.agreement import check_agreement
from stream_assoc.tasks.exceptions import CatalogError
from tests.pipeline.skies import square

EXPOSURE = Exposure(7, 5, "r", 61_366.25, square(150.0, 2.0), exposureTime=30.1)
SAID: dict[str, Any] = {
    "visit": [7, 7],
    "detector": np.array([5, 5], np.int16),
    "band": ["r", "r"],
    "midpointMjdTai": [61_366.25, np.nextafter(61_366.25, np.inf)],
    "exposureTime": np.array([30.1, 30.1], np.float32),
}


@pytest.mark.parametrize(
    "said", [SAID, {}, SAID | {"band": [b"r", b"r "]}, SAID | {"band": ["r", None], "exposureTime": [np.nan] * 2}]
)
def test_a_catalogue_of_the_exposure(said: dict[str, Any]) -> None:
    check_agreement(pd.DataFrame(said), EXPOSURE)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("visit", [7, 8]),
        ("visit", [7, 2**62]),
        ("detector", [6, 5]),
        ("band", ["r", "i"]),
        ("band", [b"r", b"i"]),
        ("midpointMjdTai", [61_366.25, 61_366.26]),
        ("midpointMjdTai", [2_461_366.75] * 2),
        ("exposureTime", [30.1, 15.0]),
    ],
)
@pytest.mark.parametrize("kind", [pd.DataFrame, Table])
def test_a_row_of_another_exposure_is_named(kind: Any, name: str, values: list[Any]) -> None:
    with pytest.raises(CatalogError, match=rf"visit 7 detector 5: \d of 2 rows have {name} "):
        check_agreement(kind(SAID | {name: values}), EXPOSURE)


def test_times_in_seconds_are_compared_as_days() -> None:
    table = Table({"midpointMjdTai": [61_366.25 * 86_400.0]})
    table["midpointMjdTai"].unit = "s"
    check_agreement(table, EXPOSURE)
