"""Ragged light curves and states: choosing and joining keep every point in its slot."""

import numpy as np
import pytest

from stream_assoc.core.model.states import N_BANDS, LightCurves, ObjectStates


def curves(lengths: list[int], first: float = 0.0) -> LightCurves:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    values = first + np.arange(offsets[-1], dtype=np.float64)
    return LightCurves(offsets, values, values * 2, values * 3, values * 4, values * 5)


def states(n: int, seed: int) -> ObjectStates:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 4, n * N_BANDS)
    return ObjectStates(
        diaObjectId=2**60 + rng.permutation(1000)[:n].astype(np.int64),
        validityStartMjdTai=rng.uniform(60000, 61000, n),
        raErr=rng.random(n, dtype=np.float32),
        decErr=rng.random(n, dtype=np.float32),
        ra_dec_Cov=rng.random(n, dtype=np.float32),
        object_fields=rng.random((n, 3)),
        band_fields=rng.random((n, N_BANDS, 4)),
        curves=curves(list(lengths), first=1000.0 * seed),
    )


def slot(light_curves: LightCurves, index: int, column: str) -> list[float]:
    begin, end = light_curves.offsets[index : index + 2]
    values: list[float] = getattr(light_curves, column)[begin:end].tolist()
    return values


@pytest.mark.parametrize("column", LightCurves.COLUMNS)
def test_taking_slots_keeps_each_ones_points_in_order(column) -> None:
    whole = curves([2, 0, 3, 1])
    chosen = whole.take(np.array([3, 2, 1, 2]))
    assert chosen.n_slots == 4
    assert [slot(chosen, i, column) for i in range(4)] == [slot(whole, i, column) for i in (3, 2, 1, 2)]


def test_taking_nothing_gives_no_slots() -> None:
    nothing = curves([2, 1]).take(np.empty(0, np.int64))
    assert nothing.n_slots == 0
    assert len(nothing.psfFlux) == 0


def test_joined_curves_follow_each_other() -> None:
    left, right = curves([1, 2]), curves([0, 3], first=100.0)
    joined = LightCurves.concatenate([left, right])
    expected = [
        slot(left, 0, "psfFlux"),
        slot(left, 1, "psfFlux"),
        slot(right, 0, "psfFlux"),
        slot(right, 1, "psfFlux"),
    ]
    assert [slot(joined, i, "psfFlux") for i in range(4)] == expected


def test_states_split_and_joined_again_are_the_same() -> None:
    whole = states(7, seed=1)
    parts = [whole.take(np.arange(3)), whole.take(np.empty(0, np.int64)), whole.take(np.arange(3, 7))]
    joined = ObjectStates.concatenate(parts)
    assert_same(joined, whole)


def test_taking_every_state_in_reverse_twice_is_the_identity() -> None:
    whole = states(5, seed=2)
    backwards = np.arange(5)[::-1]
    assert_same(whole.take(backwards).take(backwards), whole)


def assert_same(left: ObjectStates, right: ObjectStates) -> None:
    for name in (
        "diaObjectId",
        "validityStartMjdTai",
        "raErr",
        "decErr",
        "ra_dec_Cov",
        "object_fields",
        "band_fields",
    ):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
    np.testing.assert_array_equal(left.curves.offsets, right.curves.offsets)
    for name in LightCurves.COLUMNS:
        np.testing.assert_array_equal(getattr(left.curves, name), getattr(right.curves, name))
