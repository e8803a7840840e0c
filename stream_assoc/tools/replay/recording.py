"""Recorded replays: begun, carried on after a kill, and finished."""

import itertools
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.tools.replay.exceptions import ManifestError
from stream_assoc.tools.replay.journal import JOURNAL_NAME, Journal
from stream_assoc.tools.replay.manifest import MANIFEST_NAME, Manifest, SourceFile, Tally
from stream_assoc.tools.replay.messages import Stamp, stamped
from stream_assoc.tools.replay.options import Due, ReplayOptions
from stream_assoc.tools.replay.plan import Step
from stream_assoc.tools.replay.runner import Observer, Producer, Replayer, ReplayReport, Timer


class Target(Protocol):
    """The topic a replay goes to, as far as a recording looks at it."""

    def end_offsets(self) -> dict[int, int]:
        """Return the end of each partition."""

    def steps_written(self, run: str, since_ms: int) -> set[int]:
        """Return the steps of a run that are on the topic, of those published since a time."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is left of a recorded replay.

    Attributes
    ----------
    n_done : `int`
        Steps known to be done.
    arrived : `frozenset` [`int`]
        Steps that were in doubt and are on the topic: they are not sent again.
    repeated : `tuple` [`int`, ...]
        Steps that were in doubt, about which the topic was not asked: they are
        sent, some perhaps for the second time.
    """

    n_done: int
    arrived: frozenset[int] = frozenset()
    repeated: tuple[int, ...] = ()


def begin(
    folder: Path, source: Path, options: ReplayOptions, topic: str, target: Target, *, n_producers: int = 1
) -> Manifest:
    """Write the manifest of a new recorded replay.

    Parameters
    ----------
    folder : `pathlib.Path`
        Made when missing; must hold no recorded replay.
    source : `pathlib.Path`
        The file to be replayed.
    options : `ReplayOptions`
    topic : `str`
        Where it goes.
    target : `Target`
        That topic.
    n_producers : `int`

    Raises
    ------
    ManifestError
        If the folder holds a replay already, or the file cannot be read.
    """
    if (folder / MANIFEST_NAME).exists() or (folder / JOURNAL_NAME).exists():
        raise ManifestError(
            f"{folder} holds a recorded replay already: `stream-assoc replay resume {folder}` goes on with it; "
            "name another folder to begin anew"
        )
    file = SourceFile.of(source)
    folder.mkdir(parents=True, exist_ok=True)
    manifest = Manifest(
        run=uuid.uuid4().hex,
        source=file,
        options=options,
        topic=topic,
        begin_offsets=target.end_offsets(),
        began_ms=time.time_ns() // 1_000_000,
        n_producers=n_producers,
    )
    manifest.write(folder)
    return manifest


def outlook(manifest: Manifest, journal: Journal, target: Target, *, resend_doubtful: bool = False) -> Outlook:
    """Return what is left to be sent, the topic asked about what is in doubt.

    Parameters
    ----------
    manifest : `Manifest`
    journal : `Journal`
        Of the same replay.
    target : `Target`
        The topic.
    resend_doubtful : `bool`
        Do not ask the topic; send what is in doubt again.
    """
    progress = journal.progress
    doubtful = progress.doubtful
    if not doubtful:
        return Outlook(progress.n_confirmed)
    if resend_doubtful:
        return Outlook(progress.n_confirmed, repeated=tuple(doubtful))
    arrived = target.steps_written(manifest.run, progress.intended_ms).intersection(doubtful)
    # The pace goes on with the first that has not arrived.
    n_done = next((step for step in doubtful if step not in arrived), doubtful.stop)
    return Outlook(n_done, frozenset(step for step in arrived if step > n_done))


def carry_out(  # noqa: PLR0913 - what a replay needs
    manifest: Manifest,
    folder: Path,
    journal: Journal,
    steps: Iterator[Step],
    producers: Sequence[Producer],
    left: Outlook,
    *,
    progress: Callable[[int], None] = lambda number: None,
    announcing: Callable[[Iterable[Due]], Iterable[Due]] = lambda plan: plan,
    timer: Timer | None = None,
) -> tuple[Manifest, ReplayReport]:
    """Send what is left of a recorded replay, and complete its manifest when all is sent.

    Parameters
    ----------
    manifest : `Manifest`
    folder : `pathlib.Path`
        Where it lies.
    journal : `Journal`
        Of the same replay.
    steps : iterator of `Step`
        All of them, from the first on.
    producers : sequence of `Producer`
    left : `Outlook`
        What is left.
    progress : callable, optional
        Told the number of each step.
    announcing : callable, optional
        Returns what is left of the plan with announcements of its visits before.
    timer : `Timer`, optional

    Returns
    -------
    manifest : `Manifest`
        With its totals, if every message was confirmed.
    report : `ReplayReport`
        Of what was sent now.
    """
    tally = Tally()
    recorder = _Recorder(manifest.run, journal, left, progress)
    plan = manifest.options.paced(_tallied(steps, tally))
    rest: Iterable[Due] = itertools.islice(plan, left.n_done, None)
    report = Replayer(producers, recorder, timer).run(announcing(rest), left.n_done)
    if report.succeeded:
        manifest = manifest.model_copy(update={"totals": tally.totals()})
        manifest.write(folder)
    return manifest, report


def _tallied(steps: Iterator[Step], tally: Tally) -> Iterator[Step]:
    for step in steps:
        tally.add(step)
        yield step


class _Recorder(Observer):
    """Stamps messages and keeps the journal."""

    def __init__(self, run: str, journal: Journal, left: Outlook, progress: Callable[[int], None]) -> None:
        self._run = run
        self._journal = journal
        self._left = left
        self._progress = progress

    def before(self, n_steps: int) -> None:
        # What is in doubt stays so until it is confirmed.
        if n_steps > self._journal.progress.n_intended:
            self._journal.intend(n_steps)

    def after(self, n_steps: int) -> None:
        self._journal.confirm(n_steps)

    def message(self, number: int, step: Step, due: float) -> OutputMessage | None:
        self._progress(number)
        if step.is_dropped or number in self._left.arrived:
            return None
        return stamped(step.message, Stamp(self._run, number, due))
