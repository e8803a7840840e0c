"""A survey's table through the whole deployment: `stream-assoc replay` on one side, the daemon on the other."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psycopg
import pyarrow as pa

from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.core.model.types import IntArray
from stream_assoc.messaging.avro.batch_decoder import BatchDecoder
from stream_assoc.messaging.avro.dead_letters import read_dead_letter
from tests.integration.deployment import Deployment

STREAM_ASSOC = Path(sys.executable).with_name("stream-assoc")
LOOK_EVERY_SECONDS = 1.0

IN_ORDER = {
    # One partition keeps the order of the file, so that each object is created by the same source every time.
    "kafka": {"partitions": 1},
    "daemon": {"micro_batch_messages": 256},
}


@dataclass(frozen=True)
class Replayed:
    """What became of every source of a table."""

    n_messages: int
    diaSourceId: IntArray
    diaObjectId: IntArray
    metrics: list[AssociationMetrics]
    dead_letters: list[OutputMessage]

    @property
    def n_marginal(self) -> int:
        return sum(metrics.numMarginalDiaSources for metrics in self.metrics)

    @property
    def n_dropped(self) -> int:
        return sum(metrics.numDroppedDiaSources for metrics in self.metrics)

    @property
    def n_dead(self) -> int:
        """Sources in dead letters, read from the original bytes these carry."""
        decoder = BatchDecoder()
        return sum(len(decoder.decode(letter.value)) for letter in self.dead_letters)

    @property
    def dead_letter_reasons(self) -> set[str]:
        return {read_dead_letter(letter).record.reason for letter in self.dead_letters}

    def assert_nothing_lost(self, n_sent: int) -> None:
        """Every message has its metrics or is a dead letter; every source is stored or counted as refused."""
        assert len(self.metrics) + len(self.dead_letters) == self.n_messages
        assert len(np.unique(self.diaSourceId)) == len(self.diaSourceId)
        assert len(self.diaSourceId) + self.n_marginal + self.n_dropped + self.n_dead == n_sent


def replay(deployment: Deployment, table: Path, *arguments: str) -> Replayed:
    """Replay a table with the command, while a daemon processes what comes."""
    kafka = deployment.settings.kafka
    addresses = {
        "STREAM_ASSOC_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "STREAM_ASSOC_KAFKA__INPUT_TOPIC": kafka.input_topic,
    }
    command = subprocess.Popen(
        [STREAM_ASSOC, "replay", table, *arguments],
        env={**os.environ, **addresses},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with deployment.daemon():
        told, errors = command.communicate()
        assert command.returncode == 0, errors
        n_messages = int(told.split(" messages", 1)[0])
        _wait_for(deployment, n_messages)
    assert not deployment.errors, deployment.errors
    sources, objects = _associations(deployment.settings.apdb.url.get_secret_value())
    return Replayed(n_messages, sources, objects, deployment.metrics(), deployment.dead_letters())


def _wait_for(deployment: Deployment, n_messages: int) -> None:
    """Wait until all is committed; the deadline is for any progress, as nobody knows how fast a machine is."""
    done = -1
    while done < n_messages:

        def has_moved(before: int = done) -> bool:
            return deployment.n_committed() > before

        deployment.wait_until(has_moved, LOOK_EVERY_SECONDS)
        done = deployment.n_committed()


def _associations(apdb_url: str) -> tuple[IntArray, IntArray]:
    with psycopg.connect(apdb_url) as connection:
        rows = connection.execute('SELECT "diaSourceId", "diaObjectId" FROM "DiaSource"').fetchall()
    sources, objects = np.array(rows, np.int64).T
    return sources, objects


def column(table: pa.Table, name: str) -> IntArray:
    """Return an integer column that has no nulls."""
    return np.asarray(table.column(name).to_numpy(), np.int64)
