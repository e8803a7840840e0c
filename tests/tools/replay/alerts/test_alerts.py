"""Alert packets of Rubin and ZTF as input: files, compressed ones, folders, framed ones, captures, topics."""

import gzip
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pytest

from stream_assoc.core.model.batch import Batch
from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.messaging.avro.alerts.schemas import VERSIONS, alert_schema
from stream_assoc.messaging.avro.batch_decoder import BatchDecoder
from stream_assoc.messaging.kafka.plain_producer import PlainProducer
from stream_assoc.settings.kafka import KafkaSettings
from stream_assoc.tools.replay.alerts.reading import AlertOptions
from stream_assoc.tools.replay.alerts.sources import AlertTopic
from stream_assoc.tools.replay.capture import CaptureWriter
from stream_assoc.tools.replay.exceptions import ReplayError
from stream_assoc.tools.replay.manifest import SourceFile
from stream_assoc.tools.replay.messages import BatchMessages, TimedMessage
from stream_assoc.tools.replay.readers import read_messages
from stream_assoc.tools.transform.batches import batches
from stream_assoc.tools.transform.exceptions import MappingError
from stream_assoc.tools.transform.mapping import load_mapping
from stream_assoc.tools.transform.report import TableReport
from tests.tools.replay.alerts.packets import (
    ZTF_SCHEMA,
    container,
    framed,
    rubin_alert,
    rubin_sources,
    ztf_alert,
    ztf_candidates,
)
from tests.topics import new_topic

LATEST = VERSIONS[-1]
MESSAGES = BatchMessages("dia-sources")
N_SOURCES = 60


@pytest.fixture(scope="module")
def sources(shared_data: Path) -> list[dict[str, Any]]:
    return rubin_sources(shared_data, N_SOURCES)


@pytest.fixture(scope="module")
def alerts(sources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [rubin_alert(one, LATEST) for one in sources]


def read(
    source: Path | AlertTopic, mapping: str | None = None, *, history: bool = False, skip_bad: bool = False
) -> list[Batch]:
    columns = None if mapping is None else load_mapping(mapping)
    events = read_messages(source, MESSAGES, columns, alerts=AlertOptions(history, skip_bad))
    return [BatchDecoder().decode(event.message.value) for event in events]


def by_id(made: list[Batch]) -> dict[int, dict[str, Any]]:
    return {row["diaSourceId"]: row for batch in made for row in batch.diaSources.to_pylist()}


def same(one: list[Batch], other: list[Batch]) -> None:
    assert [batch.id for batch in one] == [batch.id for batch in other]
    for ours, theirs in zip(one, other, strict=True):
        assert ours.midpointMjdTai == theirs.midpointMjdTai
        assert ours.diaSources.equals(theirs.diaSources)


@pytest.fixture
def file(tmp_path: Path, alerts: list[dict[str, Any]]) -> Path:
    path = tmp_path / "night.avro"
    path.write_bytes(container(alert_schema(LATEST), alerts))
    return path


def test_alerts_are_the_batches_of_the_table_of_their_sources(file: Path, sources: list[dict[str, Any]]) -> None:
    """One a visit and detector, ids to the last digit."""
    made = read(file)
    expected = batches(pa.Table.from_pylist(sources), load_mapping("rubin"))
    assert [batch.id for batch in made] == [batch.id for batch in expected]
    assert by_id(made).keys() == {row["diaSourceId"] for row in sources} - left_out(expected.report, sources)
    for ours, theirs in zip(made, expected, strict=True):
        assert ours.diaSourceId.tolist() == theirs.diaSourceId.tolist()
        assert ours.diaSources.column("psfFlux").equals(theirs.diaSources.column("psfFlux"))
        assert ours.midpointMjdTai == theirs.midpointMjdTai


def left_out(report: TableReport, sources: list[dict[str, Any]]) -> set[int]:
    return {sources[row]["diaSourceId"] for one in report.left_out for row in one.rows}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_says_the_same(tmp_path: Path, sources: list[dict[str, Any]], version: str) -> None:
    path = tmp_path / "one.avro"
    path.write_bytes(container(alert_schema(version), [rubin_alert(one, version) for one in sources[:5]]))
    found = by_id(read(path))
    for row in sources[:5]:
        assert found[row["diaSourceId"]]["psfFlux"] == np.float32(row["psfFlux"])
        assert found[row["diaSourceId"]]["isNegative"] == row["isNegative"]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_sample_of_each_version_is_read(version: str) -> None:
    folder = files("lsst.alert.packet") / "schema" / version.replace(".", "/") / "sample_data"
    sample = Path(str(folder)) / "fakeAlert.avro"
    if version == "7.4":
        # It has seconds since 1970 where days must be.
        with pytest.raises(MappingError, match="midpointMjdTai is no MJD"):
            read(sample)
        return
    (batch,) = read(sample)
    assert batch.diaSourceId.tolist() == [281323062375219200]


def test_one_and_the_same_however_it_is_packed(tmp_path: Path, file: Path, alerts: list[dict[str, Any]]) -> None:
    expected = read(file)
    packed = tmp_path / "packed"
    for name, data in {
        "deflate": container(alert_schema(LATEST), alerts, "deflate"),
        "bzip2": container(alert_schema(LATEST), alerts, "bzip2"),
        "gz": gzip.compress(file.read_bytes()),
    }.items():
        packed.with_suffix(f".{name}").write_bytes(data)
        same(read(packed.with_suffix(f".{name}")), expected)


def a_folder(tmp_path: Path, alerts: list[dict[str, Any]]) -> Path:
    """Return a folder in which each alert is a file, by turns plain, compressed and framed."""
    folder = tmp_path / "alerts"
    (folder / "deeper").mkdir(parents=True)
    (folder / "README").write_text("of the broker")
    for number, alert in enumerate(alerts):
        one = container(alert_schema(LATEST), [alert])
        name, data = (("a.avro", one), ("deeper/c.avro.gz", gzip.compress(one)), ("f.avro", framed(alert, LATEST)))[
            number % 3
        ]
        (folder / name.replace(".", f"{number:03}.", 1)).write_bytes(data)
    return folder


def test_a_folder_of_packets_is_one_night(tmp_path: Path, file: Path, alerts: list[dict[str, Any]]) -> None:
    made = read(a_folder(tmp_path, alerts))
    assert [batch.id for batch in made] == [batch.id for batch in read(file)]
    assert by_id(made) == by_id(read(file))


def test_a_recorded_folder_is_known_again(tmp_path: Path, alerts: list[dict[str, Any]]) -> None:
    folder = a_folder(tmp_path, alerts)
    source = SourceFile.of(folder)
    source.check()
    (folder / "a000.avro").rename(folder / "z.avro")
    assert SourceFile.of(folder).sha256 != source.sha256


def test_versions_may_be_mixed(tmp_path: Path, sources: list[dict[str, Any]]) -> None:
    """Each of another visit and detector: one of 7.4 does not tell when it was processed."""
    ones = list({(one["visit"], one["detector"]): one for one in sources}.values())[: len(VERSIONS)]
    for version, source in zip(VERSIONS, ones, strict=True):
        (tmp_path / f"{version}.avro").write_bytes(container(alert_schema(version), [rubin_alert(source, version)]))
    found = by_id(read(tmp_path))
    assert {number: row["isNegative"] for number, row in found.items()} == {
        one["diaSourceId"]: one["isNegative"] for one in ones
    }


class TestHistory:
    def packets(self, tmp_path: Path, sources: list[dict[str, Any]]) -> Path:
        """Three alerts that tell of each other, and of one that none was raised for."""
        stale = [{**one, "psfFlux": -1.0} for one in sources[:3]]
        made = [rubin_alert(one, LATEST, [*stale, sources[3]]) for one in sources[:3]]
        (tmp_path / "h.avro").write_bytes(container(alert_schema(LATEST), made))
        return tmp_path / "h.avro"

    def test_it_is_left_to_its_own_alerts(self, tmp_path: Path, sources: list[dict[str, Any]]) -> None:
        found = by_id(read(self.packets(tmp_path, sources)))
        assert found.keys() == {one["diaSourceId"] for one in sources[:3]}

    def test_on_demand_each_source_comes_once_and_as_in_its_own_alert(
        self, tmp_path: Path, sources: list[dict[str, Any]]
    ) -> None:
        found = by_id(read(self.packets(tmp_path, sources), history=True))
        assert found.keys() == {one["diaSourceId"] for one in sources[:4]}
        assert all(found[one["diaSourceId"]]["psfFlux"] == np.float32(one["psfFlux"]) for one in sources[:4])


class TestBadPackets:
    DAMAGES: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
        ("cut", lambda data: data[: len(data) // 2]),
        ("empty", lambda data: b""),
        ("text", lambda data: b"no alert"),
        ("gzip", lambda data: gzip.compress(data)[:-30]),
        ("frame", lambda data: b"\x00\x00\x00\x04\x4d" + b"\xff" * 40),
        ("unknown", lambda data: b"\x00\x00\x00\xff\xff" + data),
    )

    @pytest.mark.parametrize(("name", "spoil"), DAMAGES)
    def test_it_is_named_or_left_out_and_nothing_else(
        self, tmp_path: Path, alerts: list[dict[str, Any]], name: str, spoil: Callable[[bytes], bytes]
    ) -> None:
        folder = a_folder(tmp_path, alerts[:9])
        bad = folder / f"b-{name}.avro"
        bad.write_bytes(spoil(container(alert_schema(LATEST), alerts[9:10])))
        with pytest.raises(ReplayError, match=rf"b-{name}\.avro cannot be read .* --skip-bad"):
            read(folder)
        assert by_id(read(folder, skip_bad=True)).keys() == {one["diaSourceId"] for one in alerts[:9]}

    def test_what_was_left_out_is_told(self, tmp_path: Path, alerts: list[dict[str, Any]]) -> None:
        folder = a_folder(tmp_path, alerts[:2])
        (folder / "b.avro").write_bytes(b"no alert")
        told: list[TableReport] = []
        list(read_messages(folder, MESSAGES, told=told.append, alerts=AlertOptions(skip_bad=True)))
        alerts_read, left, *_ = told[0].lines()
        assert alerts_read == "2 alerts read."
        assert "Left out: the rest of 1 files or messages" in left
        assert "b.avro" in left

    def test_a_folder_without_alerts_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(ReplayError, match=r"no file below it ends in \.avro"):
            read(tmp_path)

    def test_another_survey_is_refused(self, tmp_path: Path, alerts: list[dict[str, Any]], shared_data: Path) -> None:
        folder = a_folder(tmp_path, alerts[:2])
        (folder / "z.avro").write_bytes(container(ZTF_SCHEMA, [ztf_alert(ztf_candidates(shared_data, 1)[0])]))
        with pytest.raises(ReplayError, match=r"z\.avro .* an alert of ZTF"):
            read(folder)


class TestZtf:
    def test_magnitudes_are_the_fluxes_of_the_table(self, tmp_path: Path, shared_data: Path) -> None:
        candidates = ztf_candidates(shared_data, 500)
        path = tmp_path / "ztf.avro"
        path.write_bytes(container(ZTF_SCHEMA, map(ztf_alert, candidates)))
        made = read(path)
        found = by_id(made)
        expected = batches(pa.Table.from_pylist(candidates), load_mapping("ztf"))
        assert [batch.id for batch in made] == [batch.id for batch in expected]
        for batch in expected:
            for row in batch.diaSources.to_pylist():
                ours = found[row["diaSourceId"]]
                for name in ("psfFlux", "psfFluxErr", "snr"):
                    assert ours[name] == pytest.approx(row[name], rel=1e-5)
                assert ours["isNegative"] == row["isNegative"]
        assert [one.midpointMjdTai for one in made] == pytest.approx(
            [one.midpointMjdTai for one in expected], abs=1e-8
        )

    def test_one_njy_is_31_4_mag(self, tmp_path: Path, shared_data: Path) -> None:
        candidate = ztf_candidates(shared_data, 1)[0] | {"magpsf": 31.4, "sigmapsf": 0.1, "isdiffpos": "f"}
        (tmp_path / "z.avro").write_bytes(container(ZTF_SCHEMA, [ztf_alert(candidate)]))
        (row,) = by_id(read(tmp_path / "z.avro")).values()
        assert row["psfFlux"] == pytest.approx(-1.0, rel=1e-5)
        assert row["psfFluxErr"] == pytest.approx(0.1 * np.log(10) / 2.5, rel=1e-5)
        assert row["isNegative"]

    def test_half_of_the_exposure_is_added(self, tmp_path: Path, shared_data: Path) -> None:
        candidate = ztf_candidates(shared_data, 1)[0]
        midpoints = []
        for seconds in (30.0, 90.0, None):
            (tmp_path / "z.avro").write_bytes(container(ZTF_SCHEMA, [ztf_alert(candidate | {"exptime": seconds})]))
            (batch,) = read(tmp_path / "z.avro")
            assert batch.exposureTime == seconds
            midpoints.append(batch.midpointMjdTai)
        assert (midpoints[1] - midpoints[0]) * 86400.0 == pytest.approx(30.0, abs=1e-4)
        assert midpoints[2] == midpoints[0]

    def test_upper_limits_of_a_history_are_no_detections(self, tmp_path: Path, shared_data: Path) -> None:
        first, second = ztf_candidates(shared_data, 2)
        limit = {"jd": first["jd"] - 1.0, "fid": 1, "pid": first["pid"] - 10**9}
        alert = ztf_alert(first, [second, limit])
        (tmp_path / "z.avro").write_bytes(container(ZTF_SCHEMA, [alert]))
        assert by_id(read(tmp_path / "z.avro", history=True)).keys() == {first["candid"], second["candid"]}


def test_a_capture_of_a_topic_of_alerts_is_read_with_a_mapping(
    tmp_path: Path, file: Path, alerts: list[dict[str, Any]]
) -> None:
    path = tmp_path / "capture.avro"
    with CaptureWriter(path) as capture:
        for alert in alerts:
            capture.write(TimedMessage(60_000.0, OutputMessage("alerts", None, framed(alert, LATEST))))
    same(read(path, "rubin_alert"), read(file))
    as_they_are = [event.message.value for event in read_messages(path, MESSAGES)]
    assert as_they_are == [framed(alert, LATEST) for alert in alerts]


@pytest.mark.integration
def test_a_topic_of_alerts_is_read_to_its_end(kafka_bootstrap: str, file: Path, alerts: list[dict[str, Any]]) -> None:
    """Framed as Rubin sends them, and Avro files as ZTF does."""
    kafka, topic = KafkaSettings(bootstrap_servers=kafka_bootstrap), new_topic(kafka_bootstrap)
    values = [
        framed(one, LATEST) if number % 2 else container(alert_schema(LATEST), [one])
        for number, one in enumerate(alerts)
    ]
    producer = PlainProducer(kafka.producer_options())
    producer.send([OutputMessage(topic, uuid4().bytes, value) for value in values])
    producer.flush()
    producer.close()
    same(read(AlertTopic(kafka, topic)), read(file))
