"""``associate`` as a user meets it: a file of batches, an APDB, no broker."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from stream_assoc.apps.cli.app import CommandError
from stream_assoc.apps.cli.main import app
from stream_assoc.core.model.batch import BatchId
from stream_assoc.exceptions import FatalError
from stream_assoc.messaging.avro.batch_decoder import BatchDecoder
from stream_assoc.pipeline.batches import Redelivered
from stream_assoc.settings import Settings
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.tools.replay.capture import CaptureWriter
from stream_assoc.tools.replay.messages import BatchMessages
from stream_assoc.wiring.pipeline import services_of
from tests.apps.cli.invoking import Invoke
from tests.contents import column
from tests.pipeline.bench import APDB_FILE, process
from tests.pipeline.skies import BIG, MJD, batch, pinned_services

URL = f"sqlite:///{APDB_FILE}"
APDB = ("--set", f"apdb.url={URL}")


@pytest.fixture
def apdb(tmp_path: Path) -> None:
    pinned_services(tmp_path).apdb.close()


@pytest.fixture
def capture():
    events = [BatchMessages("dia-sources").event(batch(visit, [150.0], [2.0])) for visit in (1, 2)]
    with CaptureWriter(Path("night.avro")) as writer:
        for event in events:
            writer.write(event)
    return events


@pytest.mark.usefixtures("apdb")
def test_every_batch_of_a_capture_reaches_the_apdb(invoke: Invoke, capture) -> None:
    told = invoke("associate", "night.avro", *APDB).stdout.splitlines()
    assert told == [
        "visit 1 detector 0 r: 1 sources, 0 associated, 0 of the solar system, 1 new objects, 0 marginal, 0 dropped",
        "visit 2 detector 0 r: 1 sources, 1 associated, 0 of the solar system, 0 new objects, 0 marginal, 0 dropped",
    ]
    assert column(URL, "DiaObject", "nDiaSources") == [1, 2]


@pytest.mark.usefixtures("apdb", "capture")
def test_the_command_keeps_its_earlier_name_which_no_help_shows(invoke: Invoke) -> None:
    assert len(invoke("run-visit", "night.avro", *APDB).stdout.splitlines()) == 2
    assert "run-visit" not in invoke("--help").stdout


@pytest.mark.usefixtures("apdb", "capture")
def test_a_second_run_changes_nothing(invoke: Invoke) -> None:
    invoke("associate", "night.avro", *APDB)
    told = invoke("associate", "night.avro", *APDB)
    assert told.exit_code == 0
    assert told.stdout.splitlines()[1] == "visit 2 detector 0 was processed before; nothing was changed"
    assert len(column(URL, "DiaSource", "diaSourceId")) == 2


@pytest.mark.usefixtures("apdb")
def test_the_daemon_knows_what_was_run(invoke: Invoke, capture) -> None:
    invoke("associate", "night.avro", *APDB)
    services = services_of(Settings(), open_apdb(URL), pinned_services(Path("other")).cache)
    assert process(services, BatchDecoder().decode(capture[0].message.value)) == [Redelivered(BatchId(1, 0), ())]
    assert services.apdb.unpublished() == []
    services.apdb.close()


def night(n_rows: int, **changes: object) -> None:
    """Write a table of one detector to night.parquet."""
    ids = {"diaSourceId": [BIG + 1 + row for row in range(n_rows)], "visit": [7] * n_rows, "detector": [3] * n_rows}
    times = {"band": ["g"] * n_rows, "midpointMjdTai": [MJD] * n_rows, "timeProcessedMjdTai": [MJD] * n_rows}
    places = {"ra": [150.0 + 0.01 * row for row in range(n_rows)], "dec": [2.0] * n_rows}
    measured = dict.fromkeys(("x", "y", "psfFlux", "psfFluxErr"), [1.0] * n_rows)
    pq.write_table(pa.table({**ids, **times, **places, **measured, **changes}), "night.parquet")


@pytest.mark.usefixtures("apdb")
def test_a_table_needs_a_mapping(invoke: Invoke) -> None:
    night(2)
    with pytest.raises(FatalError, match="name the column mapping"):
        invoke("associate", "night.parquet", *APDB)
    assert "2 new objects" in invoke("associate", "night.parquet", "--mapping", "rubin", *APDB).stdout
    assert sorted(column(URL, "DiaObject", "diaObjectId")) == [BIG + 1, BIG + 2]


@pytest.mark.usefixtures("apdb")
def test_one_bad_row_of_a_table_harms_no_visit(invoke: Invoke) -> None:
    night(4, visit=[7, 8, 8, 9], band=["g", "r", "Y", "i"], dec=[2.0, 95.0, 2.0, None])
    told = invoke("associate", "night.parquet", "--mapping", "rubin", *APDB)
    assert told.exit_code == 0
    assert told.stdout.startswith("visit 7 detector 3 g: 1 sources")
    assert told.stdout.count("visit ") == 1
    assert told.stderr.startswith("1 of 4 rows are sources of 1 batches.")
    assert f"none of u, g, r, i, z, y: 'Y' (visit 8 detector 3 source {BIG + 3})" in told.stderr
    assert f"dec is null or not finite (visit 9 detector 3 source {BIG + 4})" in told.stderr
    assert f"dec beyond 90, or ra beyond 36000 (visit 8 detector 3 source {BIG + 2})" in told.stderr


@pytest.mark.usefixtures("apdb")
def test_the_order_counts_earlier_processings_as_replay_does(invoke: Invoke) -> None:
    night(2, timeProcessedMjdTai=[MJD + 0.1, MJD + 9.0])
    table = ("night.parquet", "--mapping", "rubin")
    reason = "Left out: 1 row, of an earlier processing of their visit and detector"
    for command in (("associate", *table, *APDB), ("replay", *table, "--dry-run")):
        told = invoke(*command)
        assert reason in told.stderr
        assert "1 of 2 rows are sources of 1 batches." in told.stderr
    assert "1 messages" in invoke("replay", *table, "--dry-run").stdout
    assert "2 messages" in invoke("replay", *table, "--dry-run", "--order", "arrival").stdout
    with pytest.raises(CommandError, match=r"1 of 2 batches of night\.parquet were refused"):
        invoke("associate", *table, "--order", "arrival", *APDB)


@pytest.mark.usefixtures("apdb")
def test_a_batch_that_can_never_count_is_named_and_harms_no_other(invoke: Invoke) -> None:
    good, spoilt = (BatchMessages("dia-sources").event(batch(visit, [150.0], [2.0])) for visit in (1, 2))
    assert spoilt.message.value is not None
    wrong = replace(batch(3, [150.0], [2.0]), band="q")
    with CaptureWriter(Path("night.avro")) as writer:
        writer.write(replace(spoilt, message=spoilt.message._replace(value=spoilt.message.value[:-3])))
        writer.write(BatchMessages("dia-sources").event(wrong))
        writer.write(good)
    told: list[str] = []
    with pytest.raises(CommandError, match=r"2 of 3 batches of night\.avro were refused"):
        told.append(invoke("associate", "night.avro", *APDB).output)
    assert column(URL, "DiaSource", "visit") == [1]


@pytest.mark.usefixtures("apdb")
@pytest.mark.parametrize("what", ["id", "band", "time", "footprint", "damaged"])
def test_whatever_is_wrong_with_a_batch_its_visit_is_named(what: str) -> None:
    messages, good = BatchMessages("dia-sources"), batch(2, [150.0], [2.0])
    event = messages.event(
        {
            "id": batch(2, [150.0], [2.0], ids=[0]),
            "band": replace(good, band="w"),
            "time": replace(good, midpointMjdTai=2_461_002.5),
            "footprint": replace(good, footprint=np.full((3, 2), 2.0)),
            "damaged": good,
        }[what]
    )
    if what == "damaged":
        event = replace(event, message=event.message._replace(value=(event.message.value or b"")[:-1]))
    with CaptureWriter(Path("night.avro")) as writer:
        writer.write(event)
        writer.write(messages.event(batch(3, [150.0], [2.0])))
    told = CliRunner().invoke(app, ["associate", "night.avro", *APDB])
    assert isinstance(told.exception, CommandError)
    (line,) = told.stderr.splitlines()
    assert "visit 2 detector 0: " in line
    assert line.count("visit 2 detector 0") == 1
    assert column(URL, "DiaObject", "nDiaSources") == [1]


def test_a_table_without_rows_is_no_error(invoke: Invoke) -> None:
    pq.write_table(pa.table({name: pa.nulls(0) for name in ("diaSourceId", "visit", "band")}), "night.parquet")
    told = invoke("replay", "night.parquet", "--mapping", "rubin", "--dry-run")
    assert told.exit_code == 0
    assert "0 of 0 rows are sources of 0 batches." in told.stderr


@pytest.mark.usefixtures("capture")
def test_an_apdb_that_is_not_there_is_told(invoke: Invoke) -> None:
    with pytest.raises(FatalError, match="apdb init"):
        invoke("associate", "night.avro", *APDB)


@pytest.mark.usefixtures("apdb", "capture")
def test_history_can_be_cut(invoke: Invoke) -> None:
    invoke("associate", "night.avro", "--history-window", "0.5", *APDB)
    assert column(URL, "DiaObject", "nDiaSources") == [1, 1]
