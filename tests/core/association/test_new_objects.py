from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from stream_assoc.core.association.new_objects import NewObjectConfig, eligible
from stream_assoc.core.exceptions import AssociationConfigError, TooManyNewObjectsError
from stream_assoc.core.model.types import BAD_FLAGS
from stream_assoc.exceptions import PoisonError


def batch(**columns: Sequence[float | bool | None]) -> pa.RecordBatch:
    n = max(len(values) for values in columns.values())
    arrays: dict[str, pa.Array] = {name: pa.nulls(n, pa.bool_()) for name in BAD_FLAGS}
    arrays |= {name: pa.nulls(n, pa.float32()) for name in ("reliability", "apFlux", "apFluxErr")}
    arrays |= {name: pa.array(values, arrays[name].type) for name, values in columns.items()}
    return pa.RecordBatch.from_pydict(arrays)


@pytest.mark.parametrize("flag", BAD_FLAGS)
def test_a_flagged_source_makes_no_object_and_null_is_not_set(flag: str) -> None:
    assert eligible(batch(**{flag: [True, False, None]}), NewObjectConfig()).tolist() == [False, True, True]


def test_reliability_below_the_cut_but_not_a_missing_one() -> None:
    sources = batch(reliability=[0.05, 0.5, None, np.nan])
    assert eligible(sources, NewObjectConfig()).tolist() == [False, True, True, True]
    assert eligible(sources, NewObjectConfig(min_reliability=None)).all()


def test_signal_to_noise_is_off_by_default_and_counts_negative_fluxes() -> None:
    sources = batch(apFlux=[100.0, -100.0, 10.0, None, 10.0], apFluxErr=[10.0, 10.0, 10.0, 1.0, 0.0])
    assert eligible(sources, NewObjectConfig()).all()
    assert eligible(sources, NewObjectConfig(min_snr=5.0)).tolist() == [True, True, False, True, True]


def test_the_combined_cut_needs_both_faint_and_unreliable() -> None:
    sources = batch(apFlux=[1.0, 1.0, 9.0, 9.0], apFluxErr=[1.0] * 4, reliability=[0.2, 0.9, 0.2, 0.9])
    config = NewObjectConfig(low_reliability_snr=5.0, low_snr_reliability=0.5)
    assert eligible(sources, config).tolist() == [False, True, True, True]
    assert eligible(sources, NewObjectConfig(low_reliability_snr=5.0)).all()


def test_flags_can_be_chosen() -> None:
    sources = batch(glint_trail=[True], centroid_flag=[False])
    assert eligible(sources, NewObjectConfig(bad_flags=("centroid_flag",))).all()
    assert eligible(sources, NewObjectConfig(bad_flags=())).all()


def test_no_sources() -> None:
    assert eligible(batch(reliability=[]), NewObjectConfig()).tolist() == []


def test_unknown_columns_are_refused_by_name() -> None:
    with pytest.raises(AssociationConfigError, match="no_such_flag"):
        NewObjectConfig(bad_flags=("no_such_flag",))
    with pytest.raises(AssociationConfigError, match="psfFlx"):
        NewObjectConfig(flux_column="psfFlx")


def test_too_many_new_objects_quarantine_the_batch() -> None:
    assert issubclass(TooManyNewObjectsError, PoisonError)
    assert TooManyNewObjectsError.reason == "quarantine"
