"""The account of a replay: every message, every answer, every source."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.types import IntArray
from stream_assoc.exceptions import PoisonError
from stream_assoc.messaging.avro.batch_decoder import BatchDecoder
from stream_assoc.tools.replay.plan import Step
from stream_assoc.tools.simulation.truth import AssociationScore
from stream_assoc.tools.verification.arrivals import Answer, Arrivals


class BatchContent(NamedTuple):
    """A batch and its content: copies share both, a batch that reuses a visit and detector does not."""

    id: BatchId
    digest: bytes


@dataclass(slots=True)
class Expectation:
    """What a plan must lead to.

    Attributes
    ----------
    batches : `dict` [`BatchContent`, `list` [`int`]]
        The steps that carry each good batch.
    spoilt : `set` [`int`]
        Steps whose message cannot be processed, and must be a dead letter.
    sources : `dict` [`BatchContent`, `numpy.ndarray` [int64]]
        The diaSourceIds of each batch.
    """

    batches: dict[BatchContent, list[int]] = field(default_factory=lambda: defaultdict(list))
    spoilt: set[int] = field(default_factory=set)
    sources: dict[BatchContent, IntArray] = field(default_factory=dict)

    @property
    def n_messages(self) -> int:
        """Messages that are sent."""
        return len(self.spoilt) + sum(map(len, self.batches.values()))

    @property
    def n_conflicts(self) -> int:
        """Batches that reuse the visit and detector of another: the first counts, the others are set aside."""
        return len(self.batches) - len({content.id for content in self.batches})

    def diaSourceIds(self, batches: Iterable[BatchContent]) -> IntArray:
        """Return the sources of some batches, each once."""
        parts = [self.sources[content] for content in batches]
        return np.unique(np.concatenate(parts)) if parts else np.empty(0, np.int64)


def expectation_of(steps: Iterable[Step], decoder: BatchDecoder) -> Expectation:
    """Return what must come back of some steps.

    Parameters
    ----------
    steps : iterable of `Step`
        All of a plan.
    decoder : `~stream_assoc.messaging.avro.batch_decoder.BatchDecoder`
        The daemon's: what it refuses must be a dead letter.
    """
    expected = Expectation()
    for number, step in enumerate(steps):
        if step.is_dropped:
            continue
        try:
            batch = decoder.decode(step.message.value)
        except PoisonError:
            expected.spoilt.add(number)
            continue
        content = BatchContent(batch.id, batch.digest)
        expected.batches[content].append(number)
        expected.sources.setdefault(content, batch.diaSourceId)
    return expected


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an account.

    Attributes
    ----------
    name, value, expected : `str`
        What was counted, what it is, and what it must be; no expectation is empty.
    is_right : `bool`
    """

    name: str
    value: str
    expected: str = ""
    is_right: bool = True


@dataclass(frozen=True, slots=True)
class Bars:
    """What a replay is held to; `None` holds it to nothing.

    Attributes
    ----------
    min_purity, min_completeness : `float` or `None`
    max_p99_seconds : `float` or `None`
        Of the time from when a message was due to when its metrics were published.
    """

    min_purity: float | None = None
    min_completeness: float | None = None
    max_p99_seconds: float | None = None


class Answered:
    """Which of the expected batches were answered, and how.

    Parameters
    ----------
    expected : `Expectation`
    arrivals : `Arrivals`

    Attributes
    ----------
    steps : `~collections.Counter` [`int`]
        How often each step is on the topic.
    answers : `dict` [`BatchContent`, `list` [`Answer`]]
        Metrics of each batch.
    set_aside : `dict` [`BatchContent`, `set` [`str`]]
        The reasons for which a batch without metrics is a dead letter.
    spoilt : `set` [`int`]
        Spoilt steps that are dead letters.
    accepted : `set` [`int`]
        Spoilt steps that were processed all the same.
    """

    def __init__(self, expected: Expectation, arrivals: Arrivals) -> None:
        content_of = {step: content for content, steps in expected.batches.items() for step in steps}
        self.steps = Counter(sent.step for sent in arrivals.sent.values())
        self.answers: dict[BatchContent, list[Answer]] = {}
        self.set_aside: dict[BatchContent, set[str]] = {}
        self.spoilt: set[int] = set()
        self.accepted: set[int] = set()
        for place, answers in arrivals.answers.items():
            step = arrivals.sent[place].step
            if step in content_of:
                self.answers.setdefault(content_of[step], []).extend(answers)
            else:
                self.accepted.add(step)
        for place, records in arrivals.letters.items():
            step = arrivals.sent[place].step
            if step in expected.spoilt:
                self.spoilt.add(step)
            elif content_of.get(step) not in self.answers:
                self.set_aside.setdefault(content_of[step], set()).update(record.reason for record in records)
        self.lost = [
            content for content in expected.batches if content not in self.answers and content not in self.set_aside
        ]


def is_complete(expected: Expectation, arrivals: Arrivals) -> bool:
    """Tell whether every message was answered."""
    answered = Answered(expected, arrivals)
    return not answered.lost and answered.spoilt == expected.spoilt


def message_lines(expected: Expectation, answered: Answered) -> list[Line]:
    """Return the account of messages and batches."""
    numbers = {step for steps in expected.batches.values() for step in steps} | expected.spoilt
    missing = numbers - set(answered.steps)
    twice = sum(count - 1 for count in answered.steps.values())
    repeated = _published_twice(answered.answers.values())
    n_copies = sum(len(steps) - 1 for steps in expected.batches.values())
    reasons = Counter(reason for one in answered.set_aside.values() for reason in one)
    conflicts = reasons.get("conflicting_batch", 0)
    is_explained = sum(reasons.values()) == conflicts <= expected.n_conflicts
    told = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    return [
        _equal("messages on the input topic", len(answered.steps), expected.n_messages),
        _equal("messages missing there", len(missing), 0),
        _equal("messages there twice, not asked for", twice, 0),
        Line("copies asked for", f"{n_copies:,}"),
        _equal("batches answered by metrics", len(answered.answers), len(expected.batches) - len(answered.set_aside)),
        Line("batches set aside", told or "0", _at_most_conflicts(expected.n_conflicts), is_explained),
        _equal("batches lost: no answer", len(answered.lost), 0),
        _equal("batches answered twice", repeated, 0),
        _equal("spoilt messages in the dead letters", len(answered.spoilt), len(expected.spoilt)),
        _equal("spoilt messages processed all the same", len(answered.accepted), 0),
    ]


def source_lines(
    expected: Expectation,
    answered: Answered,
    n_stored: int,
    n_stored_twice: int,
    score: AssociationScore | None,
    bars: Bars,
) -> list[Line]:
    """Return the account of sources: where each of them is, and how well they were associated."""
    final = [max(answers, key=lambda one: one.metrics.revision).metrics for answers in answered.answers.values()]
    marginal = sum(metrics.numMarginalDiaSources for metrics in final)
    dropped = sum(metrics.numDroppedDiaSources for metrics in final)
    n_sources = sum(len(expected.sources[content]) for content in answered.answers)
    lines = [
        _equal("sources stored + marginal + dropped", n_stored + marginal + dropped, n_sources),
        Line("of these marginal, dropped", f"{marginal:,}, {dropped:,}"),
        _equal("sources stored twice", n_stored_twice, 0),
    ]
    return lines if score is None else [*lines, *score_lines(score, bars)]


def score_lines(score: AssociationScore, bars: Bars) -> list[Line]:
    """Return how well sources were associated."""
    return [
        Line("sources with a truth", f"{score.n_sources:,} of {score.n_truths:,} sources of light"),
        _at_least("purity of objects", score.purity, bars.min_purity),
        _at_least("completeness", score.completeness, bars.min_completeness),
        Line("objects of several truths", f"{score.n_impure_objects:,} of {score.n_objects:,}"),
        Line("duplicate objects", f"{score.n_duplicate_objects:,}"),
        Line("sources without an object", f"{score.n_lost_sources:,}"),
        Line("sources of light without an object", f"{score.n_lost_truths:,}"),
    ]


def latency_lines(arrivals: Arrivals, bars: Bars) -> list[Line]:
    """Return how long answers took: from when a message was due, and from when it was sent."""
    from_due, from_sent, late = latencies(arrivals)
    if not len(from_due):
        return [Line("latency", "no message was answered by metrics")]
    p99 = float(np.percentile(from_due, 99))
    bar = bars.max_p99_seconds
    return [
        Line(
            "latency from due: p50, p99, greatest",
            _seconds(from_due),
            "" if bar is None else f"p99 at most {bar:g} s",
            bar is None or p99 <= bar,
        ),
        Line("latency from sent: p50, p99, greatest", _seconds(from_sent)),
        Line("sent after due: p50, p99, greatest", _seconds(late)),
    ]


def latencies(arrivals: Arrivals) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return seconds from due to published, from sent to published, and from due to sent, for each answer."""
    rows = [
        (answers[0].published - arrivals.sent[place].due, answers[0].published - arrivals.sent[place].sent)
        for place, answers in arrivals.answers.items()
    ]
    from_due, from_sent = np.array(rows, np.float64).reshape(-1, 2).T
    late = np.array([max(0.0, sent.sent - sent.due) for sent in arrivals.sent.values()], np.float64)
    return from_due, from_sent, late


def _at_most_conflicts(n_conflicts: int) -> str:
    return f"at most {n_conflicts:,} conflicting_batch" if n_conflicts else "0"


def _published_twice(answers: Iterable[Sequence[Answer]]) -> int:
    n_repeated = 0
    for one in answers:
        revisions = Counter(answer.metrics.revision for answer in one)
        n_repeated += sum(count - 1 for count in revisions.values())
    return n_repeated


def _seconds(values: np.ndarray) -> str:
    p50, p99 = np.percentile(values, [50, 99])
    return f"{p50:.3f}, {p99:.3f}, {values.max():.3f} s"


def _equal(name: str, value: int, expected: int) -> Line:
    return Line(name, f"{value:,}", f"{expected:,}", value == expected)


def _at_least(name: str, value: float, least: float | None) -> Line:
    if least is None:
        return Line(name, f"{value:.3%}")
    return Line(name, f"{value:.3%}", f"at least {least:.3%}", value >= least)
