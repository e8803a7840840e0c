"""What depends on the order of visits, and what does not (docs/order.md)."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_assoc.core.model.batch import Batch
from stream_assoc.core.model.schema import apdb_table
from tests.contents import columns
from tests.pipeline.skies import ARCSEC, MJD, apdb_url, batch, pinned_services, process_from, square

RA, DEC = 150.0, 2.0
BANDS_OF_VISITS = "rgriyz"
N_STARS = 4

NAMES_AND_TIMES = ("diaObjectId", "validityStartMjdTai", "validityEndMjdTai")
FIRST_SOURCE = ("raErr", "decErr", "ra_dec_Cov")
SUMS = ("Mean", "MeanErr", "Sigma")
"""Statistics that are sums over the sources, and so differ in the last digits."""


def visits() -> list[Batch]:
    """Return visits of four stars, ten arcsec apart, not all of them seen each time."""
    random = np.random.default_rng(3)
    made = []
    for visit, band in enumerate(BANDS_OF_VISITS, 1):
        seen = np.flatnonzero(random.random(N_STARS) < 0.8)
        places = DEC + (10.0 * seen + random.normal(0.0, 0.1, len(seen))) * ARCSEC
        fluxes: dict[str, Any] = {name: random.normal(1000.0, 50.0, len(seen)) for name in ("psfFlux", "scienceFlux")}
        errors: dict[str, Any] = {f"{name}Err": random.uniform(5.0, 30.0, len(seen)) for name in fluxes}
        footprint = square(RA, DEC)
        ra = [RA] * len(seen)
        raErr = random.uniform(0.03, 0.06, len(seen)) * ARCSEC
        made.append(
            batch(visit, ra, places.tolist(), band=band, footprint=footprint, raErr=raErr, **fluxes, **errors)
        )
    return made


VISITS = visits()


def sky_after(folder, batches, size=1):
    """Return the current version of every object by star, and the objects that the sources of each star joined."""
    services = pinned_services(folder)
    for first in range(0, len(batches), size):
        process_from(services, first, *batches[first : first + size])
    services.apdb.close()
    url = apdb_url(folder)
    names = apdb_table("DiaObject").names
    rows = [dict(zip(names, row, strict=True)) for row in columns(url, "DiaObject", *names)]
    current = {star_at(row["dec"]): row for row in rows if row["validityEndMjdTai"] is None}
    owners = {(star_at(dec), owner) for dec, owner in columns(url, "DiaSource", "dec", "diaObjectId")}
    return current, owners, rows


def star_at(dec):
    return round((dec - DEC) / ARCSEC / 10.0)


@pytest.fixture(scope="module")
def in_order(tmp_path_factory: pytest.TempPathFactory):
    return sky_after(tmp_path_factory.mktemp("in order"), VISITS)


def assert_same_statistics(sky, expected) -> None:
    current, owners, _ = sky
    reference, _, _ = expected
    assert len(owners) == len(current) == N_STARS, "each star is one object"
    for star, row in current.items():
        for name, value in row.items():
            other = reference[star][name]
            if name in (*NAMES_AND_TIMES, *FIRST_SOURCE):
                continue
            if name in {"ra", "dec"}:
                assert value == pytest.approx(other, rel=1e-14, abs=0.0)
            elif name.endswith(SUMS) and value is not None:
                # One step of the float32 that the column is.
                assert value == pytest.approx(other, rel=2.0**-23, abs=0.0)
            else:
                assert value == other, name


@settings(max_examples=12, deadline=None, derandomize=True)
@given(order=st.permutations(range(len(VISITS))), size=st.sampled_from([1, 2, 6]))
def test_statistics_do_not_depend_on_the_order_of_visits(in_order, order, size) -> None:
    with tempfile.TemporaryDirectory() as folder:
        sky = sky_after(Path(folder), [VISITS[i] for i in order], size)
    assert_same_statistics(sky, in_order)


def test_a_late_visit_makes_a_version_now_with_the_statistics_of_all(tmp_path: Path, in_order) -> None:
    late = [*VISITS[:2], *VISITS[3:], VISITS[2]]
    sky = sky_after(tmp_path, late)
    assert_same_statistics(sky, in_order)
    current, _, rows = sky
    for star, row in current.items():
        versions = sorted(
            (one["validityStartMjdTai"], one["validityEndMjdTai"]) for one in rows if star_at(one["dec"]) == star
        )
        assert [end for _, end in versions] == [*(start for start, _ in versions[1:]), None]
        assert row["lastDiaSourceMjdTai"] > MJD + VISITS[2].id.visit, "later than the late visit"


def test_the_founder_names_the_object_and_gives_it_its_errors(tmp_path: Path) -> None:
    first, second = (batch(v, [RA], [DEC], raErr=np.array([v * 0.01 * ARCSEC])) for v in (1, 2))
    for name, order in (("one", (first, second)), ("other", (second, first))):
        current, _, _ = sky_after(tmp_path / name, order)
        (row,) = current.values()
        assert row["diaObjectId"] == order[0].diaSourceId[0]
        assert row["raErr"] == np.float32(order[0].column("raErr")[0])


A, B, C = 0.0, 0.8, 1.7
"""A chain: neighbours are within the radius of 1 arcsec, the ends are not. Arcsec."""

CHAIN = {
    (A, B, C): {(A, B), (C,)},  # the mean of A and B is 1.3 from C
    (B, A, C): {(A, B), (C,)},
    (B, C, A): {(B, C), (A,)},  # the mean of B and C is 1.25 from A
    (C, B, A): {(B, C), (A,)},
    (A, C, B): {(A, B), (C,)},  # B is 0.8 from A and 0.9 from C
    (C, A, B): {(A, B), (C,)},
}


@pytest.mark.parametrize("order", list(CHAIN))
def test_which_object_a_source_joins_depends_on_the_order(tmp_path: Path, order: tuple[float, float, float]) -> None:
    services = pinned_services(tmp_path)
    footprint = square(RA, DEC)
    process_from(
        services,
        0,
        *(batch(i, [RA], [DEC + place * ARCSEC], footprint=footprint) for i, place in enumerate(order, 1)),
    )
    services.apdb.close()
    members: dict[int, list[float]] = {}
    for dec, owner in columns(apdb_url(tmp_path), "DiaSource", "dec", "diaObjectId"):
        members.setdefault(owner, []).append(round((dec - DEC) / ARCSEC, 3))
    assert {tuple(sorted(places)) for places in members.values()} == CHAIN[order]
