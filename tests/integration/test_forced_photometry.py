"""Images in, forced sources out: in the APDB, on their topic, in the objects; once, whatever fails."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stream_assoc.core.model.batch import Batch
from stream_assoc.messaging.kafka.publisher import KafkaPublisher
from stream_assoc.service.daemon.process import StopRequest
from stream_assoc.service.instruments import Instruments
from stream_assoc.stores.apdb.postgresql.session import PostgresqlSession
from stream_assoc.wiring.daemon import open_daemon
from tests.contents import columns, n_rows
from tests.integration.deployment import Deployment, deploy
from tests.integration.test_exactly_once import (
    IN_ORDER,
    apdb_of,
    copied,
    crash,
    outbox_of,
    outputs_of,
    run_into,
    url_of,
    with_copies,
)
from tests.pipeline.exposed import exposed_night, image_files
from tests.pipeline.test_forced import FORCED_COLUMNS, means_of_rows

pytestmark = pytest.mark.integration

N_BATCHES = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images")


@pytest.fixture(scope="module")
def batches(folder: Path) -> list[Batch]:
    """Batches of which most have images; those of one are damaged, those of another gone."""
    night = exposed_night(folder, lambda one: one.id.visit % 4 != 0)[:N_BATCHES]
    damaged, gone, *_ = (one for one in night if one.id.visit % 4 == 2)
    image_files(folder, damaged)[0].write_bytes(image_files(folder, damaged)[0].read_bytes()[:10_000])
    image_files(folder, gone)[1].unlink()
    return night


def sections(folder: Path) -> dict[str, dict[str, object]]:
    return {**copied(IN_ORDER), "images": {"roots": (str(folder),)}}


def forced_of(deployment: Deployment) -> list[tuple[Any, ...]]:
    """Return the forced sources that subscribers see, sorted."""
    rows = deployment.forced_sources()
    return sorted(zip(*rows.to_pydict().values(), strict=True))


@pytest.fixture(scope="module")
def watched(
    kafka_bootstrap: str,
    valkey_url: str,
    tmp_path_factory: pytest.TempPathFactory,
    folder: Path,
    batches: list[Batch],
) -> tuple[Deployment, Instruments]:
    """An undisturbed night on SQLite, and what Prometheus saw of it."""
    file = tmp_path_factory.mktemp("reference") / "apdb.sqlite3"
    deployment = deploy(kafka_bootstrap, valkey_url, f"sqlite:///{file}", **sections(folder))
    deployment.send(batches)
    instruments = Instruments()
    with open_daemon(deployment.settings, instruments, StopRequest(30.0)) as daemon:
        while deployment.n_committed() < deployment.sent:
            daemon.process_next()
    return deployment, instruments


@pytest.fixture(scope="module")
def reference(watched: tuple[Deployment, Instruments]):
    """What the undisturbed night comes to."""
    deployment, _ = watched
    return apdb_of(deployment), outputs_of(deployment), forced_of(deployment)


def assert_same(deployment: Deployment, reference: tuple[object, ...]) -> None:
    assert (apdb_of(deployment), outputs_of(deployment), forced_of(deployment)) == reference
    assert outbox_of(deployment) == []
    assert deployment.dead_letters() == []


def test_forced_sources_are_stored_published_and_counted_once(
    deployed: Callable[..., Deployment], reference, folder: Path, batches: list[Batch]
) -> None:
    deployment = deployed(**sections(folder))
    deployment.send(with_copies(tuple(batches), n_copies=1))
    deployment.process_everything()
    assert_same(deployment, reference)
    url = url_of(deployment)
    names = deployment.forced_sources().schema.names
    stored = columns(url, "DiaForcedSource", *names)
    assert sorted(stored, key=repr) == sorted(forced_of(deployment), key=repr)
    measured = Counter(row[names.index("diaObjectId")] for row in stored)
    assert max(measured.values()) > 1
    rows = columns(url, "DiaForcedSource", *FORCED_COLUMNS)
    for band in ("g", "r"):
        versions = columns(
            url, "DiaObject", "diaObjectId", "validityStartMjdTai", f"{band}_fpFluxMean", f"{band}_fpFluxMeanErr"
        )
        expected = means_of_rows(rows, [row[:2] for row in versions], band)
        found = {row[:2]: row[2:] for row in versions}
        assert any(mean is not None for mean, _ in found.values())
        for key, (mean, error) in expected.items():
            assert found[key] == ((None, None) if mean is None else pytest.approx((mean, error), rel=3e-7)), key


def test_a_batch_without_usable_images_is_associated_all_the_same(reference, batches: list[Batch]) -> None:
    _, (_, metrics), forced = reference
    reasons = {(one.visit, one.detector): one.forcedPhotometryError for one in metrics}
    assert len(reasons) == len(batches)
    assert Counter(reasons.values()) == {None: len(batches) - 2, "damaged": 1, "missing": 1}
    measured = Counter((row[4], row[5]) for row in forced)
    for one in metrics:
        assert one.numForcedSources == measured[one.visit, one.detector]
        failed = one.forcedPhotometryError is not None or one.visit % 4 == 0
        assert (one.numForcedSources == 0) == failed
        assert one.numDiaSources > 0


@pytest.mark.parametrize(
    "step",
    [
        pytest.param((PostgresqlSession, "commit", True), id="after the APDB commit"),
        pytest.param((KafkaPublisher, "publish", False), id="before the Kafka commit"),
    ],
)
def test_a_crash_measures_nothing_twice(
    deployed: Callable[..., Deployment], reference, folder: Path, batches: list[Batch], step
) -> None:
    deployment = deployed(**sections(folder))
    deployment.send(batches)
    owner, method, after = step
    with crash(owner, method, after=after):
        run_into(deployment)
    deployment.process_everything()
    assert_same(deployment, reference)


def test_failures_are_counted_where_prometheus_looks(watched: tuple[Deployment, Instruments]) -> None:
    deployment, instruments = watched
    failures = "stream_assoc_forced_photometry_failures_total"
    reasons = ("damaged", "missing", "refused")
    counted = [instruments.registry.get_sample_value(failures, {"reason": reason}) for reason in reasons]
    assert counted == [1.0, 1.0, None]
    n_stored = n_rows(url_of(deployment), "DiaForcedSource")
    assert instruments.registry.get_sample_value("stream_assoc_forced_sources_total") == n_stored > 0
