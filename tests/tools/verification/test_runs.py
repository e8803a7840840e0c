import contextlib
import sqlite3
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from stream_assoc.core.model.further_statistics import further_statistics
from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.stores.apdb.create import add_columns, init
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.testing.rows import BIG, CELLS, FIRST, SECOND, changes, dia_object
from stream_assoc.tools.replay.capture import CaptureWriter
from stream_assoc.tools.replay.messages import TimedMessage
from stream_assoc.tools.verification import VerificationError
from stream_assoc.tools.verification.differences import Tolerance
from stream_assoc.tools.verification.runs import compare_runs, read_run
from tests.outputs import ended, metrics_of, metrics_value, objects_of

EXACT = Tolerance()


def captured(path, messages):
    with CaptureWriter(path) as writer:
        for message in messages:
            writer.write(TimedMessage(60_000.0, message))
    return str(path)


def of_metrics(path, *metrics):
    return read_run(captured(path, [OutputMessage("m", None, metrics_value(one)) for one in metrics]))


def test_metrics_are_compared_batch_by_batch(tmp_path: Path) -> None:
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


def test_of_objects_the_last_version_counts_and_ends_end(tmp_path: Path) -> None:
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


def test_other_things_are_refused(tmp_path: Path) -> None:
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


def stored(path: Path, **statistics: float | None) -> str:
    """Make an APDB with one object, an earlier version of it, and these statistics of the current one."""
    url = f"sqlite:///{path}"
    init(url)
    names = {column.name for column in further_statistics()}
    add_columns(url, None, [name for name in statistics if name not in names])
    apdb = open_apdb(url)
    for batch, start, values in ((FIRST, 60000.6, {"flags": 9.0}), (SECOND, 60001.6, statistics)):
        key = {"diaObjectId": pa.array([BIG]), "validityStartMjdTai": pa.array([start])}
        further = pa.table(key | {name: pa.array([value], pa.float64()) for name, value in values.items()})
        one = changes(batch, [], [dia_object(BIG, start)], time=start)
        with apdb.exclusive(CELLS) as session:
            session.commit([replace(one, further_statistics=further)])
    apdb.close()
    return url


def differing(left: str, right: str) -> dict[str, list[str]]:
    found = compare_runs(read_run(left), read_run(right), EXACT)
    return {one.name: [column.name for column in one.columns] for one in found if not one.is_equal}


def test_further_statistics_of_current_objects_are_compared(tmp_path: Path) -> None:
    left = stored(tmp_path / "left.db", r_psfFluxSkew=1.5, flags=None)
    assert differing(left, stored(tmp_path / "same.db", r_psfFluxSkew=1.5)) == {}
    other = stored(tmp_path / "other.db", r_psfFluxSkew=1.25, flags=0.0)
    assert differing(left, other) == {"StreamAssocDiaObject": ["flags", "r_psfFluxSkew"]}


def test_statistics_that_only_one_run_has_are_a_difference(tmp_path: Path) -> None:
    left = stored(tmp_path / "left.db", r_mine=1.5, r_empty=None)
    right = stored(tmp_path / "right.db")
    assert differing(left, right) == differing(right, left) == {"StreamAssocDiaObject": ["r_mine"]}


def test_an_apdb_of_another_pipeline_has_no_further_statistics(tmp_path: Path) -> None:
    url = stored(tmp_path / "left.db", flags=1.0)
    other = stored(tmp_path / "other.db", flags=1.0)
    with contextlib.closing(sqlite3.connect(tmp_path / "other.db")) as connection, connection:
        connection.execute('DROP TABLE "StreamAssocDiaObject"')
    found = {one.name: one for one in compare_runs(read_run(url), read_run(other), EXACT)}
    further = found.pop("StreamAssocDiaObject")
    assert (further.n_left, further.n_right, further.n_only_left) == (1, 0, 1)
    assert all(one.is_equal for one in found.values())


def test_columns_of_plugins_are_compared_in_captures(tmp_path: Path) -> None:
    runs = []
    for name, values in (("left", [1.5, None]), ("right", [1.25, None])):
        further = pa.table({"r_mine": pa.array(values), "r_psfFluxSkew": pa.array([0.5, 0.5])})
        runs.append(read_run(captured(tmp_path / name, objects_of([1, 2], further))))
    runs.append(read_run(captured(tmp_path / "without", objects_of([1, 2], further.drop_columns(["r_mine"])))))
    for left, right in ((0, 1), (0, 2), (2, 0)):
        (found,) = compare_runs(runs[left], runs[right], EXACT)
        assert [(one.name, one.n_rows) for one in found.columns] == [("pluginStatistics.r_mine", 1)]
