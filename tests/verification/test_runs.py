import pytest

from stream_assoc.replay.capture import CaptureWriter
from stream_assoc.replay.messages import TimedMessage
from stream_assoc.stream.messages import OutputMessage
from stream_assoc.verification.differences import Tolerance
from stream_assoc.verification.exceptions import VerificationError
from stream_assoc.verification.runs import compare_runs, read_run
from tests.outputs import ended, metrics_of, metrics_value, objects_of

EXACT = Tolerance()


def captured(path, messages):
    with CaptureWriter(path) as writer:
        for message in messages:
            writer.write(TimedMessage(60_000.0, message))
    return str(path)


def of_metrics(path, *metrics):
    return read_run(captured(path, [OutputMessage("m", None, metrics_value(one)) for one in metrics]))


def test_metrics_are_compared_batch_by_batch(tmp_path) -> None:
    left = of_metrics(
        tmp_path / "left",
        metrics_of(1, inputOffset=5, stageSeconds={"decode": 1.0}),
        metrics_of(2, numNewDiaObjects=3),
    )
    right = of_metrics(
        tmp_path / "right", metrics_of(2, numNewDiaObjects=4), metrics_of(1, timeProcessedMjdTai=60000.2)
    )
    (found,) = compare_runs(left, right, EXACT)
    assert [(one.name, one.example) for one in found.columns] == [("numNewDiaObjects", "2.1.0: 3 and 4")]
    (found,) = compare_runs(left, right, EXACT, with_times=True)
    assert {one.name for one in found.columns} == {"numNewDiaObjects", "timeProcessedMjdTai", "stageSeconds"}


def test_of_objects_the_last_version_counts_and_ends_end(tmp_path) -> None:
    old, gone = objects_of([1, 2], ra=[1.0, 2.0])
    (new,) = objects_of([1], ra=[1.5])
    left = read_run(captured(tmp_path / "left", [old, gone, new, ended(2)]))
    right = read_run(captured(tmp_path / "right", [new]))
    (found,) = compare_runs(left, right, EXACT)
    assert (found.name, found.is_equal, found.n_left) == ("dia-objects", True, 1)
    (found,) = compare_runs(read_run(captured(tmp_path / "old", [old])), right, EXACT)
    assert [(one.name, one.greatest) for one in found.columns] == [("ra", 0.5)]
    (found,) = compare_runs(read_run(captured(tmp_path / "old", [old])), right, Tolerance(absolute=0.5))
    assert found.is_equal


def test_other_things_are_refused(tmp_path) -> None:
    metrics = of_metrics(tmp_path / "m", metrics_of(1))
    objects = read_run(captured(tmp_path / "o", objects_of([1])))
    with pytest.raises(VerificationError, match="cannot be compared"):
        compare_runs(metrics, objects, EXACT)
    with pytest.raises(VerificationError, match="no capture file, nor the URL"):
        read_run(str(tmp_path / "nowhere"))
    with pytest.raises(VerificationError, match="neither the metrics nor the objects"):
        read_run(captured(tmp_path / "x", [OutputMessage("t", None, b"text")]))
    with pytest.raises(VerificationError, match="no message with a value"):
        read_run(captured(tmp_path / "e", [ended(1)]))
