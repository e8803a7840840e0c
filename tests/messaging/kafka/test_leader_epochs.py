"""The epoch of the message before an offset, whatever was read before and again."""

from stream_assoc.messaging.kafka.leader_epochs import NO_EPOCH, LeaderEpochs

PLACE = ("visits", 0)


def noted(*messages: tuple[int, int | None]) -> LeaderEpochs:
    epochs = LeaderEpochs()
    epochs.begin(PLACE, 10, 3)
    for offset, epoch in messages:
        epochs.note(PLACE, offset, epoch)
    return epochs


def before(epochs: LeaderEpochs, *offsets: int) -> list[int]:
    return [epochs.before(PLACE, offset) for offset in offsets]


def test_it_is_that_of_the_message_before() -> None:
    assert before(noted((10, 3), (11, 5), (14, 5), (15, 6)), 9, 10, 11, 12, 15, 16, 99) == [-1, 3, 3, 5, 5, 6, 6]


def test_what_is_read_again_may_have_another_one() -> None:
    assert before(noted((10, 3), (11, 5), (12, 6), (10, 7)), 10, 11, 12, 13) == [3, 7, 7, 7]


def test_a_broker_without_epochs_gives_none() -> None:
    assert before(noted((10, None), (11, -1)), 10, 11, 12) == [3, NO_EPOCH, NO_EPOCH]


def test_a_partition_that_begins_anew_has_none() -> None:
    epochs = noted((10, 3))
    epochs.begin(PLACE)
    assert before(epochs, 10, 11) == [NO_EPOCH, NO_EPOCH]
    assert epochs.before(("visits", 1), 5) == NO_EPOCH


def test_what_is_remembered_does_not_grow_with_the_messages() -> None:
    for epoch in (None, 4):
        epochs = noted(*((offset, epoch) for offset in range(10, 1000)))
        assert len(epochs._steps[PLACE]) == 2
