"""The daemon is killed while visits are re-processed together with their originals: the night comes out the same.

By default at one step, on SQLite; at every step, on both databases, with
STREAM_ASSOC_TEST_CHAOS_REPROCESSING=1 (``make chaos``).
"""

import dataclasses
import functools
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from stream_assoc.core.model.batch import Batch
from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.failpoints import FAILPOINTS
from stream_assoc.messaging.authority import Authority, with_reprocessing
from stream_assoc.messaging.avro.batch_encoder import BatchEncoder
from tests.chaos.nights import SECTIONS, Night, batches
from tests.chaos.outcome import assert_nothing_shows
from tests.integration.deployment import deploy
from tests.services import new_database

pytestmark = [pytest.mark.integration, pytest.mark.chaos]

IS_LONG = os.environ.get("STREAM_ASSOC_TEST_CHAOS_REPROCESSING", "") == "1"
DATABASES = ["sqlite", "postgresql"] if IS_LONG else ["sqlite"]
SECRET = "sixteen letters!"
STEPS = FAILPOINTS if IS_LONG else ("after-store",)


def processed_again(one: Batch) -> Batch:
    """Return a batch without each third of its sources, the ids of the others given anew."""
    kept = np.flatnonzero(np.arange(len(one)) % 3)
    rows = one.diaSources.take(pa.array(kept))
    renumbered = pa.array(one.diaSourceId[: len(kept)])
    place = rows.schema.get_field_index("diaSourceId")
    columns = [*rows.columns[:place], renumbered, *rows.columns[place + 1 :]]
    return dataclasses.replace(one, diaSources=pa.RecordBatch.from_arrays(columns, schema=rows.schema))


@functools.cache
def sequence() -> tuple[tuple[Batch, bool], ...]:
    """Return the batches of a night, each with its re-processing after it, and some re-processed later once more."""
    originals = batches()[:10]
    pairs = [(again, marked) for one in originals for again, marked in ((one, False), (processed_again(one), True))]
    late = [(processed_again(processed_again(one)), True) for one in originals[::3]]
    return (*pairs, *late)


def reprocessed_night(kafka_bootstrap: str, valkey_url: str, apdb_url: str, folder: Path) -> Night:
    sections = {name: dict(section) for name, section in SECTIONS.items()}
    sections["operators"] = {"secret": SECRET}
    deployment = deploy(kafka_bootstrap, valkey_url, apdb_url, **sections)
    encoder, authority = BatchEncoder(), Authority(SECRET.encode())
    topic = deployment.settings.kafka.input_topic
    deployment.send_raw(
        [
            OutputMessage(topic, None, value, authority.signed(with_reprocessing(()) if marked else (), value))
            for value, marked in ((encoder.encode(one), marked) for one, marked in sequence())
        ]
    )
    return Night(deployment, folder, n_batches=len(sequence()))


@pytest.fixture(scope="module")
def undisturbed(kafka_bootstrap: str, valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Night:
    folder = tmp_path_factory.mktemp("undisturbed")
    night = reprocessed_night(kafka_bootstrap, valkey_url, f"sqlite:///{folder / 'apdb.sqlite3'}", folder)
    night.finish()
    return night


@pytest.fixture(params=DATABASES)
def night(request: pytest.FixtureRequest, kafka_bootstrap: str, valkey_url: str, tmp_path: Path) -> Iterator[Night]:
    with ExitStack() as stack:
        url = f"sqlite:///{tmp_path / 'apdb.sqlite3'}"
        if request.param == "postgresql":
            url = stack.enter_context(new_database(request.getfixturevalue("postgresql_url")))
        yield reprocessed_night(kafka_bootstrap, valkey_url, url, tmp_path)


def test_killed_at_every_step_of_a_night_with_reprocessings(night: Night, undisturbed: Night) -> None:
    expected = undisturbed.outcome()
    objects = undisturbed.deployment.settings.kafka.objects_topic
    assert any(message.value is None for message in undisturbed.deployment.read(objects)), "no object has ended"
    assert undisturbed.deployment.dead_letters() == []
    for number, step in enumerate(STEPS):
        # The first transaction of a micro-batch is the original's, the second that of its re-processing.
        night.die_at(step, count=1 + (number + 1) % 2)
    night.finish()
    assert_nothing_shows(night.outcome(), expected)
