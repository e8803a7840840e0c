"""A sample is the same whenever it is drawn, of the size that was asked for, and fair."""

import numpy as np

from stream_assoc.tools.inspection.sampling import Sampling, smallest
from tests.tools.inspection.skies import Tampering, inspected

NONE = np.empty(0, np.int64)
IDS = np.random.default_rng(1).integers(-(2**63), 2**63 - 1, 20_000)


def drawn(pieces: list[np.ndarray], sampling: Sampling) -> np.ndarray:
    kept = NONE
    for ids in pieces:
        kept = smallest(kept, ids, sampling)
        assert sampling.n_objects is None or len(kept) <= sampling.n_objects
    return kept


def test_order_and_pieces_make_no_difference() -> None:
    sampling = Sampling(500)
    whole = drawn([IDS], sampling)
    assert len(np.unique(whole)) == 500
    assert np.isin(whole, IDS).all()
    shuffled = np.random.default_rng(2).permutation(IDS)
    assert drawn(np.array_split(shuffled, 31), sampling).tolist() == whole.tolist()


def test_another_seed_chooses_others_and_each_is_as_likely() -> None:
    ids = np.arange(1000)
    times = np.zeros(1000)
    for seed in range(400):
        times[drawn([ids], Sampling(100, seed))] += 1
    # Binomial: 400 draws of probability 0.1.
    assert abs(times.mean() - 40.0) < 1e-9
    assert abs(times.std() - 6.0) < 1.0


def test_few_are_taken_whole_and_none_is_none() -> None:
    assert drawn([IDS[:5], IDS[:3]], Sampling(10)).tolist() == sorted(IDS[:5].tolist())
    assert drawn([IDS], Sampling(0)).tolist() == []
    assert drawn([NONE], Sampling()).tolist() == []


def test_only_the_sample_is_folded(apdb: Tampering) -> None:
    apdb.run('UPDATE "DiaObject" SET "r_psfFluxMean" = 7 WHERE "validityEndMjdTai" IS NULL')
    n_all = len(inspected(apdb.url, Sampling(None)))
    assert n_all > 50
    some = [find.key["diaObjectId"] for find in inspected(apdb.url, Sampling(10))]
    assert some == [find.key["diaObjectId"] for find in inspected(apdb.url, Sampling(10))]
    assert len(some) == 10
    others = [find.key["diaObjectId"] for find in inspected(apdb.url, Sampling(10, seed=1))]
    assert others != some
    assert inspected(apdb.url, Sampling(0)) == []
