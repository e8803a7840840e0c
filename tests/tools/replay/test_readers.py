import io
from dataclasses import replace
from pathlib import Path

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stream_assoc.core.sky.htm import htm_index
from stream_assoc.core.sky.vectors import to_radec, unit_vectors
from stream_assoc.messaging.avro.batch_decoder import BatchDecoder
from stream_assoc.messaging.avro.schemas import BATCH, load_schema
from stream_assoc.tools.replay.capture import CaptureWriter
from stream_assoc.tools.replay.exceptions import ReplayError
from stream_assoc.tools.replay.messages import KEY_LEVEL, BatchMessages, sky_key
from stream_assoc.tools.replay.readers import read_messages
from stream_assoc.tools.simulation.config import SimulationConfig
from stream_assoc.tools.simulation.night import simulate
from stream_assoc.tools.transform.exceptions import MappingError
from stream_assoc.tools.transform.footprints import footprint_of
from stream_assoc.tools.transform.mapping import load_mapping
from tests.pipeline.skies import batch

MESSAGES = BatchMessages("dia-sources")


@pytest.fixture(scope="module")
def events():
    return [MESSAGES.event(one.batch) for one in simulate(SimulationConfig(n_visits=2, n_detectors=2))]


@pytest.fixture
def avro_file(tmp_path: Path, events):
    path = tmp_path / "batches.avro"
    schema = load_schema(BATCH)
    records = [fastavro.schemaless_reader(io.BytesIO(event.message.value[5:]), schema) for event in events]
    with path.open("wb") as file:
        fastavro.writer(file, schema, records)
    return path


@pytest.mark.parametrize(("ra", "dec"), [(10.0, 20.0), (359.99, 0.0), (0.0, 90.0), (40.0, -90.0)])
def test_the_key_is_the_trixel_of_the_centre(ra: float, dec: float) -> None:
    footprint = footprint_of(np.array([ra]), np.array([dec]), 400.0)
    # At a vertex of the mesh rounding decides between trixels; either serves as a key.
    near_ra, near_dec = footprint_corners_towards(footprint, ra, dec)
    nearby = htm_index(near_ra, near_dec, KEY_LEVEL)
    assert int(sky_key(footprint)) in nearby


def footprint_corners_towards(footprint, ra, dec):
    """Positions an arcsecond or so around the centre, and the centre."""
    vectors = unit_vectors([ra], [dec]) + 1e-5 * unit_vectors(*footprint.T)
    return to_radec(np.vstack([vectors, unit_vectors([ra], [dec])]))


def test_a_container_of_batches_gives_the_same_messages(avro_file, events) -> None:
    assert list(read_messages(avro_file, MESSAGES)) == events


def test_a_capture_is_addressed_to_the_topic_asked_for(tmp_path: Path, events) -> None:
    with CaptureWriter(tmp_path / "c") as capture:
        for event in events:
            capture.write(event)
    read = list(read_messages(tmp_path / "c", BatchMessages("elsewhere")))
    assert {event.message.topic for event in read} == {"elsewhere"}
    assert [event.message.value for event in read] == [event.message.value for event in events]
    assert [event.message.key for event in read] == [event.message.key for event in events]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([61_000.0, 2_461_001.5, 61_002.0], [61_000.0, 61_000.0, 61_002.0]),
        ([1.76e9, np.nan, 61_002.0, 0.0], [61_002.0] * 4),
        ([1.76e9, np.inf], [33_282.0] * 2),
    ],
)
def test_nothing_waits_for_an_impossible_time(tmp_path: Path, times: list[float], expected: list[float]) -> None:
    messages = [MESSAGES.event(batch(visit, [150.0], [2.0])) for visit, _ in enumerate(times)]
    with CaptureWriter(tmp_path / "c") as capture:
        for event, time in zip(messages, times, strict=True):
            capture.write(replace(event, midpointMjdTai=time))
    read = list(read_messages(tmp_path / "c", MESSAGES))
    assert [event.midpointMjdTai for event in read] == expected
    assert [event.message for event in read] == [event.message for event in messages]


def test_a_table_needs_a_mapping(tmp_path: Path) -> None:
    pq.write_table(pa.table({"ra": [1.0]}), tmp_path / "t")
    with pytest.raises(ReplayError, match="name the column mapping"):
        read_messages(tmp_path / "t", MESSAGES)


def test_a_damaged_container_is_refused(avro_file) -> None:
    avro_file.write_bytes(avro_file.read_bytes()[:-20])
    with pytest.raises(ReplayError, match="file of batches"):
        list(read_messages(avro_file, MESSAGES))


def test_what_is_no_file_of_batches_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ReplayError, match="neither a Parquet table nor an Avro file"):
        read_messages(tmp_path / "text", MESSAGES)
    with pytest.raises(ReplayError, match="cannot read"):
        read_messages(tmp_path / "missing", MESSAGES)


@pytest.mark.real_data
def test_a_real_table_is_read_with_its_mapping(shared_data: Path) -> None:
    path = shared_data / "decam_hits/dia_source.parquet"
    read = list(read_messages(path, MESSAGES, load_mapping("decam"), "arrival"))
    batches = [BatchDecoder().decode(event.message.value) for event in read]
    assert [tuple(batch.id) for batch in batches] == [(411371, 56), (411371, 60), (411420, 10), (411420, 5)]


@pytest.mark.parametrize("damage", ["cut", "short", "page", "footer"])
def test_a_damaged_table_is_told_in_one_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"diaSourceId": list(range(1000)), "ra": [1.0] * 1000}), path)
    whole = path.read_bytes()
    spoilt = {
        "cut": whole[: len(whole) // 2],
        "short": whole[:7],
        "page": whole[:6] + b"\xff" * 60 + whole[66:],
        "footer": whole[:-30] + b"\xff" * 22 + whole[-8:],
    }
    path.write_bytes(spoilt[damage])
    with pytest.raises(ReplayError, match=r"cannot be read as a Parquet table.*damaged or cut short") as caught:
        read_messages(path, MESSAGES, load_mapping("rubin"))
    assert len(str(caught.value)) < 400


def test_a_table_with_a_column_twice_is_refused_by_name(tmp_path: Path) -> None:
    table = pa.table({"diaSourceId": [1], "ra": [1.0], "note": ["a"]})
    pq.write_table(table.append_column("ra", table.column("ra")), tmp_path / "t.parquet")
    with pytest.raises(MappingError, match="more than one column ra"):
        read_messages(tmp_path / "t.parquet", MESSAGES, load_mapping("rubin"))
