"""A recorded replay that is killed at any moment and resumed equals one that was not."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.messaging.kafka.errors import DeliveryError
from stream_assoc.tools.replay import runner
from stream_assoc.tools.replay.capture import CaptureWriter
from stream_assoc.tools.replay.exceptions import ManifestError
from stream_assoc.tools.replay.journal import Journal
from stream_assoc.tools.replay.manifest import MANIFEST_NAME, Manifest
from stream_assoc.tools.replay.messages import (
    BatchMessages,
    Stamp,
    TimedMessage,
    stamp_of,
    stamped,
    unstamped_headers,
)
from stream_assoc.tools.replay.options import replay_options
from stream_assoc.tools.replay.recording import begin, carry_out, outlook
from stream_assoc.tools.replay.runner import Timer
from tests.tools.replay.stamps import stamp_on

OPTIONS = replay_options(duplicate=0.4, drop=0.2, late=0.2, corrupt=0.1, rate=100.0, seed=3)
N_MESSAGES = 60


class Killed(BaseException):
    """The process ends here."""


class Topic:
    """A topic, a producer of it that may be killed, and the time, which only waiting moves."""

    def __init__(self) -> None:
        self.written: list[OutputMessage] = []
        self.pending: list[OutputMessage] = []
        self.lives: int | None = None
        self.seconds = 0.0

    def send(self, messages) -> None:
        self._live()
        self.pending += messages

    def flush(self) -> None:
        while self.pending:
            self._live()
            self.written.append(self.pending.pop(0))

    def _live(self) -> None:
        if self.lives is not None:
            self.lives -= 1
            if self.lives < 0:
                self.pending = []
                raise Killed

    def end_offsets(self):
        return {0: len(self.written)}

    def steps_written(self, run, since_ms):
        assert since_ms > 0
        return {stamp.step for stamp in map(stamp_on, self.written) if stamp.run == run}

    def wait(self, seconds) -> None:
        self.seconds += seconds

    @property
    def timer(self):
        return Timer(lambda: self.seconds, lambda: 1.7e9 + self.seconds, self.wait)

    @property
    def content(self):
        """What arrived, by step, without due times, which a pause moves."""
        return sorted((stamp_on(one).step, one.key, one.value) for one in self.written)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("source") / "batches.avro"
    with CaptureWriter(path) as writer:
        for index in range(N_MESSAGES):
            value = b"\0\0\0\0\x64" + b"%d" % index * 5
            message = OutputMessage("t", b"%d" % (index % 5), value, (("h", b"v"),))
            writer.write(TimedMessage(60_000.0 + index / 3000, message))
    return path


def begun(folder, source, topic, options=OPTIONS):
    return begin(folder, source, options, "t", topic)


def go_on(folder, topic, **options):
    manifest = Manifest.read(folder)
    with Journal(folder) as journal:
        left = outlook(manifest, journal, topic, **options)
        steps = manifest.options.steps(manifest.source.path, BatchMessages("t"))
        return left, *carry_out(manifest, folder, journal, steps, [topic], left, timer=topic.timer)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, source):
    folder, topic = tmp_path_factory.mktemp("whole"), Topic()
    begun(folder, source, topic)
    _, manifest, report = go_on(folder, topic)
    assert report.n_sent == len(topic.written) == manifest.totals.n_sent
    return topic.content, manifest.totals


@settings(max_examples=30)
@given(st.lists(st.integers(0, 120), max_size=4), st.integers(1, 30))
def test_killed_at_any_moment_and_resumed_nothing_is_sent_twice(
    tmp_path_factory: pytest.TempPathFactory, source, uninterrupted, kills, micro_batch_messages
) -> None:
    folder, topic = tmp_path_factory.mktemp("killed"), Topic()
    begun(folder, source, topic)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "MICRO_BATCH_MESSAGES", micro_batch_messages)
        for lives in kills:
            topic.lives = lives
            try:
                go_on(folder, topic)
            except Killed:
                continue
        topic.lives = None
        _, manifest, _ = go_on(folder, topic)
    assert (topic.content, manifest.totals) == uninterrupted


def test_without_asking_the_topic_it_says_what_may_come_twice(tmp_path: Path, source) -> None:
    topic = Topic()
    begun(tmp_path, source, topic)
    topic.lives = 100
    with pytest.raises(Killed):
        go_on(tmp_path, topic)
    n_before = len(topic.written)
    assert n_before > 0
    topic.lives = None
    left, manifest, _ = go_on(tmp_path, topic, resend_doubtful=True)
    twice = [step for step, *_ in topic.content if [one[0] for one in topic.content].count(step) > 1]
    assert set(twice) <= set(left.repeated)
    assert len(topic.written) == manifest.totals.n_sent + n_before


def test_a_message_that_is_not_confirmed_leaves_it_open(tmp_path: Path, source) -> None:
    class Refusing(Topic):
        def flush(self) -> None:
            failed, self.pending = self.pending[:1], self.pending[1:]
            super().flush()
            if failed:
                raise DeliveryError("disk full", failed)

    topic = Refusing()
    begun(tmp_path, source, topic)
    _, manifest, report = go_on(tmp_path, topic)
    assert (report.succeeded, manifest.totals) == (False, None)
    healed = Topic()
    healed.written = topic.written
    left, manifest, _ = go_on(tmp_path, healed)
    assert len(left.arrived) == len(topic.written) - 1
    assert len(healed.written) == manifest.totals.n_sent


def test_due_times_are_those_of_the_plan_however_late_it_is_sent(tmp_path: Path, source) -> None:
    class Slow(Topic):
        def send(self, messages) -> None:
            self.seconds += 1.0
            super().send(messages)

    topic = Slow()
    begun(tmp_path, source, topic, replay_options(rate=10.0))
    _, _, report = go_on(tmp_path, topic)
    dues = [stamp_on(one).due for one in topic.written]
    assert dues == pytest.approx([1.7e9 + index / 10.0 for index in range(N_MESSAGES)])
    assert report.greatest_delay_seconds == pytest.approx(N_MESSAGES - 1 - (N_MESSAGES - 1) / 10.0)


def test_a_folder_holds_one_replay(tmp_path: Path, source) -> None:
    begun(tmp_path / "run", source, Topic())
    with pytest.raises(ManifestError, match="replay resume"):
        begun(tmp_path / "run", source, Topic())


def test_a_manifest_that_was_changed_is_refused(tmp_path: Path, source) -> None:
    manifest = begun(tmp_path, source, Topic())
    assert Manifest.read(tmp_path) == manifest
    path = tmp_path / MANIFEST_NAME
    content = json.loads(path.read_text())
    content["options"]["seed"] = 4
    path.write_text(json.dumps(content))
    with pytest.raises(ManifestError, match="does not match its checksum"):
        Manifest.read(tmp_path)
    path.write_text("{")
    with pytest.raises(ManifestError, match="is damaged"):
        Manifest.read(tmp_path)
    with pytest.raises(ManifestError, match="no recorded replay"):
        Manifest.read(tmp_path / "elsewhere")


def test_another_file_under_the_same_name_is_refused(tmp_path: Path, source) -> None:
    copy = tmp_path / "batches.avro"
    copy.write_bytes(source.read_bytes())
    manifest = begun(tmp_path / "run", copy, Topic())
    manifest.source.check()
    copy.write_bytes(source.read_bytes() + b"x")
    with pytest.raises(ManifestError, match="is not the file it was"):
        manifest.source.check()


def test_a_plan_that_comes_to_something_else_is_told(uninterrupted, tmp_path: Path, source) -> None:
    manifest = begun(tmp_path, source, Topic()).model_copy(update={"totals": uninterrupted[1]})
    manifest.check_totals(uninterrupted[1])
    with pytest.raises(ManifestError, match="differs from what was sent"):
        manifest.check_totals(uninterrupted[1].model_copy(update={"n_sent": 1}))


@given(st.text("abc0", min_size=1), st.integers(0, 2**40), st.floats(1e9, 2e9))
def test_stamps_come_back_and_leave_no_trace(run, step, due) -> None:
    message = OutputMessage("t", None, b"v", (("mine", b"1"),))
    once = stamped(message, Stamp(run, step, due))
    again = stamped(once, Stamp(run, step, due))
    assert once == again
    found = stamp_on(once)
    assert (found.run, found.step) == (run, step)
    assert found.due == pytest.approx(due, abs=1e-6)
    assert unstamped_headers(once.headers) == message.headers


@pytest.mark.parametrize("headers", [(), (("replay.run", b"r"),), (("replay.run", b"\xff"), ("replay.step", b"x"))])
def test_other_headers_are_no_stamp(headers) -> None:
    assert stamp_of(headers) is None
