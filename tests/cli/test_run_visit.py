"""``run-visit`` as a user meets it: a file of batches, an APDB, no broker."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stream_assoc.apdb.factory import open_apdb
from stream_assoc.daemon.assembly import rooms_of
from stream_assoc.exceptions import FatalError
from stream_assoc.pipeline.outcomes import Redelivered
from stream_assoc.replay.capture import CaptureWriter
from stream_assoc.replay.messages import BatchMessages
from stream_assoc.settings import Settings
from stream_assoc.stream.batch_decoder import BatchDecoder
from tests.contents import column
from tests.pipeline.bench import APDB_FILE, process
from tests.pipeline.skies import BIG, MJD, batch, pinned_rooms

URL = f"sqlite:///{APDB_FILE}"
APDB = ("--set", f"apdb.url={URL}")


@pytest.fixture
def apdb(tmp_path) -> None:
    pinned_rooms(tmp_path).apdb.close()


@pytest.fixture
def capture():
    events = [BatchMessages("dia-sources").event(batch(visit, [150.0], [2.0])) for visit in (1, 2)]
    with CaptureWriter(Path("night.avro")) as writer:
        for event in events:
            writer.write(event)
    return events


@pytest.mark.usefixtures("apdb")
def test_every_batch_of_a_capture_reaches_the_apdb(invoke, capture) -> None:
    told = invoke("run-visit", "night.avro", *APDB).stdout.splitlines()
    assert told == [
        "visit 1 detector 0 r: 1 sources, 0 associated, 0 of the solar system, 1 new objects, 0 marginal, 0 dropped",
        "visit 2 detector 0 r: 1 sources, 1 associated, 0 of the solar system, 0 new objects, 0 marginal, 0 dropped",
    ]
    assert column(URL, "DiaObject", "nDiaSources") == [1, 2]


@pytest.mark.usefixtures("apdb", "capture")
def test_a_second_run_changes_nothing(invoke) -> None:
    invoke("run-visit", "night.avro", *APDB)
    told = invoke("run-visit", "night.avro", *APDB)
    assert told.exit_code == 0
    assert told.stdout.splitlines()[1] == "visit 2 detector 0 was processed before; nothing was changed"
    assert len(column(URL, "DiaSource", "diaSourceId")) == 2


@pytest.mark.usefixtures("apdb")
def test_the_daemon_knows_what_was_run(invoke, capture) -> None:
    invoke("run-visit", "night.avro", *APDB)
    rooms = rooms_of(Settings(), open_apdb(URL), pinned_rooms(Path("other")).cache)
    assert process(rooms, BatchDecoder().decode(capture[0].message.value)) == [Redelivered((1, 0), ())]
    assert rooms.apdb.unpublished() == []
    rooms.apdb.close()


@pytest.mark.usefixtures("apdb")
def test_a_table_needs_a_mapping(invoke) -> None:
    n = 2
    ids = {"diaSourceId": [BIG + 1, BIG + 2], "visit": [7] * n, "detector": [3] * n, "band": ["g"] * n}
    times = {"midpointMjdTai": [MJD] * n, "timeProcessedMjdTai": [MJD] * n}
    places = {"ra": [150.0, 150.01], "dec": [2.0, 2.0], "x": [1.0, 2.0], "y": [1.0, 2.0]}
    counts = dict.fromkeys(("psfNdata", "trailNdata", "dipoleNdata", "bboxSize"), [0] * n)
    pq.write_table(pa.table({**ids, **times, **places, **counts}), "night.parquet")
    with pytest.raises(FatalError, match="name the column mapping"):
        invoke("run-visit", "night.parquet", *APDB)
    assert "2 new objects" in invoke("run-visit", "night.parquet", "--mapping", "rubin", *APDB).stdout
    assert sorted(column(URL, "DiaObject", "diaObjectId")) == [BIG + 1, BIG + 2]


@pytest.mark.usefixtures("capture")
def test_an_apdb_that_is_not_there_is_told(invoke) -> None:
    with pytest.raises(FatalError, match="apdb init"):
        invoke("run-visit", "night.avro", *APDB)


@pytest.mark.usefixtures("apdb", "capture")
def test_history_can_be_cut(invoke) -> None:
    invoke("run-visit", "night.avro", "--history-window", "0.5", *APDB)
    assert column(URL, "DiaObject", "nDiaSources") == [1, 1]
