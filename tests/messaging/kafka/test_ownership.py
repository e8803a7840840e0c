"""What is ours to commit, without any Kafka."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_assoc.core.model.changes import InputPosition
from stream_assoc.messaging.kafka.errors import PartitionLostError
from stream_assoc.messaging.kafka.ownership import Ownership, earliest_of


def at(offset: int, partition: int = 0) -> InputPosition:
    return InputPosition("t", partition, offset)


def owning(*offsets: int) -> Ownership:
    ownership = Ownership()
    ownership.gain([("t", 0)])
    for offset in offsets:
        ownership.deliver(at(offset))
    return ownership


def test_the_offset_after_the_last_is_what_is_committed() -> None:
    ownership = owning(3, 4, 7)
    ownership.gain([("t", 1)])
    ownership.deliver(at(0, partition=1))

    assert ownership.offsets_after([at(4), at(0, 1), at(3)]) == {("t", 0): 5, ("t", 1): 1}


def test_nothing_is_held_before_it_is_delivered() -> None:
    assert not owning().holds(at(0))
    assert not owning(3).holds(at(4))
    assert not Ownership().holds(at(0))


def test_what_was_read_before_a_partition_was_lost_stays_lost_when_it_comes_back() -> None:
    ownership = owning(3, 4)
    ownership.lose([("t", 0)])
    ownership.gain([("t", 0)])
    ownership.deliver(at(5))

    with pytest.raises(PartitionLostError, match=r"t\[0\]@4"):
        ownership.offsets_after([at(5), at(4)])


def test_a_rewound_message_is_held_again_when_it_is_delivered_again() -> None:
    ownership = owning(3, 4, 5)
    ownership.rewind(at(4))

    assert [ownership.holds(at(offset)) for offset in (3, 4, 5)] == [True, False, False]
    ownership.deliver(at(4))
    assert [ownership.holds(at(offset)) for offset in (3, 4, 5)] == [True, True, False]


def test_rewinding_behind_the_first_delivery_delivers_from_there() -> None:
    ownership = owning(3, 4)
    ownership.rewind(at(1))
    ownership.deliver(at(1))

    assert [ownership.holds(at(offset)) for offset in (1, 3)] == [True, False]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 100))))
def test_the_earliest_position_of_each_partition(pairs: list[tuple[int, int]]) -> None:
    found = earliest_of([at(offset, partition) for partition, offset in pairs])

    assert {one.partition: one.offset for one in found} == {
        partition: min(offset for other, offset in pairs if other == partition) for partition, _ in pairs
    }
    assert len(found) == len({partition for partition, _ in pairs})


@given(st.lists(st.one_of(st.integers(0, 20), st.just("lose")), max_size=40))
def test_only_deliveries_since_the_last_loss_are_held(events: list[int | str]) -> None:
    ownership = owning()
    following = 0
    held: set[int] = set()
    for event in events:
        if isinstance(event, int) and event < following:
            ownership.rewind(at(event))
            held = {offset for offset in held if offset < event}
            following = event
        elif isinstance(event, int):
            ownership.deliver(at(following))
            held.add(following)
            following += 1
        else:
            ownership.lose([("t", 0)])
            ownership.gain([("t", 0)])
            held = set()

    assert {offset for offset in range(50) if ownership.holds(at(offset))} == held
