"""Which fields a survey visits when: it decides whether the cache still has a field's objects by then."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stream_assoc.core.model.types import FloatArray, IntArray

SECONDS_A_DAY = 86_400
NIGHTS_A_YEAR = 365.25
RESTLESSNESS = 0.3
"""How much chance there is in the choice of fields: weather, the Moon, what the scheduler weighs."""


@dataclass(frozen=True, slots=True)
class Cadence:
    """How a survey visits its fields.

    Attributes
    ----------
    name : `str`
    n_fields : `int`
        All around the sky, in order of right ascension.
    square_degrees : `float`
        Of a field.
    sources : `int`
        DIASources of a visit.
    visible : `float`
        Share of the fields that a night can reach; they move on with the year.
    nightly : `int`
        Fields that are visited twice in a night.
    block : `int`
        Fields that are visited one after the other before they are visited again.
    deep_fields : `int`
        Fields of which one a night is visited ``deep_visits`` times more.
    deep_visits : `int`
    seconds : `float`
        From one visit to the next.
    """

    name: str
    n_fields: int
    square_degrees: float
    sources: int
    visible: float
    nightly: int
    block: int
    deep_fields: int = 0
    deep_visits: int = 0
    seconds: float = 37.0


RUBIN = Cadence(
    "Rubin: 18,000 square degrees, pairs after half an hour, 100 visits of a deep field a night",
    n_fields=1_875,
    square_degrees=9.6,
    sources=10_000,
    visible=0.7,
    nightly=450,
    block=50,
    deep_fields=5,
    deep_visits=100,
)
ZTF = Cadence(
    "ZTF: 25,000 square degrees, twice in a night, every third night",
    n_fields=532,
    square_degrees=47.0,
    sources=1_000,
    visible=0.65,
    nightly=115,
    block=60,
    seconds=40.0,
)
FOLLOW_UP = Cadence(
    "One field, again and again",
    n_fields=1,
    square_degrees=9.6,
    sources=10_000,
    visible=1.0,
    nightly=0,
    block=1,
    deep_fields=1,
    deep_visits=100,
)


@dataclass(frozen=True, slots=True)
class Visits:
    """What a survey does in some nights.

    Attributes
    ----------
    field : `numpy.ndarray` [int64], shape (n,)
        Index of the field of each visit, in order.
    second : `numpy.ndarray` [int64], shape (n,)
        When.
    """

    field: IntArray
    second: IntArray

    def __len__(self) -> int:
        return len(self.field)


def visits_of(cadence: Cadence, nights: int, seed: int = 1) -> Visits:
    """Return the visits of so many nights."""
    generator = np.random.default_rng(seed)
    last_seen = generator.uniform(-6.0, 0.0, cadence.n_fields)
    deep = np.linspace(0, cadence.n_fields, cadence.deep_fields, endpoint=False).astype(np.int64)
    fields, seconds = [], []
    for night in range(nights):
        chosen = _fields_of_night(cadence, night, last_seen, generator)
        last_seen[chosen] = night
        of_night = _with_deep_field(_pairs(chosen, cadence.block), deep, cadence.deep_visits, night, generator)
        fields.append(of_night)
        seconds.append(night * SECONDS_A_DAY + np.arange(len(of_night)) * cadence.seconds)
    return Visits(np.concatenate(fields), np.concatenate(seconds).astype(np.int64))


def _fields_of_night(cadence: Cadence, night: int, last_seen: FloatArray, generator: np.random.Generator) -> IntArray:
    """Return those of the visible fields that have waited longest, more or less, in order of right ascension."""
    first = round(cadence.n_fields * night / NIGHTS_A_YEAR)
    visible = (first + np.arange(round(cadence.n_fields * cadence.visible))) % cadence.n_fields
    urgency = (night - last_seen[visible]) * np.exp(RESTLESSNESS * generator.normal(size=len(visible)))
    chosen = np.argsort(urgency)[len(visible) - cadence.nightly :]
    return np.asarray(visible[np.sort(chosen)], np.int64)


def _pairs(chosen: IntArray, block: int) -> IntArray:
    """Return these fields block by block, each block twice."""
    blocks = [chosen[start : start + block] for start in range(0, len(chosen), block)]
    return np.concatenate([np.empty(0, np.int64), *(part for one in blocks for part in (one, one))])


def _with_deep_field(
    of_night: IntArray, deep: Sequence[int] | IntArray, deep_visits: int, night: int, generator: np.random.Generator
) -> IntArray:
    if not deep_visits:
        return of_night
    place = int(generator.integers(len(of_night) + 1))
    return np.insert(of_night, place, np.full(deep_visits, deep[night % len(deep)]))
