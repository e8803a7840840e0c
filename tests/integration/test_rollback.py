"""An APDB that comes back from a backup: the daemon refuses to work on it until it has been dealt with."""

import shutil
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from stream_assoc.core.model.batch import BatchId
from stream_assoc.service.exceptions import RolledBackError
from stream_assoc.stores.apdb.create import repartition
from tests.contents import LEDGER, columns
from tests.integration.deployment import Deployment, deploy
from tests.pipeline.skies import night

pytestmark = pytest.mark.integration


def counted(url: str) -> set[BatchId]:
    return {BatchId(*row) for row in columns(url, LEDGER, "visit", "detector")}


def set_offsets_back(deployment: Deployment) -> None:
    """Let the group read everything again."""
    kafka = deployment.settings.kafka
    consumer = Consumer({**kafka.consumer_options(), "group.id": kafka.group_id})
    try:
        places = [TopicPartition(kafka.input_topic, number, 0) for number in range(kafka.partitions)]
        consumer.commit(offsets=places, asynchronous=False)
    finally:
        consumer.close()


def test_a_backup_is_refused_until_it_has_a_new_identity(
    kafka_bootstrap: str, valkey_url: str, tmp_path: Path
) -> None:
    file, backup = tmp_path / "apdb.sqlite3", tmp_path / "backup.sqlite3"
    url = f"sqlite:///{file}"
    deployment = deploy(kafka_bootstrap, valkey_url, url)
    batches = night()
    deployment.send(batches[:-4])
    deployment.process_everything()
    shutil.copy(file, backup)
    deployment.send(batches[-4:])
    deployment.process_everything()
    shutil.copy(backup, file)

    with deployment.daemon() as thread:
        thread.join(60.0)
    (error,) = deployment.errors
    assert isinstance(error, RolledBackError)
    assert len(counted(url)) == len(batches) - 4

    deployment.errors.clear()
    sky = deployment.settings.sky
    repartition(url, tile_level=sky.tile_level, cell_level=sky.cell_level)
    set_offsets_back(deployment)
    with deployment.daemon():
        deployment.wait_until(lambda: counted(url) == {one.id for one in batches})
    assert not deployment.errors
