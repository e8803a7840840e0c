"""A daemon that measures on images is killed between its commits: nothing is measured twice, or not at all."""

from pathlib import Path
from typing import Any

import pytest

from tests.chaos.nights import SECTIONS, Night
from tests.chaos.outcome import assert_nothing_shows, outcome_of
from tests.integration.deployment import Deployment, deploy
from tests.pipeline.exposed import exposed_night

pytestmark = [pytest.mark.integration, pytest.mark.chaos]

N_BATCHES = 10


def test_killed_between_the_commits(
    kafka_bootstrap: str, valkey_url: str, postgresql_database: str, tmp_path: Path
) -> None:
    images = tmp_path / "images"
    images.mkdir()
    batches = exposed_night(images)[:N_BATCHES]
    sections: dict[str, dict[str, Any]] = {**SECTIONS, "images": {"roots": (str(images),)}}

    def deployed(url: str) -> Deployment:
        deployment = deploy(kafka_bootstrap, valkey_url, url, **{name: dict(one) for name, one in sections.items()})
        deployment.send(batches)
        return deployment

    undisturbed = deployed(f"sqlite:///{tmp_path / 'apdb.sqlite3'}")
    undisturbed.process_everything()
    expected = outcome_of(undisturbed)
    topic = next(topic for topic in expected.published if topic.endswith("dia-forced-sources"))
    assert len(expected.published[topic]) == len(expected.apdb["DiaForcedSource"]) > 0

    night = Night(deployed(postgresql_database), tmp_path, n_batches=N_BATCHES)
    night.die_at("after-store", count=2)
    night.die_at("before-publish")
    assert 0 < night.n_counted() < N_BATCHES
    night.finish()
    assert_nothing_shows(night.outcome(), expected)
