import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stream_assoc.core.exceptions import AssociationConfigError
from stream_assoc.tasks.association import AssociationConfig, AssociationTask
from stream_assoc.tasks.exceptions import CatalogError, MissingColumnError

GOLDEN = Path(__file__).parents[1] / "data" / "assoc"
SMALL_CASES = sorted(path.name for path in GOLDEN.iterdir())
BIG = 2**62 + 1


def assert_as_upstream(case: Path) -> None:
    sources, objects, expected = (
        pd.read_parquet(case / f"{name}.parquet") for name in ("sources", "objects", "expected")
    )
    info = json.loads((case / "info.json").read_text())
    result = AssociationTask().run(sources, objects)
    assert (result.nUpdatedDiaObjects, result.nUnassociatedDiaObjects) == (info["nUpdated"], info["nUnassociated"])

    for frame in (result.matchedDiaSources, result.unAssocDiaSources):
        assert frame["diaObjectId"].dtype == np.int64
        assert frame.index.equals(pd.RangeIndex(len(frame)))
    both = pd.concat([result.matchedDiaSources, result.unAssocDiaSources])
    assert (result.unAssocDiaSources["diaObjectId"] == 0).all()
    assert (result.matchedDiaSources["diaObjectId"] != 0).all()
    assert sorted(both["diaSourceId"]) == sorted(expected.loc[~expected["dropped"], "diaSourceId"])
    clear = expected[~expected["dropped"] & ~expected["ambiguous"]].set_index("diaSourceId")["diaObjectId"]
    got = both.set_index("diaSourceId")["diaObjectId"].loc[clear.index]
    np.testing.assert_array_equal(got.to_numpy(), clear.to_numpy())


@pytest.mark.parametrize("case", SMALL_CASES)
def test_small_case(case: str) -> None:
    assert_as_upstream(GOLDEN / case)


@pytest.mark.real_data
@pytest.mark.parametrize("case", ["big_10k_x_100k", "dense_5k_x_30k"])
def test_big_case(case: str, shared_data: Path) -> None:
    assert_as_upstream(shared_data / "golden" / "assoc" / case)


def catalogue(ra: list[float], **columns: object) -> pd.DataFrame:
    n = len(ra)
    return pd.DataFrame({"ra": ra, "dec": [1.0] * n, "raErr": [1e-5] * n, "decErr": [1e-5] * n, **columns})


def test_identifiers_keep_every_bit_beside_missing_values() -> None:
    sources = catalogue(
        [10.0, 20.0, np.nan],
        diaSourceId=[BIG, BIG + 1, BIG + 2],
        # The frame of a visit that no source was associated in before: pandas made it float.
        diaObjectId=[np.nan, np.nan, np.nan],
        ssObjectId=pd.array([BIG + 3, None, None], dtype="Int64"),
        parentDiaSourceId=pd.Series([None, BIG + 5, None], dtype=object),
    )
    result = AssociationTask().run(sources, catalogue([10.0], diaObjectId=[BIG + 7]))
    assert result.matchedDiaSources["diaObjectId"].tolist() == [BIG + 7]
    assert result.matchedDiaSources["diaSourceId"].tolist() == [BIG]
    assert result.matchedDiaSources["ssObjectId"].tolist() == [BIG + 3]
    assert result.unAssocDiaSources["diaSourceId"].tolist() == [BIG + 1]
    assert result.unAssocDiaSources["parentDiaSourceId"].tolist() == [BIG + 5]
    assert sources["diaObjectId"].isna().all()


@pytest.mark.parametrize("dtype", ["int64", "uint64", "Int64", "object", "int64[pyarrow]"])
def test_object_ids_of_any_integer_type(dtype: Any) -> None:
    objects = catalogue([10.0, 20.0], diaObjectId=pd.Series([BIG, BIG + 1]).astype(dtype))
    result = AssociationTask().run(catalogue([20.0, 10.0], diaSourceId=[1, 2]), objects)
    assert result.matchedDiaSources["diaObjectId"].tolist() == [BIG + 1, BIG]
    indexed = AssociationTask().run(catalogue([20.0, 10.0], diaSourceId=[1, 2]), objects.set_index("diaObjectId"))
    pd.testing.assert_frame_equal(indexed.matchedDiaSources, result.matchedDiaSources)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([float(BIG), np.nan], "diaObjectId is float64, which cannot hold every identifier"),
        (pd.array([BIG, None], dtype="Int64"), "diaObjectId is missing in 1 rows"),
        (pd.Series([BIG, "7"], dtype=object), "not integers"),
    ],
)
def test_object_ids_that_lost_their_meaning_are_refused(ids: object, message: str) -> None:
    with pytest.raises(CatalogError, match=message):
        AssociationTask().run(catalogue([10.0]), catalogue([10.0, 20.0], diaObjectId=ids))


def test_an_indexed_source_keeps_its_id() -> None:
    sources = catalogue([10.0], diaSourceId=[BIG]).set_index("diaSourceId")
    assert AssociationTask().run(sources, catalogue([], diaObjectId=[])).unAssocDiaSources[
        "diaSourceId"
    ].tolist() == [BIG]


def test_a_missing_column_is_named() -> None:
    with pytest.raises(MissingColumnError, match="no column 'dec'"):
        AssociationTask().run(catalogue([10.0]).drop(columns="dec"), catalogue([10.0], diaObjectId=[1]))
    with pytest.raises(CatalogError, match="ra holds values that are not numbers"):
        AssociationTask().run(catalogue([10.0]).assign(ra="north"), catalogue([10.0], diaObjectId=[1]))


def test_an_impossible_position_takes_part_in_nothing() -> None:
    sources = catalogue([10.0, 10.0], diaSourceId=[1, 2])
    sources.loc[0, "dec"] = 95.0
    result = AssociationTask().run(sources, catalogue([10.0], diaObjectId=[7]))
    assert result.matchedDiaSources["diaSourceId"].tolist() == [2]
    assert result.unAssocDiaSources.empty


def test_settings_are_upstreams() -> None:
    config = AssociationTask.ConfigClass()
    assert config == AssociationConfig(1.0, 0.05, 0.2)
    config.maxDistArcSeconds = 5.0
    far = catalogue([10.0 + 3.0 / 3600.0], diaSourceId=[1])
    assert AssociationTask(config=config).run(far, catalogue([10.0], diaObjectId=[7])).nUpdatedDiaObjects == 1
    assert AssociationTask().run(far, catalogue([10.0], diaObjectId=[7])).nUpdatedDiaObjects == 0
    with pytest.raises(AssociationConfigError):
        AssociationTask(AssociationConfig(maxDistArcSeconds=0.0))


@pytest.mark.parametrize("nothing", [pd.DataFrame(), pd.DataFrame(columns=["diaObjectId", "ra", "dec"])])
def test_without_objects_every_source_is_unassociated(nothing: pd.DataFrame) -> None:
    result = AssociationTask().run(catalogue([10.0, 20.0], diaSourceId=[BIG, BIG + 1]), nothing)
    assert result.unAssocDiaSources.diaSourceId.tolist() == [BIG, BIG + 1]
    assert result.unAssocDiaSources.diaObjectId.tolist() == [0, 0]
    assert result.matchedDiaSources.empty
    assert (result.nUpdatedDiaObjects, result.nUnassociatedDiaObjects) == (0, 0)


def test_without_sources_every_object_is_unassociated() -> None:
    objects = catalogue([10.0, 20.0], diaObjectId=[BIG, BIG + 1])
    result = AssociationTask().run(pd.DataFrame(), objects)
    assert (len(result.matchedDiaSources), len(result.unAssocDiaSources)) == (0, 0)
    assert (result.nUpdatedDiaObjects, result.nUnassociatedDiaObjects) == (0, 2)


def test_a_column_that_is_there_twice_is_refused() -> None:
    twice = pd.concat([catalogue([10.0]), catalogue([20.0])[["ra"]]], axis=1)
    with pytest.raises(CatalogError, match="'ra' 2 times"):
        AssociationTask().run(twice, catalogue([10.0], diaObjectId=[BIG]))


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (np.array([2**63 + 5, 1], np.uint64), "what int64 holds"),
        (pd.array([2**63 + 5, 1], dtype="UInt64"), "what int64 holds"),
        (pd.Series([2**70, 1], dtype=object), "what int64 holds"),
        (pd.Series([True, False], dtype=object), "not integers"),
        ([0, 5], "diaObjectId 0 is not positive"),
        ([-1, 5], "diaObjectId -1 is not positive"),
        ([5, 5], "diaObjectId 5 occurs more than once"),
    ],
)
def test_object_ids_that_can_be_none_are_refused(ids: Any, message: str) -> None:
    with pytest.raises(CatalogError, match=message):
        AssociationTask().run(catalogue([10.0, 20.0], diaSourceId=[1, 2]), catalogue([10.0, 20.0], diaObjectId=ids))


@pytest.mark.parametrize(
    "values",
    [
        pd.to_datetime(["2025-01-01", "2025-01-02"]),
        pd.to_timedelta([10, 20]),
        np.array([10 + 1j, 20]),
        [True, False],
        pd.array([True, None], dtype="boolean"),
    ],
)
def test_positions_that_are_no_numbers_are_refused(values: Any) -> None:
    sources = catalogue([10.0, 20.0], diaSourceId=[1, 2]).assign(ra=values)
    with pytest.raises(CatalogError, match=r"ra is .*; it must be a column of real numbers"):
        AssociationTask().run(sources, catalogue([10.0], diaObjectId=[3]))
