"""The numbers of upstream's own code, on nineteen synthetic skies."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stream_assoc.core.association.associator import Association, Associator, SourcePositions
from stream_assoc.core.model.objects import ObjectPositions

GOLDEN = Path(__file__).parents[2] / "data" / "assoc"
SMALL_CASES = sorted(path.name for path in GOLDEN.iterdir())


def column(table: pa.Table, name: str) -> Any:
    if name not in table.column_names:
        return np.full(table.num_rows, np.nan)
    # The cases' own types are kept: only some of them hold float32 errors.
    return table[name].to_numpy()


def assert_as_upstream(case: Path) -> None:
    sources, objects, expected = (pq.read_table(case / f"{t}.parquet") for t in ("sources", "objects", "expected"))
    info = json.loads((case / "info.json").read_text())
    n = objects.num_rows
    catalogue = ObjectPositions(
        **{name: column(objects, name) for name in ("diaObjectId", "ra", "dec", "raErr", "decErr")},
        validityStartMjdTai=np.zeros(n),
        nDiaSources=np.ones(n, np.int32),
    )
    result = Associator().associate(
        SourcePositions(*(column(sources, name) for name in ("ra", "dec", "raErr", "decErr"))), catalogue
    )

    matched = result.object_row >= 0
    ids = np.zeros(sources.num_rows, np.int64)
    ids[matched] = catalogue.diaObjectId[result.object_row[matched]]
    clear = ~column(expected, "ambiguous")
    np.testing.assert_array_equal(ids[clear], column(expected, "diaObjectId")[clear])
    np.testing.assert_array_equal(result.dropped, column(expected, "dropped"))
    assert matched.sum() == info["nUpdated"] == len(np.unique(result.object_row[matched]))
    assert n - matched.sum() == info["nUnassociated"]
    assert len(result.candidates) == info["nPairs"]
    assert result.mode == info["mode"]
    if result.mode == "none":
        assert np.isnan([result.unmatched_cost, result.total_cost]).all()
        return
    assert_costs(
        result,
        info,
        in_float32=sources.schema.field("raErr").type == pa.float32() if "raErr" in sources.column_names else False,
    )


def assert_costs(result: Association, info: dict[str, float], in_float32: bool) -> None:
    # Upstream squares float32 errors in float32; here every score is float64.
    tolerance = 1e-6 if in_float32 else 1e-12
    assert result.unmatched_cost == pytest.approx(info["unmatchedCost"], rel=tolerance)
    assert result.total_cost == pytest.approx(info["totalCost"], rel=tolerance)


@pytest.mark.parametrize("case", SMALL_CASES)
def test_small_case(case: str) -> None:
    assert_as_upstream(GOLDEN / case)


@pytest.mark.real_data
@pytest.mark.parametrize("case", ["big_10k_x_100k", "dense_5k_x_30k"])
def test_big_case(case: str, shared_data: Path) -> None:
    assert_as_upstream(shared_data / "golden" / "assoc" / case)
