"""Computing alone: no store, no broker."""

from collections.abc import Callable
from typing import cast

import numpy as np
from scipy.spatial import cKDTree

from benchmarks.pipeline_services import visit
from benchmarks.side_by_side import Figure, in_turns
from benchmarks.skies import MJD, Size, histories_of, objects_of, visit_of
from stream_assoc.core.association.candidates import Candidates, find_candidates
from stream_assoc.core.model.states import SourcePoints
from stream_assoc.core.model.types import BANDS
from stream_assoc.core.sky.vectors import ARCSEC_PER_RADIAN, unit_vectors
from stream_assoc.core.statistics.calculator import StatisticsCalculator
from stream_assoc.core.statistics.plugin import needs_history
from stream_assoc.core.statistics.registry import ALL_PLUGINS, find_plugin

RADIUS_ARCSEC = 1.0

ACCUMULATORS = [name for name in ALL_PLUGINS if not needs_history(find_plugin(name))]
"""The plugins that need no light curve."""

Record = Callable[[Figure], None]


def test_compute_path(record: Record) -> None:
    small, large = visit(Size(10_000, 500_000)), visit(Size(40_000, 500_000))
    timed = in_turns(7, decode=small.decode_only, least=small.least, compute=small.compute, compute_40k=large.compute)
    record(
        Figure(
            "pyruhvro, candidates and statistics of that visit alone / pyruhvro decoding the message",
            timed.ratio("least", "decode"),
            details=timed.seconds,
        )
    )
    record(
        Figure(
            "compute path of 10k sources x 500k objects / pyruhvro decoding the message",
            timed.ratio("compute", "decode"),
            bar=12.0,
            details=timed.seconds,
            is_explained=True,
        )
    )
    record(
        Figure(
            "compute cost of a source at 40k / at 10k",
            timed.ratio("compute_40k", "compute") / 4.0,
            bar=1.3,
            details=timed.seconds,
        )
    )


def ours_and_tree(size: Size) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return the two ways to candidates on the same arrays, their pairs compared."""
    objects = objects_of(size)
    batch = visit_of(size, objects)
    ra, dec = batch.column("ra"), batch.column("dec")
    vectors, object_vectors = unit_vectors(ra, dec), unit_vectors(objects.ra, objects.dec)
    radius = RADIUS_ARCSEC / ARCSEC_PER_RADIAN

    def ours() -> Candidates:
        return find_candidates(ra, dec, objects.ra, objects.dec, RADIUS_ARCSEC)

    def tree() -> list[list[int]]:
        # The stub knows the answer to one point only.
        return cast("list[list[int]]", cKDTree(object_vectors).query_ball_point(vectors, radius))

    pairs = [(source, row) for source, rows in enumerate(tree()) for row in sorted(rows)]
    found = ours()
    assert pairs == list(zip(found.source_row.tolist(), found.object_row.tolist(), strict=True))
    return ours, tree


def test_candidates_against_a_tree(record: Record) -> None:
    ours, tree = ours_and_tree(Size(10_000, 500_000))
    timed = in_turns(10, ours=ours, tree=tree)
    record(
        Figure(
            "candidates of 10k x 500k / scipy cKDTree build + query_ball_point",
            timed.ratio("ours", "tree"),
            bar=1.0 / 30.0,
            details=timed.seconds,
        )
    )


def long_and_short_updates() -> tuple[Callable[[], object], Callable[[], object]]:
    """Return updates of a thousand objects with ten points each, and with a thousand."""
    calculator = StatisticsCalculator(ACCUMULATORS)
    objects = objects_of(Size(1, 1_000))
    n = len(objects)
    points = SourcePoints(
        ra=objects.ra,
        dec=objects.dec,
        midpointMjdTai=np.full(n, MJD),
        psfFlux=np.full(n, 900.0),
        psfFluxErr=np.full(n, 50.0),
        scienceFlux=np.full(n, 900.0),
        scienceFluxErr=np.full(n, 50.0),
        band=np.full(n, BANDS.index("r")),
        flag=np.zeros(n, np.bool_),
    )
    short, long = (calculator.rebuild(histories_of(objects, n_points)) for n_points in (10, 1_000))
    return lambda: calculator.update(short, points, MJD), lambda: calculator.update(long, points, MJD)


def test_long_histories(record: Record) -> None:
    short, long = long_and_short_updates()
    timed = in_turns(20, short=short, long=long)
    record(
        Figure(
            "update of an object with 1,000 points / with 10, accumulator plugins",
            timed.ratio("long", "short"),
            bar=2.0,
            details=timed.seconds,
        )
    )
