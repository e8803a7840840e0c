"""What is noted beside an offset: which batches of the partition were published."""

import pytest

from stream_assoc.core.model.batch import BatchRevision
from stream_assoc.messaging.marks import MOST_NAMED, KeptOffset, Mark, marks_of

FULLEST = Mark("f" * 32, tuple(BatchRevision(2**62 + i, 188, 7) for i in range(MOST_NAMED)))
TOPIC = f"topic_id={'t' * 22}"


@pytest.mark.parametrize("mark", [Mark("a1"), Mark("a1", (BatchRevision(2025112500123, 94, 0),)), FULLEST])
@pytest.mark.parametrize("before", ["", "name ", f"{TOPIC} 0123456789abcdef "])
def test_a_mark_is_read_as_it_was_written(mark: Mark, before: str) -> None:
    assert Mark.read(before + mark.write()) == mark


@pytest.mark.parametrize(
    "note", ["", "name", TOPIC, "stream_assoc/1", "stream_assoc/1 a1 AAAA", "stream_assoc/1 a1 no-base64!", "x " * 9]
)
def test_what_is_no_mark_proves_nothing(note: str) -> None:
    assert Mark.read(note) is None


def test_the_fullest_mark_fits_beside_an_offset() -> None:
    assert len(f"{TOPIC} 0123456789abcdef {FULLEST.write()}") < 4096


def test_each_partition_is_marked_with_its_own_batches() -> None:
    first, second, third = (BatchRevision(visit, 0, 0) for visit in (1, 2, 3))
    kept = {("t", number): KeptOffset(5, 1) for number in (0, 1, 2)}
    marks = marks_of("a1", [(("t", 0), first), (("t", 1), second), (("t", 0), third)], kept)
    names = {partition: mark.names for partition, text in marks.texts.items() if (mark := Mark.read(text))}
    assert names == {("t", 0): (first, third), ("t", 1): (second,), ("t", 2): ()}
    assert marks.kept == kept
