from dataclasses import dataclass, field

import astropy.time
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lsst.dax.apdb.apdbReplica import ReplicaChunk as DaxReplicaChunk

from stream_assoc.core.model.batch import BatchId
from stream_assoc.stores.apdb.rows.chunks import (
    COMMIT_SECONDS,
    MAX_WAIT_SECONDS,
    MIN_WAIT_SECONDS,
    PROMPT_SECONDS,
    CommitTime,
    ReplicaChunk,
    choose_chunk,
    chunk_id,
    commit_time,
    unix_tai,
)
from stream_assoc.testing.rows import changes

BEGIN = 1_700_000_400
"""The beginning of a chunk of 600 s, seconds since 1970."""


@settings(max_examples=100, deadline=None)
@given(mjd=st.floats(55000, 70000), seconds=st.sampled_from([1, 60, 600]))
def test_chunk_is_upstreams(mjd: float, seconds: int) -> None:
    time = astropy.time.Time(mjd, format="mjd", scale="tai")
    # Only on the very edge of a chunk may the last bit of either arithmetic decide.
    if abs(time.unix_tai / seconds - round(time.unix_tai / seconds)) * seconds > 1e-5:
        assert chunk_id(mjd, seconds) == DaxReplicaChunk.make_replica_chunk(time, seconds).id


def test_time_of_a_commit_is_counted_from_its_first_batch() -> None:
    batches = [changes(BatchId(1, k), time=60000.0 + k / 86400) for k in range(3)]
    begin = unix_tai(60000.0)
    prompt, late = commit_time(batches, 1.0), commit_time(batches, 100.0)
    assert prompt.is_prompt
    assert prompt.now == prompt.last_update == pytest.approx(begin + 2)
    assert not late.is_prompt
    assert late.now == late.last_update == pytest.approx(begin + 100)


def chosen(processed: float, newest: int | None, *, now: float, is_prompt: bool = True) -> tuple[int, int | None]:
    """Return the chosen chunk and the one before it; all times are seconds after `BEGIN`."""
    commit = CommitTime(BEGIN + processed, BEGIN + now, is_prompt)
    chunk = choose_chunk(commit, None if newest is None else BEGIN + newest, 600)
    return chunk.id - BEGIN, None if chunk.before is None else chunk.before - BEGIN


def test_a_prompt_commit_is_noted_at_its_processing_time() -> None:
    assert chosen(599.0, None, now=620.0) == (0, None)
    assert chosen(599.0, 0, now=620.0) == (0, None)


def test_a_late_commit_is_noted_at_its_own_time() -> None:
    assert chosen(599.0, None, now=700.0, is_prompt=False) == (600, None)


def test_whoever_begins_a_chunk_knows_the_one_before_while_others_may_be_on_their_way_there() -> None:
    assert chosen(10.0, -600, now=10.0) == (0, -600)
    assert chosen(310.0, -600, now=310.0) == (0, None)


def test_nothing_is_noted_behind_the_newest_chunk() -> None:
    assert chosen(590.0, 600, now=590.0) == (600, None)


@dataclass
class Replicator:
    """The replicator of lsst-dax-ppdb, which decides by its own clock and copies a chunk once."""

    changed: dict[int, float] = field(default_factory=dict)
    copied: set[int] = field(default_factory=set)

    def change(self, chunk: int, time: float) -> None:
        self.changed[chunk] = max(time, self.changed.get(chunk, time))

    def poll(self, now: float) -> None:
        waiting = sorted(chunk for chunk in self.changed if chunk not in self.copied)
        while waiting:
            chunk = waiting.pop(0)
            age = now - self.changed[chunk]
            if age < (MIN_WAIT_SECONDS if waiting else MAX_WAIT_SECONDS):
                break
            self.copied.add(chunk)


WRITERS = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 3000), st.integers(540, 660)),  # when its session begins
        st.one_of(st.integers(0, 80), st.integers(0, 2000)),  # until it chooses
        st.integers(0, int(2 * COMMIT_SECONDS)),  # until its commit is seen
        st.integers(-15, 15),  # its clock
    ),
    max_size=6,
)


@settings(max_examples=300, deadline=None)
@given(writers=WRITERS, chunk_seconds=st.sampled_from([1, 60, 600]))
@example(writers=[(0, 0, 0, 0), (0, 526, 60, 0), (0, 585, 0, 15)], chunk_seconds=600)
def test_no_commit_is_noted_in_a_chunk_that_was_copied(
    writers: list[tuple[int, int, int, int]], chunk_seconds: int
) -> None:
    """Writers whose clocks differ by up to 30 s, each under way for some time, and a replicator that polls often."""
    replicator = Replicator()
    events: list[tuple[float, int, str]] = []
    for number, (begin, choice, commit, _) in enumerate(writers):
        events += [(begin + choice, number, "choose"), (begin + choice + commit, number, "commit")]
        events += [(begin + choice + commit + seconds, -1, "poll") for seconds in (0.001, 5, 301, 901)]
    under_way: dict[int, ReplicaChunk] = {}
    for time, number, event in sorted(events, key=lambda one: one[:2]):
        if event == "poll":
            replicator.poll(BEGIN + time)
            continue
        begin, choice, _, clock = writers[number]
        if event == "choose":
            processed = BEGIN + begin + clock
            now = CommitTime(processed, processed + choice, choice < PROMPT_SECONDS)
            newest = max((chunk for chunk in replicator.changed if chunk <= now.horizon), default=None)
            under_way[number] = choose_chunk(now, newest, chunk_seconds)
        else:
            chunk = under_way[number]
            assert chunk.id not in replicator.copied
            assert not [other for other in replicator.copied if other > chunk.id]
            replicator.change(chunk.id, chunk.last_update_time.timestamp())
            if chunk.before is not None:
                replicator.change(chunk.before, chunk.last_update_time.timestamp())
