from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stream_assoc.tools.verification import VerificationError
from stream_assoc.tools.verification.truth import Stored, Truth, find_truth, read_truth, score_stored


@pytest.fixture
def table(tmp_path: Path):
    path = tmp_path / "truth.parquet"
    ids = [2**60 + n for n in range(4)]
    kinds = ["variable", "variable", "asteroid", "transient"]
    names = ["a", "a", None, "b"]
    pq.write_table(pa.table({"diaSourceId": ids, "truth_id": [7, 7, 8, 9], "kind": kinds, "name": names}), path)
    return path


def test_of_a_simulation_what_stands_still_counts(table) -> None:
    for path in (table, table.parent):
        truth = read_truth(path)
        assert truth.diaSourceId.tolist() == [2**60, 2**60 + 1, 2**60 + 3]
        assert truth.truth_id.tolist() == [7, 7, 9]
    assert find_truth(table.parent / "batches.avro") == table
    assert find_truth(table.parent / "elsewhere" / "batches.avro") is None


def test_a_survey_names_what_it_knows(table) -> None:
    truth = read_truth(table, "name")
    assert truth.diaSourceId.tolist() == [2**60, 2**60 + 1, 2**60 + 3]
    assert truth.truth_id.tolist() == ["a", "a", "b"]


def test_a_source_may_be_listed_twice_but_is_one_thing(tmp_path: Path) -> None:
    for names, told in ((["a", "a", "b"], None), (["a", "b", "b"], "two different name of diaSourceId 1;")):
        pq.write_table(pa.table({"diaSourceId": [1, 1, 2], "name": names}), tmp_path / "t")
        if told is None:
            assert sorted(read_truth(tmp_path / "t", "name").truth_id.tolist()) == ["a", "b"]
        else:
            with pytest.raises(VerificationError, match=told):
                read_truth(tmp_path / "t", "name")


def test_what_is_missing_is_told(table, tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="no column objectId"):
        read_truth(table, "objectId")
    with pytest.raises(VerificationError, match="cannot read"):
        read_truth(tmp_path / "nowhere")


def test_only_what_was_sent_is_scored() -> None:
    truth = Truth(np.array([1, 2, 3, 4]), np.array(["a", "a", "a", "b"])).of(np.array([1, 2, 4, 5]))
    result = score_stored(Stored(np.array([1, 2, 4]), np.array([10, 10, 0])), truth)
    assert (result.n_sources, result.n_lost_sources, result.completeness) == (3, 1, 1.0)
    assert Stored(np.array([1, 1]), np.array([1, 2])).n_repeated == 1
