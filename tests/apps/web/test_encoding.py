"""JSON that a browser reads without loss."""

import json

import pyarrow as pa

from stream_assoc.apps.web.encoding import metrics_of, plain, rows_of, to_json
from tests.apps.web.builders import BIG, metrics


def test_int64_columns_become_text_whatever_they_hold() -> None:
    table = pa.table({"visit": pa.array([BIG, 1]), "n": pa.array([1, 2], pa.int32()), "flux": [1.5, float("nan")]})
    assert rows_of(table) == [
        {"visit": str(BIG), "n": 1, "flux": 1.5},
        {"visit": "1", "n": 2, "flux": None},
    ]


def test_identifiers_anywhere_become_text() -> None:
    value = plain(
        {
            "diaObjectId": [BIG, -BIG],
            "inner": [{"matched_diaSourceId": BIG, "ssObjectId": None, "n": 3, "isOpen": True}],
            "offset": 7,
            "scores": (1.0, float("inf")),
        }
    )
    assert value == {
        "diaObjectId": [str(BIG), str(-BIG)],
        "inner": [{"matched_diaSourceId": str(BIG), "ssObjectId": None, "n": 3, "isOpen": True}],
        "offset": "7",
        "scores": [1.0, None],
    }


def test_metrics_keep_their_names() -> None:
    told = metrics_of(metrics(visit=BIG, detector=3))
    assert (told["visit"], told["detector"], told["numDiaSources"]) == (str(BIG), 3, 10)
    assert json.loads(to_json(told)) == told


def test_what_is_not_finite_is_refused_rather_than_written() -> None:
    import pytest

    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json({"x": float("nan")})
