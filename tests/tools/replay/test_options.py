from pathlib import Path

import pytest

from stream_assoc.messaging.avro.batch_decoder import BatchDecoder
from stream_assoc.messaging.avro.batch_header import batch_prefix
from stream_assoc.messaging.exceptions import DecodeError
from stream_assoc.tools.replay.capture import CaptureWriter
from stream_assoc.tools.replay.exceptions import ReplayError
from stream_assoc.tools.replay.manifest import Tally
from stream_assoc.tools.replay.messages import BatchMessages
from stream_assoc.tools.replay.options import replay_options
from stream_assoc.tools.simulation.config import SimulationConfig
from stream_assoc.tools.simulation.night import simulate

MESSAGES = BatchMessages("dia-sources")
EVERYTHING = {"duplicate": 0.3, "drop": 0.1, "late": 0.2, "corrupt": 0.1, "shuffle": True, "seed": 5}


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("night") / "batches.avro"
    with CaptureWriter(path) as writer:
        for one in simulate(SimulationConfig(n_visits=15, n_detectors=4, variables=300.0, artifacts=100.0)):
            writer.write(MESSAGES.event(one.batch))
    return path


def totals(options, capture):
    tally = Tally()
    for step in options.steps(capture, MESSAGES):
        tally.add(step)
    return tally.totals()


def test_the_same_options_come_to_the_same(capture) -> None:
    first = totals(replay_options(**EVERYTHING), capture)
    assert first == totals(replay_options(**EVERYTHING), capture)
    assert first.n_sent + first.n_dropped == first.n_steps > 60
    assert min(first.n_copies, first.n_late, first.n_damaged, first.n_dropped) > 0


@pytest.mark.parametrize("change", [{"seed": 6}, {"drop": 0.0}, {"corrupt": 0.2}, {"limit": 59}, {"key": "none"}])
def test_any_other_option_has_another_checksum(
    capture, change: dict[str, float] | dict[str, int] | dict[str, str]
) -> None:
    base = totals(replay_options(**EVERYTHING), capture)
    assert totals(replay_options(**(EVERYTHING | change)), capture).checksum != base.checksum


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"speed": 1.0, "rate": 1.0}, "a speed or a rate, not both"),
        ({"burst": 4}, "a burst needs a speed or a rate"),
        ({"drop": 1.5}, "drop: .*less than or equal to 1"),
        ({"rate": 0.0}, "rate: .*greater than 0"),
        ({"key": "band"}, "key: .*'detector'"),
    ],
)
def test_what_makes_no_sense_is_refused(
    values: dict[str, float] | dict[str, int] | dict[str, str], told: str
) -> None:
    with pytest.raises(ReplayError, match=told):
        replay_options(**values)


def test_detectors_of_a_visit_may_have_keys_of_their_own(capture) -> None:
    detectors = [step.message.key for step in replay_options(key="detector").steps(capture, MESSAGES)]
    visits = [step.message.key for step in replay_options(key="visit").steps(capture, MESSAGES)]
    assert len(set(detectors)) == 60
    assert len(set(visits)) == 15
    assert all(
        one is not None and visit is not None and one.startswith(visit + b".")
        for one, visit in zip(detectors, visits, strict=True)
    )
    assert {step.message.key for step in replay_options(key="none").steps(capture, MESSAGES)} == {None}


def test_what_is_no_batch_has_no_visit_to_be_keyed_by(tmp_path: Path, capture) -> None:
    event = next(MESSAGES.event(one.batch) for one in simulate(SimulationConfig(n_visits=1, n_detectors=1)))
    with CaptureWriter(tmp_path / "c") as writer:
        writer.write(type(event)(event.midpointMjdTai, event.message._replace(value=b"text")))
    with pytest.raises(ReplayError, match="use --key file"):
        list(replay_options(key="visit").steps(tmp_path / "c", MESSAGES))


def test_no_damage_can_be_overlooked(capture) -> None:
    decoder, reasons = BatchDecoder(), set()
    for step in replay_options(corrupt=1.0, duplicate=0.0).steps(capture, MESSAGES):
        with pytest.raises(DecodeError) as caught:
            decoder.decode(step.message.value)
        reasons.add(caught.value.reason)
    assert reasons == {"undecodable", "unknown_schema"}


def test_the_beginning_of_a_message_tells_what_its_whole_tells(capture) -> None:
    for step in replay_options().steps(capture, MESSAGES):
        assert step.message.value is not None
        batch = BatchDecoder().decode(step.message.value)
        assert batch_prefix(step.message.value) == (batch.id, batch.midpointMjdTai)
        # What follows does not matter.
        assert batch_prefix(step.message.value[:60]) == (batch.id, batch.midpointMjdTai)


@pytest.mark.parametrize("value", [None, b"", b"text", b"\0\0\0\0\x64", b"\0\0\0\0\x64\xff"])
def test_what_does_not_begin_as_a_batch_is_refused(value: bytes | None) -> None:
    with pytest.raises(DecodeError):
        batch_prefix(value)
