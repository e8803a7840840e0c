"""A partition that lost messages which were read, and has others in their place, is told from one that only grew."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stream_assoc.core.model.changes import InputPosition
from stream_assoc.messaging.kafka.errors import KafkaConfigurationError
from stream_assoc.messaging.kafka.gaps import Gap
from stream_assoc.tools.embedded.kafka import EmbeddedKafka
from tests import services
from tests.messaging.gap_bench import Bench, read_until_told
from tests.messaging.kafka_support import read, until

pytestmark = pytest.mark.integration

KEPT = (b"0", b"1", b"2")
LOST = (b"3", b"4", b"5")
NEW = (b"new 3", b"new 4", b"new 5", b"new 6")


class ForgetfulKafka(EmbeddedKafka):
    """A broker on whose disk the ends of partitions get lost."""

    @contextmanager
    def losing(self, *topics: str) -> Iterator[None]:
        """Lose what is written within the block; come back without it."""
        logs = [Path(self._folder.name, "data", f"{topic}-0", f"{0:020}.log") for topic in topics]
        sizes = [log.stat().st_size for log in logs]
        yield
        self.kill()
        for log, size in zip(logs, sizes, strict=True):
            os.truncate(log, size)
        self.start()


@pytest.fixture(scope="module")
def broker() -> Iterator[ForgetfulKafka]:
    try:
        jars = services.kafka_jars()
    except services.ServiceUnavailableError as error:
        pytest.skip(str(error))
    with ForgetfulKafka(jars) as running:
        yield running


def test_a_partition_that_grew_again_beyond_what_was_read_is_read_from_its_beginning(broker: ForgetfulKafka) -> None:
    """While the group is away, while a daemon reads, and while it has messages in hand that it will read again."""
    away, reading, working = benches = [Bench(broker.bootstrap_servers) for _ in range(3)]
    spared = Bench(broker.bootstrap_servers)
    for bench in (*benches, spared):
        bench.fill(*KEPT)
    with reading.source() as source, working.source() as busy:
        with broker.losing(*(bench.topic for bench in benches)):
            for bench in (*benches, spared):
                bench.fill(*LOST)
            for bench in (away, spared):
                with bench.source() as first:
                    bench.commit(first, 5)
            read(source, 6)
            read(busy, 5)
            busy.pause()
        for bench in (*benches, spared):
            bench.fill(*NEW)
        busy.rewind([InputPosition(working.topic, 0, 4)])
        busy.resume()
        for bench, its_source in ((reading, source), (working, busy)):
            assert set(read_until_told(its_source, bench, 7)) >= {*KEPT, *NEW}
    with (
        away.source(**{"auto.offset.reset": "error"}) as strict,
        pytest.raises(KafkaConfigurationError, match=r"lost messages below offset 5.*auto\.offset\.reset is error"),
    ):
        until(lambda: bool(strict.poll(10, 0.2)))
    with away.source() as again:
        assert set(read_until_told(again, away, 7)) == {*KEPT, *NEW}
    # Its leader is another one too, and an offset that is committed then is right as well.
    with spared.source() as source:
        spared.commit(source, 2)
    with spared.source() as source:
        assert [message.value for message in read(source, 3)] == list(NEW[1:])
    expected = {away.topic: 5, reading.topic: 6, working.topic: 4}
    for bench in benches:
        assert bench.gaps == [Gap(bench.topic, 0, "truncated", expected[bench.topic], resumed=0)]
    assert spared.gaps == []
