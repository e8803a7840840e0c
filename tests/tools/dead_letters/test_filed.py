import pytest

from stream_assoc.tools.dead_letters.filed import Address, Selection, without_repeats
from tests.tools.dead_letters.builders import letter


def test_an_address_reads_as_it_is_written() -> None:
    assert Address.parse("3:1125899906842624") == Address(3, 2**50)
    assert str(Address(3, 17)) == "3:17"


@pytest.mark.parametrize(
    "text", ["", "3", "3:", ":3", "-1:3", "3:-1", "1:2:3", " 1:2", "a:b", "1:" + "9" * 19, "\u0663:\u0661"]
)
def test_what_is_no_address_is_refused(text) -> None:
    with pytest.raises(ValueError, match="no PARTITION:OFFSET"):
        Address.parse(text)


def test_a_letter_knows_where_it_lies_and_what_it_was() -> None:
    found = letter(5)
    assert found.address == Address(1, 5)
    assert (found.letter.original.position.offset, found.letter.original.value) == (105, b"value")


@pytest.mark.parametrize(
    ("selection", "offsets"),
    [
        (Selection(), [0, 1, 2]),
        (Selection(reason="quarantine"), [1, 2]),
        (Selection(since_ms=10), [0, 2]),
        (Selection("quarantine", 10), [2]),
    ],
)
def test_a_letter_must_meet_every_condition(selection, offsets: list[int]) -> None:
    letters = [
        letter(0, time_ms=10),
        letter(1, time_ms=9, reason="quarantine"),
        letter(2, time_ms=11, reason="quarantine"),
    ]
    assert [one.address.offset for one in letters if selection.holds(one)] == offsets


def test_of_equal_originals_the_first_is_kept() -> None:
    letters = [
        letter(0),
        letter(1, reason="invalid_id"),
        letter(2, b"other"),
        letter(3, None),
        letter(4, b""),
        letter(5, headers=()),
        letter(6, topic="elsewhere"),
        letter(7, None),
    ]
    assert [one.address.offset for one in without_repeats(letters)] == [0, 2, 3, 4, 5, 6]
