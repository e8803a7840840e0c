"""Alerts on real servers: one for each stored source, with its past as of then and its stamps, exactly once."""

import contextlib
import io
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from confluent_kafka import Consumer, TopicPartition
from lsst.alert.packet import Schema

from stream_assoc import subscribe
from stream_assoc.core.model.batch import Batch, Observation
from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.failpoints import ALERT_FAILPOINTS, VARIABLE
from stream_assoc.messaging.avro.alerts.decoder import Alert, decode_alert
from stream_assoc.messaging.avro.alerts.schemas import alert_schema
from stream_assoc.messaging.kafka.topics import ensure_topics
from stream_assoc.service.alerts.instruments import AlertInstruments
from stream_assoc.service.alerts.maker import TIMESTAMP_HEADER
from stream_assoc.service.daemon.health import Health
from stream_assoc.service.daemon.process import StopRequest
from stream_assoc.settings import Settings
from stream_assoc.wiring.alerts import group_of, open_alert_daemon
from stream_assoc.wiring.stores import reader_of
from tests.integration.deployment import Deployment, deploy
from tests.integration.program import PROGRAM, environment_of, serve
from tests.integration.test_exactly_once import IN_ORDER, copied
from tests.pipeline.exposed import exposed_night

pytestmark = pytest.mark.integration

N_BATCHES = 8
N_KILLS = int(os.environ.get("STREAM_ASSOC_TEST_CHAOS_ALERT_KILLS", "3"))
LIFE_SECONDS = 120.0
AFTER = ALERT_FAILPOINTS[-1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images")


@pytest.fixture(scope="module")
def batches(folder: Path) -> list[Batch]:
    night = exposed_night(folder, lambda one: one.id.visit % 4 != 0)[:N_BATCHES]
    return [
        Batch(
            **{name: getattr(one, name) for name in Batch.__slots__} | {"observation": Observation("ddf", "COSMOS")}
        )
        for one in night
    ]


@pytest.fixture(params=["postgresql", "sqlite", "cassandra"])
def deployment(
    request: pytest.FixtureRequest,
    kafka_bootstrap: str,
    valkey_url: str,
    tmp_path: Path,
    folder: Path,
    batches: list[Batch],
) -> Deployment:
    """A night that the daemon has processed."""
    url = f"sqlite:///{tmp_path / 'apdb.sqlite3'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_database")
    elif request.param == "cassandra":
        url = request.getfixturevalue("prepared_apdb").emptied()
    made = deploy(kafka_bootstrap, valkey_url, url, **copied(IN_ORDER), images={"roots": (str(folder),)})
    made.send(batches)
    made.process_everything()
    return made


def n_told(settings: Settings) -> int:
    """Return up to where the group that makes alerts has read, summed over the partitions."""
    # A transaction that a kill has left open is not waited for.
    options = {"group.id": group_of(settings), "isolation.level": "read_uncommitted"}
    consumer = Consumer({**settings.kafka.consumer_options(), **options})
    try:
        places = [TopicPartition(settings.kafka.metrics_topic, i) for i in range(settings.kafka.partitions)]
        return sum(max(0, one.offset) for one in consumer.committed(places, timeout=30.0))
    finally:
        consumer.close()


def n_to_tell(settings: Settings) -> int:
    """Return the offset behind the last message of metrics, summed over the partitions."""
    consumer = Consumer({**settings.kafka.consumer_options(), "group.id": "ends"})
    try:
        places = [TopicPartition(settings.kafka.metrics_topic, i) for i in range(settings.kafka.partitions)]
        seen = 0
        for place in places:
            low, high = consumer.get_watermark_offsets(place, timeout=30.0)
            # The last of a partition is the marker of its transaction.
            seen += high - 1 if high > low else 0
        return seen
    finally:
        consumer.close()


def make_alerts(deployment: Deployment, settings: Settings) -> None:
    """Run the daemon that makes alerts until it has read all metrics."""
    stop, wanted = StopRequest(30.0), n_to_tell(settings)
    instruments = AlertInstruments()

    def run() -> None:
        try:
            with open_alert_daemon(settings, instruments, stop, Health(instruments)) as daemon:
                daemon.run(stop)
        except BaseException as error:  # noqa: BLE001 - told to the test's own thread
            deployment.errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        deployment.wait_until(lambda: n_told(settings) >= wanted)
    finally:
        stop.set()
        thread.join(60.0)
    assert not thread.is_alive()


def alerts_of(deployment: Deployment, topic: str | None = None) -> list[tuple[OutputMessage, Alert]]:
    messages = deployment.read(topic or deployment.settings.kafka.alerts_topic)
    return [(message, decode_alert(message.value)) for message in messages]


def test_every_stored_source_has_one_alert_that_tells_its_past(
    deployment: Deployment, batches: list[Batch], folder: Path
) -> None:
    make_alerts(deployment, deployment.settings)
    alerts = alerts_of(deployment)
    reader = reader_of(deployment.settings)
    sources = {row["diaSourceId"]: row for row in reader.all_sources().to_pylist()}
    versions = {(row["diaObjectId"], row["validityStartMjdTai"]): row for row in reader.all_versions().to_pylist()}
    reader.close()
    assert sorted(alert.diaSourceId for _, alert in alerts) == sorted(sources)
    rubins = Schema(alert_schema())
    with_images = {one.id for one in batches if one.images.named}
    for message, alert in alerts:
        assert rubins.validate(alert.record)
        source = sources[alert.diaSourceId]
        assert (alert.reason, alert.target) == ("ddf", "COSMOS")
        assert alert["psfFlux"] == pytest.approx(source["psfFlux"], nan_ok=True)
        earlier = [row["diaSourceId"] for row in alert.record["prvDiaSources"] or ()]
        if alert.dia_object is None:
            assert source["ssObjectId"]
            assert not earlier
        else:
            version = versions[source["diaObjectId"], source["timeProcessedMjdTai"]]
            assert alert.dia_object["nDiaSources"] == version["nDiaSources"] == len(earlier) + 1
            assert sorted(earlier) == sorted(
                identifier
                for identifier, row in sources.items()
                if row["diaObjectId"] == source["diaObjectId"]
                and row["timeProcessedMjdTai"] < source["timeProcessedMjdTai"]
            )
        assert message.key is None
        assert dict(message.headers).keys() == {TIMESTAMP_HEADER}
        has_stamp = alert.difference is not None
        assert has_stamp == ((source["visit"], source["detector"]) in with_images)
        if alert.difference is not None:
            with fits.open(io.BytesIO(alert.difference)) as files:
                assert np.isfinite(files[0].data).any()
    assert any(alert.record["prvDiaSources"] for _, alert in alerts)
    assert any(alert.record["prvDiaForcedSources"] for _, alert in alerts)


@pytest.mark.parametrize("deployment", ["postgresql"], indirect=True)
def test_killed_anywhere_the_alerts_are_those_of_an_undisturbed_run(
    deployment: Deployment, tmp_path: Path, folder: Path
) -> None:
    make_alerts(deployment, deployment.settings)
    expected = sorted((message.value, message.headers) for message, _ in alerts_of(deployment))
    kafka = deployment.settings.kafka.model_copy(
        update={"alerts_topic": f"{deployment.settings.kafka.group_id}.again"}
    )
    alerts = deployment.settings.alerts.model_copy(update={"group_id": f"{kafka.group_id}-again"})
    again = deployment.settings.model_copy(update={"kafka": kafka, "alerts": alerts})
    ensure_topics(again.kafka)
    variables = environment_of(
        Deployment(again),
        kafka__partitions=kafka.partitions,
        alerts__group_id=alerts.group_id,
        alerts__transactional_id=f"{kafka.group_id}-again",
        images__roots=json.dumps([str(folder)]),
        daemon__pin_clock_mjd=deployment.settings.daemon.pin_clock_mjd,
        daemon__micro_batch_messages=1,
        # A static member that comes back gets its partitions at once; another would wait for the dead one's session.
        kafka__group_instance_id="the-only-one",
    )
    wanted = n_to_tell(again)
    log = tmp_path / "alerts.log"
    steps = steps_to_die_at(N_KILLS)
    assert steps.count(AFTER) < N_BATCHES, "nothing would be left to do"
    for failpoint in steps:
        with life(log, variables | {VARIABLE: failpoint}) as process:
            status = process.wait(LIFE_SECONDS)
        assert status == -signal.SIGKILL, log.read_text()
    with life(log, variables) as process:
        deployment.wait_until(lambda: process.poll() is not None or n_told(again) >= wanted)
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIFE_SECONDS) == 0, log.read_text()
    seen = sorted((message.value, message.headers) for message, _ in alerts_of(deployment, kafka.alerts_topic))
    assert seen == expected


def steps_to_die_at(n_kills: int) -> list[str]:
    """Return each step in turn, then steps at random; only a life that dies behind the commit has done a batch."""
    random = np.random.default_rng(19)
    steps = [*ALERT_FAILPOINTS, *random.choice(ALERT_FAILPOINTS, max(0, n_kills - len(ALERT_FAILPOINTS))).tolist()]
    done = 0
    for place, step in enumerate(steps):
        done += step == AFTER
        if done >= N_BATCHES and step == AFTER:
            steps[place] = ALERT_FAILPOINTS[place % (len(ALERT_FAILPOINTS) - 1)]
    return steps[:n_kills]


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
def test_serve_makes_alerts_beside_it_where_it_is_asked_to(deployment: Deployment, tmp_path: Path) -> None:
    settings, wanted = deployment.settings, n_to_tell(deployment.settings)
    variables = environment_of(deployment, alerts__enabled=True, kafka__partitions=settings.kafka.partitions)
    with serve(tmp_path, variables) as process:
        deployment.wait_until(lambda: process.poll() is not None or n_told(settings) >= wanted)
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIFE_SECONDS) == 0
    reader = reader_of(settings)
    stored = sorted(reader.all_sources(["diaSourceId"])["diaSourceId"].to_pylist())
    reader.close()
    assert sorted(alert.diaSourceId for _, alert in alerts_of(deployment)) == stored
    told = subprocess.run(
        [PROGRAM, "alerts", "tail", "--from-beginning", "--until-end"],
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )
    heading, *lines = told.stdout.splitlines()
    with subscribe("alerts", settings=settings, since="beginning", until_end=True) as alerts:
        assert sorted(alert.diaSourceId for alert in alerts) == stored
    assert heading.split()[0] == "diaSourceId"
    assert sorted(int(line.split()[0]) for line in lines) == stored


@contextlib.contextmanager
def life(log: Path, variables: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the program `stream-assoc alerts`; it has ended at the end."""
    with (
        log.open("w") as output,
        subprocess.Popen([PROGRAM, "alerts"], cwd=log.parent, env=variables, stderr=output) as process,
    ):
        try:
            yield process
        finally:
            process.kill()
