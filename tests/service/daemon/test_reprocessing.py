"""The daemon dies at every step around a re-processing that shares a micro-batch with the original: nothing shows."""

from pathlib import Path

import pytest

from stream_assoc.core.model.messages import InputMessage, OutputMessage
from stream_assoc.failpoints import FAILPOINTS
from stream_assoc.messaging.authority import Authority, with_reprocessing
from stream_assoc.messaging.avro.batch_decoder import BatchDecoder
from stream_assoc.messaging.avro.batch_encoder import BatchEncoder
from stream_assoc.service.daemon.daemon import Daemon, MicroBatchLimits
from stream_assoc.service.daemon.handler import MessageHandler
from stream_assoc.service.daemon.health import Health
from stream_assoc.service.daemon.membership import MembershipKeeper
from stream_assoc.service.daemon.outbox import Names, Outbox
from stream_assoc.service.daemon.process import StopRequest
from stream_assoc.service.daemon.retry import Backoff, RetryLoop
from stream_assoc.service.instruments import Instruments
from stream_assoc.service.ports import StreamEnds
from tests.contents import ALL_TABLES, Rows, contents
from tests.pipeline.skies import ARCSEC, BIG, apdb_url, batch, pinned_services, position, square
from tests.service.daemon.fakes import FakeLog, FakeOutputs, FakePublisher, FakeSource

RA, DEC = 150.0, 2.0
DEAD_LETTERS = "dia-sources.dlq"
AUTHORITY = Authority(b"sixteen letters!")

STEPS = [
    (name, count)
    for name in FAILPOINTS
    # Neither a publisher of Kafka's nor notes of what is in hand are here: tests/chaos dies there.
    if name not in ("in-kafka-transaction", "after-note")
    # One arrival for each micro-batch, but one for each of the three transactions that a micro-batch takes.
    for count in ((1, 2, 3) if name in ("before-store", "after-store", "after-cache-write") else (1, 2))
]


class CrashError(BaseException):
    """Stands for the death of the process: nobody catches it."""


def stars(visit, places, ids=None):
    return batch(
        visit, [RA] * len(places), [DEC + one * ARCSEC for one in places], ids=ids, footprint=square(RA, DEC)
    )


def messages() -> list[InputMessage]:
    """Return two visits, the first of them again with other content, a third, and all of that once more."""
    original = stars(1, [0, 10, 20, 40])
    again = stars(1, [0.2, 10.1, 30], ids=[BIG + 71, int(original.diaSourceId[1]), BIG + 73])
    sequence = [
        (original, False),
        (stars(2, [0.1, 20.1]), False),
        (again, True),
        (stars(3, [0.3, 10.1, 30.1]), False),
        (original, False),
        (again, True),
    ]
    encoder = BatchEncoder()
    values = [(encoder.encode(one), with_reprocessing(()) if marked else ()) for one, marked in sequence]
    return [
        InputMessage(position(i), 0, None, value, AUTHORITY.signed(headers, value))
        for i, (value, headers) in enumerate(values)
    ]


def live(folder: Path, log: FakeLog, *, n_messages: int) -> None:
    """Run a daemon that begins with an empty cache, until everything is read."""
    services = pinned_services(folder)
    stop = StopRequest(0.0)
    source = FakeSource(log)
    source.on_empty = stop.set
    instruments = Instruments()
    handler = MessageHandler(BatchDecoder(), services, DEAD_LETTERS, instruments, AUTHORITY)
    ends = StreamEnds(source, FakePublisher(log))
    daemon = Daemon(
        ends,
        handler,
        Outbox(ends, services.apdb, FakeOutputs(log), Names("apdb", "group")),
        RetryLoop(source, Backoff(), stop, Health(instruments), MembershipKeeper()),
        MicroBatchLimits(messages=n_messages),
    )
    try:
        daemon.run(stop)
    finally:
        services.apdb.close()


Lived = tuple[dict[str, Rows], list[OutputMessage], dict[tuple[str, int], int]]


def outcome(folder: Path, log: FakeLog) -> Lived:
    return contents(apdb_url(folder), *ALL_TABLES), log.published, log.committed


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("undisturbed") / "apdb"
    log = FakeLog(messages())
    live(folder, log, n_messages=4)
    tables, published, _ = outcome(folder, log)
    assert not any(one.topic == DEAD_LETTERS for one in published)
    assert any(one.value is None for one in published)
    assert sorted(row[-1] for row in tables["StreamAssocOutbox"]) == []
    return outcome(folder, log)


@pytest.mark.parametrize(("name", "count"), STEPS)
def test_a_crash_around_a_reprocessing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed, name, count
) -> None:
    left = count

    def failpoint(reached) -> None:
        nonlocal left
        left -= reached == name
        if reached == name and left == 0:
            raise CrashError

    log = FakeLog(messages())
    folder = tmp_path / "apdb"
    with monkeypatch.context() as patched:
        for module in ("service.daemon.daemon", "service.daemon.handler", "pipeline.commit"):
            patched.setattr(f"stream_assoc.{module}.failpoint", failpoint)
        with pytest.raises(CrashError):
            live(folder, log, n_messages=4)
    live(folder, log, n_messages=4)
    assert outcome(folder, log) == undisturbed
